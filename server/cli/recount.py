"""`replyhq recount`."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import track

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import recounting
from domain.broadcasts.recounting import Difference
from server.cli_support import run

SHOWN_MOST = 20
IDS_HELP = "The broadcasts; all of all apps when none is named."
MEND_HELP = "Write the true counts where they differ."
QUIET_HELP = "Show no progress, only what came of it."


def recount(
    broadcast_ids: Annotated[list[str] | None, typer.Argument(metavar="BROADCAST_ID", help=IDS_HELP)] = None,
    *,
    mend: Annotated[bool, typer.Option("--mend", help=MEND_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help=QUIET_HELP)] = False,
) -> None:
    """Count broadcasts anew from their recipients, beside the running product, and say what differs.

    Nothing should. The exit code is 1 when something did.
    """
    counted, wrong = run(_recount(broadcast_ids or [], mend=mend, quiet=quiet))
    for id_, differences in wrong.items():
        _tell(id_, differences)
    typer.echo(f"{counted} broadcasts counted, {len(wrong)} {'mended' if mend else 'differ'}")
    if wrong:
        raise typer.Exit(1)


async def _recount(given: Sequence[str], *, mend: bool, quiet: bool) -> tuple[int, dict[UUID, list[Difference]]]:
    """How many were counted, and what differed in which."""
    ids = [parse_id(one, "BROADCAST_ID") for one in given]
    if not ids:
        async with transaction() as session:
            ids = await recounting.countable(session)
    wrong = {}
    for id_ in track(ids, "Counting", console=Console(stderr=True), disable=quiet, transient=True):
        async with transaction() as session:
            if differences := await recounting.recount(session, id_, mend=mend):
                wrong[id_] = differences
    return len(ids), wrong


def _tell(id_: UUID, differences: Sequence[Difference]) -> None:
    typer.echo(f"{id_}:")
    for one in differences[:SHOWN_MOST]:
        typer.echo(f"  {one.name}: {one.kept}, should be {one.true}")
    if len(differences) > SHOWN_MOST:
        typer.echo(f"  and {len(differences) - SHOWN_MOST} more")
