"""Counts of workflows: moves are added by whoever moves something, the clock makes sums of them.

A count is a tally and the moves that are not in it yet, read in one statement: exact at every moment, and no worker
waits for another.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import before_commit
from core.ids import new_id
from models.executions import WorkflowExecution
from models.workflow_tallies import COUNTED, WorkflowMove, WorkflowTally

WHOLE = ""
"""The node of counts that are of whole executions."""
AT_ONCE = 10_000
_ADDED = "workflow_moves"
Numbers = dict[str, Any]


def move(execution: WorkflowExecution, node_id: str, counts: Mapping[str, float]) -> Numbers:
    """A row for `add`: how much is added to each count."""
    of = {"app_id": execution.app_id, "workflow_id": execution.workflow_id}
    zeros: Numbers = dict.fromkeys(COUNTED, 0)
    version = {"id": new_id(), "workflow_version_id": execution.workflow_version_id}
    return {**of, **version, "node_id": node_id, **zeros, **counts}


async def add(session: AsyncSession, moves: Sequence[Numbers]) -> None:
    """Count some moves: all of a transaction are written by one statement, at its end."""
    added = session.info.get(_ADDED)
    if added is None:
        added = session.info[_ADDED] = []
        before_commit(session, _write)
    added.extend(moves)


async def _write(session: AsyncSession) -> None:
    if moves := session.info.pop(_ADDED):
        await session.execute(insert(WorkflowMove), moves)


async def fold(session: AsyncSession) -> int:
    """Put some moves into the tallies; returns how many. Any number of clocks may do it."""
    some = sa.select(WorkflowMove.id).limit(AT_ONCE).with_for_update(skip_locked=True).scalar_subquery()
    taken = sa.delete(WorkflowMove).where(WorkflowMove.id.in_(some)).returning(WorkflowMove).cte("taken")
    keys = (taken.c.workflow_version_id, taken.c.node_id)
    owners = (taken.c.app_id, taken.c.workflow_id)
    sums = [sa.func.sum(taken.c[name]).label(name) for name in COUNTED]
    # in one order, so that two clocks do not wait for each other in a circle
    grouped = sa.select(*keys, *owners, *sums).group_by(*keys, *owners).order_by(*keys)
    names = ["workflow_version_id", "node_id", "app_id", "workflow_id", *COUNTED]
    put = insert(WorkflowTally).from_select(names, grouped)
    columns = {name: getattr(WorkflowTally, name) + put.excluded[name] for name in COUNTED}
    added = put.on_conflict_do_update(index_elements=["workflow_version_id", "node_id"], set_=columns)
    moved = await session.execute(added.execution_options(synchronize_session=False))
    return int(getattr(moved, "rowcount", 0))


async def of_versions(session: AsyncSession, app_id: UUID, version_ids: Collection[UUID]) -> Mapping[Any, Numbers]:
    """The counts by (version, node)."""
    parts = [
        sa.select(kind.workflow_version_id, kind.node_id, *(getattr(kind, name) for name in COUNTED)).where(
            kind.app_id == app_id, kind.workflow_version_id.in_(version_ids)
        )
        for kind in (WorkflowTally, WorkflowMove)
    ]
    return await _summed(session, sa.union_all(*parts).subquery(), "workflow_version_id", "node_id")


async def of_workflows(session: AsyncSession, ids: Collection[UUID]) -> Mapping[UUID, Numbers]:
    """The counts of whole executions by workflow, over all versions."""
    parts = [
        sa.select(kind.workflow_id, *(getattr(kind, name) for name in COUNTED)).where(
            kind.workflow_id.in_(ids), kind.node_id == WHOLE
        )
        for kind in (WorkflowTally, WorkflowMove)
    ]
    found = await _summed(session, sa.union_all(*parts).subquery(), "workflow_id")
    return {workflow_id: numbers for (workflow_id,), numbers in found.items()}


async def _summed(session: AsyncSession, rows: sa.Subquery, *keys: str) -> dict[tuple[Any, ...], Numbers]:
    columns = [rows.c[name] for name in keys]
    sums = [sa.func.sum(rows.c[name]).label(name) for name in COUNTED]
    found = await session.execute(sa.select(*columns, *sums).group_by(*columns))
    return {tuple(row[: len(keys)]): _numbers(row[len(keys) :]) for row in found}


def _numbers(values: Sequence[Any]) -> Numbers:
    return {name: float(one) if name == "seconds" else int(one) for name, one in zip(COUNTED, values, strict=True)}
