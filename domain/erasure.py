"""What is left of a contact who is erased: their executions stay as rows without anything that tells of them.

It stands apart from `domain.executions`, whose nodes change contacts.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import workflow_signals
from models.contacts import Contact
from models.executions import WorkflowExecution, WorkflowStep
from models.workflow_enrolments import WorkflowEnrolment


async def forget_executions(session: AsyncSession, contact: Contact) -> None:
    """Take a contact, who is erased in this transaction, out of their executions.

    Steps that are open are due, so that the engine finds nobody there and ends them; counts stay as they are. The row
    of the contact is locked first, for this transaction alone, as by everybody who goes on to an execution.
    """
    this = sa.select(Contact.id).where(Contact.id == contact.id, Contact.app_id == contact.app_id)
    await session.execute(this.with_for_update())
    theirs = sa.and_(WorkflowExecution.app_id == contact.app_id, WorkflowExecution.contact_id == contact.id)
    gone: dict[str, object] = {"contact_id": None, "context": {}, "entry_key": None, "error_message": None}
    # what let them in may name them
    gone["trigger_key"] = sa.func.concat("erased:", WorkflowExecution.id)
    emptied = sa.update(WorkflowExecution).where(theirs).values(gone).returning(WorkflowExecution.id)
    ids = (await session.scalars(emptied.execution_options(synchronize_session=False))).all()
    await _forget_enrolments(session, contact)
    if ids:
        await _forget_steps(session, contact, ids)
        workflow_signals.wake_listener(session)


async def _forget_enrolments(session: AsyncSession, contact: Contact) -> None:
    named = sa.and_(
        WorkflowEnrolment.app_id == contact.app_id, WorkflowEnrolment.contact_ids.bool_op("@>")([contact.id])
    )
    rest = sa.func.array_remove(WorkflowEnrolment.contact_ids, contact.id)
    own = sa.update(WorkflowEnrolment).where(named).values(contact_ids=rest)
    await session.execute(own.execution_options(synchronize_session=False))


async def _forget_steps(session: AsyncSession, contact: Contact, execution_ids: object) -> None:
    own = sa.update(WorkflowStep).where(
        WorkflowStep.app_id == contact.app_id,
        WorkflowStep.execution_id == sa.any_(sa.literal(execution_ids, sa.ARRAY(sa.UUID()))),
    )
    is_open = WorkflowStep.ended_at.is_(None)
    values = {
        "input": sa.null(),
        "output": sa.null(),
        "error_message": None,
        "due_at": sa.case((is_open, now()), else_=WorkflowStep.due_at),
        "held": sa.and_(WorkflowStep.held, sa.not_(is_open)),
    }
    await session.execute(own.values(values).execution_options(synchronize_session=False))
