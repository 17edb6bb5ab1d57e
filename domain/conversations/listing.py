"""Lists of conversations, newest activity first. Each filter has an index that is in this order already.

What is asked of several statuses is asked of each, a page of it, and the answers are merged: so PostgreSQL reads little
more than what it shows, whatever it believes of how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.conversations import searching
from domain.conversations.reads import is_unread
from domain.conversations.standing import ACTIVE
from domain.pages import Columns, Page, PageRequest, counter, cut, window
from models.channels import ChannelKind
from models.conversations import Conversation, ConversationStatus, Priority
from models.labels import ConversationLabel

Branch: TypeAlias = tuple[sa.Select[Any], Columns]
_LISTED = ("id", "status", "last_activity_at")
"""Columns that the label on a conversation repeats."""


@dataclass(frozen=True)
class Filter:
    """Which conversations.

    Attributes:
        statuses: any of these; all when there is none.
        assignee_id: who answers them.
        unassigned: only those that nobody answers.
        unread_by: only those with something that this person has not read. Without statuses these are looked for
            among those that are not closed: what is closed asks nothing of anybody.
        search: words of their messages, or part of the contact's name, address or id.
    """

    statuses: tuple[ConversationStatus, ...] = ()
    assignee_id: UUID | None = None
    unassigned: bool = False
    label_id: UUID | None = None
    channel: ChannelKind | None = None
    priority: Priority | None = None
    unread_by: UUID | None = None
    search: str | None = None


async def listed(session: AsyncSession, app_id: UUID, wanted: Filter, request: PageRequest) -> Page[Conversation]:
    """The conversations of an app that a filter lets through, newest activity first.

    Raises:
        Invalid: the search breaks its rule, or the request cannot be answered.
    """
    if wanted.search is None:
        return await _page(session, _branches(app_id, wanted, sa.true()), request)
    search = await searching.understood(session, app_id, wanted.search)
    return await _page(session, _branches(app_id, wanted, search), request)


async def fitting(session: AsyncSession, app_id: UUID, wanted: Filter, conversation_id: UUID) -> Conversation | None:
    """A conversation, if it is one of those that a filter lets through.

    Raises:
        Invalid: the search breaks its rule.
    """
    this: sa.ColumnElement[bool] = Conversation.id == conversation_id
    if wanted.search is not None:
        this = sa.and_(this, await searching.understood(session, app_id, wanted.search))
    rows, _ = _merged([branch for branch, _ in _branches(app_id, wanted, this)])
    found: Conversation | None = await session.scalar(rows)
    return found


async def _page(session: AsyncSession, branches: Sequence[Branch], request: PageRequest) -> Page[Conversation]:
    """A page of each branch, merged into one."""
    pages = [window(rows, key, request, newest_first=True) for rows, key in branches]
    merged, key = _merged(pages)
    found = list(await session.scalars(window(merged, key, request, newest_first=True)))
    whole, _ = _merged([rows for rows, _ in branches])
    return cut(found, key, request, counter(session, whole))


def _merged(branches: Sequence[sa.Select[Any]]) -> tuple[sa.Select[Conversation], Columns]:
    """Several lists as one, and the key that orders it."""
    parts = [rows.subquery() for rows in branches]
    union = parts[0] if len(parts) == 1 else sa.union_all(*(part.select() for part in parts)).subquery()
    listed: Any = aliased(Conversation, union, adapt_on_names=True)
    return sa.select(listed), (listed.last_activity_at, listed.id)


def _branches(app_id: UUID, wanted: Filter, found: sa.ColumnElement[bool]) -> list[Branch]:
    """For each status what lets through, with its key: of a label, the columns in which it repeats the order."""
    key: Columns = (Conversation.last_activity_at, Conversation.id)
    if wanted.label_id:
        key = (ConversationLabel.last_activity_at, ConversationLabel.conversation_id)
    return [(_branch(app_id, wanted, status).where(found), key) for status in _statuses(wanted)]


def _statuses(wanted: Filter) -> tuple[ConversationStatus | None, ...]:
    """The statuses that are asked for one by one. None: all at once, by the index that all stand in."""
    if wanted.statuses:
        return tuple(dict.fromkeys(wanted.statuses))
    if wanted.unread_by:
        return ACTIVE
    narrowed = wanted.assignee_id or wanted.unassigned or wanted.label_id or wanted.channel or wanted.priority
    return tuple(ConversationStatus) if narrowed else (None,)


def _branch(app_id: UUID, wanted: Filter, status: ConversationStatus | None) -> sa.Select[Any]:
    """The conversations of one status. Those of a label are read from the labels, which repeat their order."""
    listed: Any = ConversationLabel if wanted.label_id else Conversation
    columns = [
        _repeated(name).label(name) if wanted.label_id and name in _LISTED else getattr(Conversation, name)
        for name in (column.key for column in Conversation.__table__.columns)
    ]
    rows = sa.select(*columns).select_from(Conversation).where(Conversation.app_id == app_id)
    if wanted.label_id:
        on_it = sa.and_(ConversationLabel.app_id == app_id, ConversationLabel.label_id == wanted.label_id)
        rows = rows.join(ConversationLabel, ConversationLabel.conversation_id == Conversation.id).where(on_it)
    if status:
        rows = rows.where(listed.status == status)
    return _narrowed(rows, wanted)


def _repeated(name: str) -> Any:
    return ConversationLabel.conversation_id if name == "id" else getattr(ConversationLabel, name)


def _narrowed(rows: sa.Select[Any], wanted: Filter) -> sa.Select[Any]:
    if wanted.unassigned:
        rows = rows.where(Conversation.assignee_id.is_(None))
    if wanted.assignee_id:
        rows = rows.where(Conversation.assignee_id == wanted.assignee_id)
    if wanted.channel:
        rows = rows.where(Conversation.channel == wanted.channel)
    if wanted.priority:
        rows = rows.where(Conversation.priority == wanted.priority)
    if wanted.unread_by:
        rows = rows.where(is_unread(wanted.unread_by))
    return rows
