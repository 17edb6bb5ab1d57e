"""`replyhq providers`."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import orjson
import typer

from server.cli_support import told
from server.simulator.providers.behaviour import Behaviour, Luck
from server.simulator.providers.running import Ports, Running
from server.simulator.providers.running import providers as running_providers

PORT_HELP = "Port of {}; any free one when not given."
HOW = """Simulated providers are running until Ctrl-C.

FCM, push services and control  {http}
APNs (HTTP/2)                   {apns}
SMTP                            smtp://127.0.0.1:{smtp}

The API and the workers need REPLYHQ_ENVIRONMENT=development and REPLYHQ_OUTBOUND_ALLOW_LOOPBACK=true.
Inputs for setChannelAccount, one a line:"""
USE = """
What was accepted:       curl {http}/ledger
To behave otherwise:     curl {http}/behaviour -d '{{"busy": 0.1, "retry_after": 2}}'
A browser's push token:  curl {http}/subscription/browser-1
Push tokens and e-mail addresses of the others are any text."""


def providers(  # noqa: PLR0913 - the options of a command
    *,
    folder: Annotated[Path, typer.Option(help="Where ledger and keys are kept.")] = Path(".replyhq/providers"),
    http_port: Annotated[int, typer.Option(min=0, help=PORT_HELP.format("FCM, push services and control"))] = 0,
    apns_port: Annotated[int, typer.Option(min=0, help=PORT_HELP.format("APNs"))] = 0,
    smtp_port: Annotated[int, typer.Option(min=0, help=PORT_HELP.format("SMTP"))] = 0,
    busy: Annotated[float, typer.Option(help="Share of messages answered with 429 and Retry-After.")] = 0.0,
    retry_after: Annotated[int, typer.Option(help="Seconds that these say to wait.")] = 1,
    broken: Annotated[float, typer.Option(help="Share of messages answered with a server error.")] = 0.0,
    dead: Annotated[float, typer.Option(help="Share of addresses that are not registered.")] = 0.0,
    lost: Annotated[float, typer.Option(help="Share of messages taken, whose connection then breaks.")] = 0.0,
    latency_ms: Annotated[float, typer.Option(help="Milliseconds that every answer takes.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Makes chance the same every time.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print addresses and accounts as a line of JSON.")] = False,
) -> None:
    """Simulate FCM, APNs, push services of browsers and a mail server on this machine, by their real wire."""
    with told():
        behaviour = Behaviour(busy, retry_after, broken, dead, lost, latency_ms)
        ports = Ports(http_port, apns_port, smtp_port)
        asyncio.run(_run(folder, Luck(behaviour, seed), ports, json=json))


async def _run(folder: Path, luck: Luck, ports: Ports, *, json: bool) -> None:
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with running_providers(folder, luck, ports) as running:
        (_print_json if json else _print)(running)
        await end.wait()


def _print(running: Running) -> None:
    print(HOW.format(http=running.http_url, apns=running.apns_url, smtp=running.ports.smtp))
    for given in running.accounts().values():
        print(orjson.dumps(given).decode())
    print(USE.format(http=running.http_url), flush=True)


def _print_json(running: Running) -> None:
    where = {"http": running.http_url, "apns": running.apns_url, "smtpPort": running.ports.smtp}
    print(orjson.dumps(where | {"accounts": running.accounts()}).decode(), flush=True)
