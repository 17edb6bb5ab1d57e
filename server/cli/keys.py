"""`replyhq keys`."""

import secrets
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from core.clock import now
from core.encryption import new_key
from domain import encryption
from server.cli_support import run

SHOWN_MOST = 10
FIRST = "Put it first in REPLYHQ_ENCRYPTION_KEYS, a comma behind it, and leave the old ones there until"
QUIET_HELP = "Show no progress, only what came of it."

keys = typer.Typer(
    help="The keys that encrypt stored secrets: make one, or encrypt everything by the newest.",
    add_completion=False,
    no_args_is_help=True,
)


@keys.command()
def new() -> None:
    """Print a fresh key, as it is to be put first in REPLYHQ_ENCRYPTION_KEYS."""
    typer.echo(f"k{now():%Y%m%d}{secrets.token_hex(2)}:{new_key()}")
    typer.echo(f"{FIRST} all processes have it and `replyhq keys rotate` has run.", err=True)


@keys.command()
def rotate(*, quiet: Annotated[bool, typer.Option("--quiet", help=QUIET_HELP)] = False) -> None:
    """Encrypt all stored secrets by the newest key, beside the running product.

    First restart all processes with the new key in front: one that does not have it goes on closing with an old one.
    The old ones can go when this says that nothing is left. It may be broken off and run again.
    """
    changed, unopened = run(_rotate(Console(stderr=True), quiet=quiet))
    typer.echo(f"{changed} secrets encrypted anew, {len(unopened)} left")
    for told in unopened[:SHOWN_MOST]:
        typer.echo(told, err=True)
    if unopened:
        raise typer.Exit(1)


async def _rotate(console: Console, *, quiet: bool) -> tuple[int, list[str]]:
    """How many were encrypted anew, and why the others were not."""
    changed, unopened, total = 0, list[str](), await encryption.outdated()
    with Progress(console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("Encrypting", total=total)
        async for done in encryption.rotate():
            changed, unopened = changed + done.changed, unopened + done.unopened
            bar.advance(task, done.changed + len(done.unopened))
    return changed, unopened
