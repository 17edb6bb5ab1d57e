"""`replyhq recount`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import track

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import recounting as broadcasts
from domain.broadcasts.recounting import Difference as BroadcastDifference
from domain.executions import recounting as workflows
from domain.executions.recounting import Difference as WorkflowDifference
from server.cli_support import run

SHOWN_MOST = 20
IDS_HELP = "The broadcasts and workflows; all of all apps when none is named."
MEND_HELP = "Write the true counts where they differ."
QUIET_HELP = "Show no progress, only what came of it."
Differences = Sequence[BroadcastDifference | WorkflowDifference]


@dataclass
class Found:
    """How many were counted of one kind, and what differs in which."""

    counted: int = 0
    wrong: dict[UUID, Differences] = field(default_factory=dict)


def recount(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help=IDS_HELP)] = None,
    *,
    mend: Annotated[bool, typer.Option("--mend", help=MEND_HELP)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help=QUIET_HELP)] = False,
) -> None:
    """Count broadcasts and workflows anew from their rows, beside the running product, and say what differs.

    Nothing should. The exit code is 1 when something did.
    """
    found = run(_recount(ids or [], mend=mend, quiet=quiet))
    for kind, one in found.items():
        for id_, differences in one.wrong.items():
            _tell(id_, differences)
        if one.counted or not ids:
            typer.echo(f"{one.counted} {kind} counted, {len(one.wrong)} {'mended' if mend else 'differ'}")
    if any(one.wrong for one in found.values()):
        raise typer.Exit(1)


async def _recount(given: Sequence[str], *, mend: bool, quiet: bool) -> Mapping[str, Found]:
    ids = [parse_id(one, "ID") for one in given]
    if not ids:
        async with transaction() as session:
            ids = [*await broadcasts.countable(session), *await workflows.countable(session)]
    found = {"broadcasts": Found(), "workflows": Found()}
    for id_ in track(ids, "Counting", console=Console(stderr=True), disable=quiet, transient=True):
        kind, differences = await _count(id_, mend=mend)
        found[kind].counted += 1
        if differences:
            found[kind].wrong[id_] = differences
    return found


async def _count(id_: UUID, *, mend: bool) -> tuple[str, Differences]:
    """Which kind it is, and what differs.

    Raises:
        NotFound: it is neither a broadcast nor a workflow.
    """
    async with transaction() as session:
        is_workflow = await workflows.is_one(session, id_)
    async with transaction() as session:
        if is_workflow:
            return "workflows", await workflows.recount(session, id_, mend=mend)
        return "broadcasts", await broadcasts.recount(session, id_, mend=mend)


def _tell(id_: UUID, differences: Differences) -> None:
    typer.echo(f"{id_}:")
    for one in differences[:SHOWN_MOST]:
        typer.echo(f"  {one.name}: {one.kept}, should be {one.true}")
    if len(differences) > SHOWN_MOST:
        typer.echo(f"  and {len(differences) - SHOWN_MOST} more")
