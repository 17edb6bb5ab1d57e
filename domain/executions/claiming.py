"""Steps that are due: found by index, taken up by one worker each, under a lease."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.executions.advancing import Claim, lease
from models.executions import StepStatus, WorkflowStep
from models.workflows import Workflow, WorkflowStatus

RELEASED_AT_ONCE = 5_000
_IS_DUE = sa.and_(WorkflowStep.ended_at.is_(None), sa.not_(WorkflowStep.held))


async def claim(session: AsyncSession, most: int) -> list[Claim]:
    """Take up the steps that have been due for longest and nobody else has."""
    at = now()
    due = sa.select(WorkflowStep.id).where(_IS_DUE, WorkflowStep.due_at <= at).order_by(WorkflowStep.due_at)
    mine = due.limit(most).with_for_update(skip_locked=True, key_share=True).cte("mine").prefix_with("MATERIALIZED")
    values = {
        "status": StepStatus.RUNNING,
        "due_at": lease(),
        "fence": WorkflowStep.fence + 1,
        "attempts": WorkflowStep.attempts + 1,
        "started_at": sa.func.coalesce(WorkflowStep.started_at, at),
    }
    taken = sa.update(WorkflowStep).where(WorkflowStep.id.in_(sa.select(mine.c.id))).values(values)
    rows = await session.execute(
        taken.returning(WorkflowStep.id, WorkflowStep.fence).execution_options(synchronize_session=False)
    )
    return [Claim(row.id, row.fence) for row in rows]


async def renew(session: AsyncSession, held: Sequence[Claim]) -> None:
    """Keep some steps for another while; those that somebody else has by now stay theirs."""
    if held:
        mine = sa.tuple_(WorkflowStep.id, WorkflowStep.fence).in_([(one.step_id, one.fence) for one in held])
        # one that comes to wait at this moment keeps its time, and nobody waits for another here
        at_work = sa.select(WorkflowStep.id).where(mine, _IS_DUE, WorkflowStep.status == StepStatus.RUNNING)
        free = at_work.with_for_update(skip_locked=True, key_share=True).scalar_subquery()
        kept = sa.update(WorkflowStep).where(WorkflowStep.id.in_(free)).values(due_at=lease())
        await session.execute(kept.execution_options(synchronize_session=False))


async def waiting(session: AsyncSession) -> bool:
    """Whether any step is due."""
    due = sa.select(sa.literal(1)).where(_IS_DUE, WorkflowStep.due_at <= now())
    return bool(await session.scalar(sa.select(due.exists())))


async def release(session: AsyncSession) -> int:
    """Let some steps go on that were held while their workflow was paused, and no longer is; returns how many."""
    held = sa.select(WorkflowStep.id).where(WorkflowStep.workflow_id == Workflow.id, WorkflowStep.held)
    some = held.where(WorkflowStep.ended_at.is_(None)).limit(RELEASED_AT_ONCE).lateral("some")
    going = sa.select(some.c.id).select_from(Workflow).join(some, sa.true())
    ids = list(await session.scalars(going.where(Workflow.status != WorkflowStatus.PAUSED).limit(RELEASED_AT_ONCE)))
    if not ids:
        return 0
    free = sa.select(WorkflowStep.id).where(WorkflowStep.id.in_(ids), WorkflowStep.held)
    mine = free.with_for_update(skip_locked=True, key_share=True).scalar_subquery()
    freed = sa.update(WorkflowStep).where(WorkflowStep.id.in_(mine)).values(held=False)
    done = await session.execute(freed.execution_options(synchronize_session=False))
    return int(getattr(done, "rowcount", 0))
