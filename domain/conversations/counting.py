"""How many conversations each view of the inbox holds.

Counted as far as a badge shows, up to a thousand, each by the index that its list is read from: it costs the same
however many there are, and no counter has to be kept that all changes of an app would queue for.
"""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain.conversations.reads import is_unread
from domain.conversations.standing import ACTIVE
from models.conversations import Conversation, ConversationStatus

COUNTED_MOST = 1_000
"""A count of 1000 says that there are 1,000 or more."""
LOOKED_AT_MOST = 1_000
"""Unread ones are looked for among so many of each status, the newest."""
_ANSWERED = (ConversationStatus.OPEN, ConversationStatus.PENDING)


@dataclass(frozen=True)
class Counts:
    """Conversations by view, 1,000 at most each.

    Attributes:
        mine, unassigned: OPEN and PENDING ones of the asker, and of nobody.
        unread: those that are not closed and have something that the asker has not read.
    """

    open: int
    pending: int
    snoozed: int
    resolved: int
    spam: int
    mine: int
    unassigned: int
    unread: int


async def counts(session: AsyncSession, app_id: UUID, user_id: UUID | None) -> Counts:
    """The views of an app as a person sees them; a program has none of its own: its `mine` and `unread` are 0."""
    views = {status.value.lower(): _count(_with(app_id, status)) for status in ConversationStatus}
    views["unassigned"] = _several(app_id, _ANSWERED, Conversation.assignee_id.is_(None))
    views["mine"] = _several(app_id, _ANSWERED, Conversation.assignee_id == user_id) if user_id else sa.literal(0)
    views["unread"] = _unread(app_id, user_id) if user_id else sa.literal(0)
    row = (await session.execute(sa.select(*(count.label(name) for name, count in views.items())))).one()
    return Counts(**row._mapping)  # noqa: SLF001  the public name of a row's columns and values


def _with(app_id: UUID, status: ConversationStatus) -> sa.Select[int]:
    rows = sa.select(sa.literal(1)).select_from(Conversation)
    return rows.where(Conversation.app_id == app_id, Conversation.status == status)


def _several(
    app_id: UUID, statuses: tuple[ConversationStatus, ...], condition: sa.ColumnElement[bool]
) -> sa.ColumnElement[int]:
    return _count(*(_with(app_id, status).where(condition) for status in statuses))


def _unread(app_id: UUID, user_id: UUID) -> sa.ColumnElement[int]:
    """Looked for among the newest, as each takes a look of its own."""
    newest_first = (Conversation.last_activity_at.desc(), Conversation.id.desc())
    newest = [
        _with(app_id, status).with_only_columns(is_unread(user_id).label("is_unread")).order_by(*newest_first)
        for status in ACTIVE
    ]
    some = sa.union_all(*(rows.limit(LOOKED_AT_MOST).subquery().select() for rows in newest)).subquery()
    counted = sa.select(sa.func.least(sa.func.count(), COUNTED_MOST)).select_from(some)
    return counted.where(some.c.is_unread).scalar_subquery()


def _count(*rows: sa.Select[int]) -> sa.ColumnElement[int]:
    """As many as there are in all of `rows`, 1,000 at most."""
    some = (sa.union_all(*rows) if len(rows) > 1 else rows[0]).limit(COUNTED_MOST).subquery()
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()
