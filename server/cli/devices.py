"""`replyhq devices`."""

from typing import Annotated

import typer

from core.config import config
from core.errors import Invalid, Unavailable
from server.cli_support import APP_ID_HELP, EMAIL_HELP, chosen_app, run, told
from server.demo_address import ALL_ADDRESSES
from server.environment import load_environment
from server.simulator.counts import Counts
from server.simulator.device import Rates
from server.simulator.display import Display
from server.simulator.running import Plan, simulate

EXPECT_HELP = "End when so many messages have come and been reported; exit code 1 when it ends before."
SEED_HELP = "Makes chance the same every time."
URL_HELP = "The API's websocket; that of the demo, or of REPLYHQ_HOST and REPLYHQ_PORT, when not given."


def devices(  # noqa: PLR0913 - the options of a command
    *,
    count: Annotated[int, typer.Option(min=1, help="How many.")],
    email: Annotated[str | None, typer.Option(help=EMAIL_HELP)] = None,
    app_id: Annotated[str | None, typer.Option(help=APP_ID_HELP)] = None,
    delivered: Annotated[float, typer.Option(help="Share of all messages reported as delivered.")] = 1.0,
    opened: Annotated[float, typer.Option(help="Share of all messages reported as opened.")] = 0.4,
    clicked: Annotated[float, typer.Option(help="Share of all messages reported as clicked.")] = 0.1,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    expect: Annotated[int | None, typer.Option(min=1, help=EXPECT_HELP)] = None,
    seed: Annotated[int | None, typer.Option(help=SEED_HELP)] = None,
    url: Annotated[str | None, typer.Option(help=URL_HELP)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as a line of JSON.")] = False,
) -> None:
    """Simulate devices of an app, each on a websocket of its own, that receive messages and report on them.

    The rates are shares of all messages, and each step follows the one before it: with --delivered 1 --opened 0.4
    --clicked 0.1 every message is delivered, 40 of 100 are opened, and 10 of these 40 are clicked. The devices are the
    oldest of the app; when it has too few, contacts named Simulated are added. They run until Ctrl-C.
    """
    load_environment()
    counts = Counts()
    with told():
        rates = Rates(delivered, opened, clicked)
        plan = Plan(_address(url), count, rates, seconds=seconds, expect=expect, seed=seed)
    display = Display(counts, json=json)
    last = run(_simulate(app_id, email, plan, display, counts))
    display.summary(last)
    if last.finished < (expect or 0):
        raise typer.Exit(1)


async def _simulate(app_id: str | None, email: str | None, plan: Plan, display: Display, counts: Counts) -> Counts:
    last = await simulate(await chosen_app(app_id, email), plan, display, counts)
    if last.refused == last.devices:
        raise Unavailable(f"The server refused all devices: {last.trouble}.")
    return last


def _address(url: str | None) -> str:
    """The websocket to connect to."""
    if url is None:
        host = ALL_ADDRESSES.get(config().host, config().host)
        return f"ws://[{host}]:{config().port}/graphql" if ":" in host else f"ws://{host}:{config().port}/graphql"
    if not url.startswith(("ws://", "wss://")):
        raise Invalid("--url must begin with ws:// or wss://.")
    return url
