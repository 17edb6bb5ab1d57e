"""Giving a conversation that opens to somebody: who had it, else whose turn it is, else the queue."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain import presence
from domain.conversations.assignment import agents, settings, waking
from domain.conversations.assignment.agents import Pool
from domain.conversations.assignment.giving import give, take_away
from domain.conversations.standing import tell
from domain.principals import SYSTEM
from models.assignment import AssignmentMode, AssignmentReason
from models.conversations import Conversation
from models.facts import FactKind
from models.team import Membership


def await_somebody(row: Conversation) -> None:
    """Queue a conversation that is about to be written as OPEN, unless somebody has it."""
    if row.assignee_id is None:
        row.queued_at = now()


async def assign_automatically(session: AsyncSession, row: Conversation) -> None:
    """Find somebody for a conversation that has just opened or come back.

    It stays with who had it, if they can take it. Nobody else is looked for while others wait: these come first. In an
    app that assigns by hand it stays with who had it as long as they are in the team.

    Args:
        session: the transaction in which it opens.
        row: it, locked, written as OPEN, and queued if nobody had it.
    """
    app = await settings.get(session, row.app_id)
    if app.assignment_mode is AssignmentMode.MANUAL:
        if row.assignee_id and not await is_member(session, row.app_id, row.assignee_id):
            await take_away(session, SYSTEM, row, AssignmentReason.REOPENED)
        return
    pool = await agents.pool(session, app, await presence.online(row.app_id), but=row.id)
    if row.assignee_id is None or row.assignee_id not in pool:
        await _place(session, row, pool, AssignmentReason(app.assignment_mode.value))


async def _place(session: AsyncSession, row: Conversation, pool: Pool, reason: AssignmentReason) -> None:
    """Give it to whose turn it is, or let it wait behind others."""
    if row.assignee_id:
        reason = AssignmentReason.REOPENED
    wait = pool.room > 0 and await _others_wait(session, row)
    if not wait and (user_id := pool.take()):
        await give(session, SYSTEM, row, user_id, reason)
        return
    if row.assignee_id:
        await take_away(session, SYSTEM, row, reason)
    tell(session, SYSTEM, FactKind.CONVERSATION_QUEUED, row)
    if wait:
        await waking.somebody_is_free(session, row.app_id)


async def _others_wait(session: AsyncSession, row: Conversation) -> bool:
    others = (Conversation.app_id == row.app_id, Conversation.queued_at.is_not(None), Conversation.id != row.id)
    return bool(await session.scalar(sa.select(sa.exists().where(*others))))


async def is_member(session: AsyncSession, app_id: UUID, user_id: UUID) -> bool:
    """Whether somebody is in the team and may answer. They stay in it until the end of the transaction.

    Who is being taken out at this moment is not waited for: they are out.
    """
    theirs = (Membership.app_id == app_id, Membership.user_id == user_id, Membership.role.in_(agents.ANSWERING))
    rows = sa.select(Membership.id).where(*theirs)
    return await session.scalar(rows.with_for_update(read=True, key_share=True, skip_locked=True)) is not None
