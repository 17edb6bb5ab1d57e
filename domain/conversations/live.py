"""Lists of conversations as they live: what an event makes of a list with a filter.

Nothing is remembered of a list: whether a conversation belongs to it now is asked by the statement that the list is
read with, and whether it may have belonged before follows from what happened. So a list can be gone on with after any
pause, and whoever has one keeps it true by putting in what ENTERED or was UPDATED and taking out what LEFT.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.conversations import listing
from domain.conversations.listing import Filter
from models.conversations import Conversation
from models.facts import FactKind
from models.streams import StreamEvent

_STATUSES = frozenset(
    {
        FactKind.CONVERSATION_OPENED,
        FactKind.CONVERSATION_UPDATED,
        FactKind.CONVERSATION_SNOOZED,
        FactKind.CONVERSATION_REOPENED,
        FactKind.CONVERSATION_RESOLVED,
    }
)
_ASSIGNED = frozenset({FactKind.CONVERSATION_ASSIGNED, FactKind.CONVERSATION_UNASSIGNED})
_LABELS = frozenset({FactKind.CONVERSATION_LABELLED, FactKind.CONVERSATION_UNLABELLED})
_TEXTS = frozenset({FactKind.MESSAGE_CREATED, FactKind.MESSAGE_UPDATED, FactKind.MESSAGE_DELETED})
_READ = frozenset({FactKind.CONVERSATION_READ, FactKind.MESSAGE_CREATED})
_ALWAYS = frozenset({FactKind.CONVERSATION_OPENED, FactKind.CONVERSATION_DELETED})
TOLD = _ALWAYS | _STATUSES | _ASSIGNED | _LABELS | _TEXTS | _READ


class Move(StrEnum):
    """What an event makes of a list."""

    ENTERED = "ENTERED"
    UPDATED = "UPDATED"
    LEFT = "LEFT"


@dataclass(frozen=True)
class ListChange:
    """A change of a list, at the place of its event.

    Attributes:
        row: the conversation as it is now; None where it has left.
    """

    event: StreamEvent
    move: Move
    conversation_id: UUID
    row: Conversation | None

    @property
    def stream_id(self) -> int:
        """Of the event."""
        return self.event.stream_id

    @property
    def seq(self) -> int:
        """Of the event."""
        return self.event.seq

    @property
    def created_at(self) -> datetime:
        """Of the event."""
        return self.event.created_at


async def change_of(session: AsyncSession, wanted: Filter, event: StreamEvent) -> ListChange | None:
    """What an event of the inbox makes of the list with a filter; None when nothing.

    Raises:
        Invalid: the filter breaks its rule.
    """
    id_ = conversation_of(event)
    row = await listing.fitting(session, event.app_id, wanted, id_)
    moves = event.kind in _moving(wanted) and _is_of(wanted, event)
    if row:
        return ListChange(event, Move.ENTERED if moves and _came(event) else Move.UPDATED, id_, row)
    return ListChange(event, Move.LEFT, id_, None) if moves else None


def conversation_of(event: StreamEvent) -> UUID:
    """Which conversation an event of the inbox is about."""
    data: Mapping[str, str] = event.data
    return UUID(data["conversationId"]) if "conversationId" in data else event.entity_id


def _moving(wanted: Filter) -> frozenset[FactKind]:
    """The kinds of events that can move a conversation into a list with this filter, or out of it."""
    dimensions = {
        _STATUSES: bool(wanted.statuses or wanted.priority or wanted.unread_by),
        _ASSIGNED: bool(wanted.assignee_id or wanted.unassigned),
        _LABELS: bool(wanted.label_id),
        _TEXTS: bool(wanted.search),
        _READ: bool(wanted.unread_by),
    }
    kinds = (kinds for kinds, matters in dimensions.items() if matters)
    return _ALWAYS.union(*kinds)


def _is_of(wanted: Filter, event: StreamEvent) -> bool:
    """Whether an event of labels is about the one that is asked for; all others may matter."""
    return event.kind not in _LABELS or event.data.get("labelId") == str(wanted.label_id)


def _came(event: StreamEvent) -> bool:
    """Whether such an event brings in what was not there; a message may, where it was read before."""
    return event.kind is not FactKind.CONVERSATION_READ
