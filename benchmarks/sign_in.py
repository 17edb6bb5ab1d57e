"""Whether the time of a refused sign-in tells if there is such an account: known and unknown e-mails in turn."""

import asyncio
import time
from statistics import median

from rich.console import Console

from benchmarks.ground import ground

ROUNDS = 50


async def refused(number: int, email: str) -> float:
    """Wall seconds of a sign-in with a wrong password, from an address of its own."""
    from core.errors import Unauthenticated
    from domain import sign_ins
    from domain.principals import Caller

    caller, start = Caller(f"10.0.{number // 250}.{number % 250}", "benchmark"), time.perf_counter()
    try:
        await sign_ins.sign_in(caller, email=email, password="not the password")  # noqa: S106
    except Unauthenticated:
        return time.perf_counter() - start
    raise AssertionError("the password was right")


async def measure() -> tuple[list[float], list[float]]:
    """Seconds for e-mails that have an account, and for those that have none, taken in turn."""
    from core import redis_client
    from core.database import dispose
    from tests.support import factories

    accounts = [(await factories.team()).email for _ in range(ROUNDS)]
    known, unknown = [], []
    await refused(0, "warm@example.com")
    for number, email in enumerate(accounts, 1):
        known.append(await refused(2 * number, email))
        unknown.append(await refused(2 * number + 1, f"nobody-{email}"))
    await redis_client.close()
    await dispose()
    return known, unknown


def main() -> None:
    """Measure and print: the ratio should stay between 0.8 and 1.2."""
    with ground():
        known, unknown = (median(times) * 1000 for times in asyncio.run(measure()))
    line = f"Refused sign-in, median of {ROUNDS}: known e-mail {known:.1f} ms, unknown {unknown:.1f} ms"
    Console().print(f"{line}, ratio {known / unknown:.2f}")


if __name__ == "__main__":
    main()
