"""The counts of a workflow, counted anew from its executions and steps: what differs, and the truth in its place.

Every count moves in the transaction of what it counts, so nothing should ever differ. This proves it. Executions that
ended long ago are deleted and stay counted: of a workflow that has any such, only what is in progress is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import NotFound
from core.ids import new_id
from domain.executions import tallies
from domain.retention import EXECUTION_DAYS
from models.executions import ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep
from models.workflow_tallies import WorkflowMove, WorkflowTally
from models.workflows import Workflow

COMPARED = ("entered", "passed", "failed", "exited", "cancelled", "converted")
_ENDED = ("passed", "failed", "exited", "cancelled")
_IN_PROGRESS = "in progress"
_ONE_AT_A_TIME = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('recount_workflow', 0))")


@dataclass(frozen=True)
class Difference:
    """A count that is not what the rows say. `name`: e.g. `node_1 passed`, or `executions failed` of the whole."""

    name: str
    kept: int
    true: int


class _Place(NamedTuple):
    version_id: UUID
    node_id: str


_Numbers = dict[str, int]


async def recount(session: AsyncSession, workflow_id: UUID, *, mend: bool = False) -> list[Difference]:
    """What differs of a workflow, all as of one moment. With `mend` the difference is added to what is kept.

    Args:
        session: a transaction of its own.
        workflow_id: of any app.
        mend: write the truth; nobody waits for it.

    Raises:
        NotFound: there is no such workflow.
    """
    await session.execute(_ONE_AT_A_TIME)
    await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    row = await session.scalar(sa.select(Workflow).where(Workflow.id == workflow_id))
    if row is None:
        raise NotFound(f"There is no workflow {workflow_id}.", field="id")
    is_old = row.created_at < now() - timedelta(days=EXECUTION_DAYS)
    differences = []
    for place, both in (await _both(session, row)).items():
        kept, true = map(_progress, both) if is_old else both
        wrong = {name: (kept[name], true[name]) for name in kept if kept[name] != true[name]}
        differences += [Difference(_name(place, name), *numbers) for name, numbers in wrong.items()]
        if mend and wrong:
            await _mend(session, row, place, wrong)
    return sorted(differences, key=lambda one: one.name)


async def is_one(session: AsyncSession, workflow_id: UUID) -> bool:
    """Whether there is such a workflow, in whichever app."""
    return bool(await session.scalar(sa.select(sa.exists().where(Workflow.id == workflow_id))))


async def countable(session: AsyncSession) -> list[UUID]:
    """All workflows of all apps that have been published, the oldest first."""
    some = sa.select(Workflow.id).where(Workflow.active_version_id.is_not(None))
    return list(await session.scalars(some.order_by(Workflow.id)))


def _name(place: _Place, name: str) -> str:
    return f"{place.node_id or 'executions'} {name}"


def _progress(numbers: _Numbers) -> _Numbers:
    return {_IN_PROGRESS: numbers["entered"] - sum(numbers[name] for name in _ENDED)}


async def _both(session: AsyncSession, row: Workflow) -> dict[_Place, tuple[_Numbers, _Numbers]]:
    """What is kept and what is true of each place, read by one statement."""
    kept = [_kept(kind, row) for kind in (WorkflowTally, WorkflowMove)]
    every = sa.union_all(*kept, _executions(row), _steps(row)).subquery()
    key = (every.c.is_true, every.c.version_id, every.c.node_id)
    sums = sa.select(*key, *(sa.func.sum(every.c[name]) for name in COMPARED)).group_by(*key)
    found: dict[_Place, dict[bool, _Numbers]] = {}
    for is_true, version_id, node_id, *numbers in await session.execute(sums):
        counted = dict(zip(COMPARED, map(int, numbers), strict=True))
        found.setdefault(_Place(version_id, node_id), {})[is_true] = counted
    zeros = dict.fromkeys(COMPARED, 0)
    return {place: (by.get(False, zeros), by.get(True, zeros)) for place, by in found.items()}


def _kept(kind: type[WorkflowTally | WorkflowMove], row: Workflow) -> sa.Select[*tuple[Any, ...]]:
    columns = [getattr(kind, name).label(name) for name in COMPARED]
    key = (sa.false().label("is_true"), kind.workflow_version_id.label("version_id"), kind.node_id.label("node_id"))
    return sa.select(*key, *columns).where(kind.app_id == row.app_id, kind.workflow_id == row.id)


def _counts(meant: Sequence[sa.ColumnElement[bool]]) -> list[sa.ColumnElement[int]]:
    numbers = [sa.func.count(), *(sa.func.count().filter(one) for one in meant)]
    return [number.label(name) for number, name in zip(numbers, COMPARED, strict=True)]


def _executions(row: Workflow) -> sa.Select[*tuple[Any, ...]]:
    status = WorkflowExecution.status
    ends = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.EXITED, ExecutionStatus.CANCELLED)
    meant = [*(status == one for one in ends), WorkflowExecution.converted_at.is_not(None)]
    key = (sa.true(), WorkflowExecution.workflow_version_id, sa.literal(tallies.WHOLE, sa.Text()))
    own = sa.and_(WorkflowExecution.app_id == row.app_id, WorkflowExecution.workflow_id == row.id)
    return sa.select(*key, *_counts(meant)).where(own).group_by(WorkflowExecution.workflow_version_id)


def _steps(row: Workflow) -> sa.Select[*tuple[Any, ...]]:
    """Steps are skipped as their execution ends: cancelled with it, or left."""
    status, is_cancelled = WorkflowStep.status, WorkflowExecution.status == ExecutionStatus.CANCELLED
    skipped = status == StepStatus.SKIPPED
    left, cancelled = sa.and_(skipped, sa.not_(is_cancelled)), sa.and_(skipped, is_cancelled)
    meant = [status == StepStatus.COMPLETED, status == StepStatus.FAILED, left, cancelled, sa.false()]
    key = (WorkflowStep.workflow_version_id, WorkflowStep.node_id)
    joined = sa.select(sa.true(), *key, *_counts(meant)).join(
        WorkflowExecution, WorkflowExecution.id == WorkflowStep.execution_id
    )
    own = sa.and_(WorkflowExecution.app_id == row.app_id, WorkflowExecution.workflow_id == row.id)
    return joined.where(own).group_by(*key)


async def _mend(session: AsyncSession, row: Workflow, place: _Place, wrong: dict[str, tuple[int, int]]) -> None:
    """Add what lacks as a move, as whoever counts at this moment does."""
    missing = {"entered" if name == _IN_PROGRESS else name: true - kept for name, (kept, true) in wrong.items()}
    key = {"workflow_version_id": place.version_id, "node_id": place.node_id}
    zeros = dict.fromkeys((*COMPARED, "seconds"), 0)
    of = {"id": new_id(), "app_id": row.app_id, "workflow_id": row.id}
    await tallies.add(session, [{**of, **key, **zeros, **missing}])
