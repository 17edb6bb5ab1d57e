"""What a push by FCM costs: CPU of this process a recipient, beside a bare aiohttp loop that posts the same bytes.

The simulated provider runs in a process of its own; both ask it over the same kind of connection.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import orjson
from rich.console import Console
from rich.table import Table

ROUNDS = 7
RECIPIENTS = 2_000
BATCH = 200
AT_ONCE = 32
Work = Callable[[], Awaitable[None]]


async def measure(where: dict[str, object]) -> list[tuple[float, float]]:
    """CPU milliseconds a recipient: through the channel and bare, in turn."""
    from channels.base import Outgoing, Taken
    from channels.fcm import Fcm, FcmAccount
    from channels.http import Http

    base = str(where["http"])
    file = json.loads(where["accounts"]["fcm"]["account"]["fcm"]["serviceAccount"])  # type: ignore[index]
    names = ("project_id", "client_email", "private_key_id", "private_key")
    http = Http(allow_loopback=True)
    channel = Fcm(FcmAccount(**{name: file[name] for name in names}, base_url=base), http, AT_ONCE)
    app = uuid4()
    sends = [
        Outgoing(f"b1:{no}", app, None, "Hello", "World", {"url": "app://1"}, address=f"token-{no}")
        for no in range(RECIPIENTS)
    ]

    async def through() -> None:
        for start in range(0, RECIPIENTS, BATCH):
            outcomes = await channel.send(sends[start : start + BATCH])
            if not all(isinstance(one.result, Taken) for one in outcomes):
                raise SystemExit(f"Not all were taken: {outcomes}")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        bare = _bare(session, f"{base}/v1/projects/simulated/messages:send", str(await channel._access.token()))  # noqa: SLF001
        await through()
        await bare()
        found = [(await cpu(through), await cpu(bare)) for _ in range(ROUNDS)]
    await http.close()
    return found


def _bare(session: aiohttp.ClientSession, url: str, access: str) -> Work:
    body = orjson.dumps({"message": {"token": "t", "notification": {"title": "Hello", "body": "World"}, "data": {}}})
    headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}

    async def post(numbers: range) -> None:
        for _ in numbers:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                response.raise_for_status()

    async def work() -> None:
        await asyncio.gather(*(post(range(start, RECIPIENTS, AT_ONCE)) for start in range(AT_ONCE)))

    return work


async def cpu(work: Work) -> float:
    """CPU milliseconds a recipient."""
    before = time.process_time()
    await work()
    return (time.process_time() - before) * 1_000 / RECIPIENTS


def show(found: list[tuple[float, float]]) -> None:
    """The figures as a table, and the ratio."""
    table = Table("round", "channel", "bare aiohttp", "ratio", title="FCM, CPU ms a recipient")
    for no, (channel, bare) in enumerate(found, start=1):
        table.add_row(str(no), f"{channel:.3f}", f"{bare:.3f}", f"{channel / bare:.2f}")
    console = Console()
    console.print(table)
    console.print(f"Median ratio: {statistics.median(channel / bare for channel, bare in found):.2f}")


def main() -> None:
    """Run beside simulators of its own."""
    os.environ["REPLYHQ_ENVIRONMENT"] = "development"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from server.cli import app; app()", "providers", "--folder", folder, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as simulators:
            where = json.loads(next(iter(simulators.stdout or ())))
            try:
                show(asyncio.run(measure(where)))
            finally:
                simulators.terminate()


if __name__ == "__main__":
    main()
