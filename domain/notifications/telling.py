"""Telling a person's windows what becomes of their notifications, in a stream of their own."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.streams.writing import Happened, append_happened
from models.facts import FactKind

SHOWN_MOST = 100
"""So many changed notifications are named in one event; when there are more, the list is to be read anew."""
Owned = tuple[UUID, UUID, UUID]
"""An app, a person, and one of their notifications."""


def stream(user_id: UUID) -> str:
    """What happens to the notifications of one person."""
    return f"notifications:{user_id}"


def added(session: AsyncSession, owned: Sequence[tuple[Owned, str]]) -> None:
    """Tell of each notification that is new or has grown, with the actor."""
    for (app_id, user_id, id_), actor in owned:
        one = Happened(app_id, FactKind.NOTIFICATION_ADDED, id_, actor, {}, now())
        append_happened(session, one, stream(user_id))


def changed(session: AsyncSession, owned: Iterable[Owned], actor: str) -> None:
    """Tell each person once which of theirs were read, unread or archived."""
    theirs = defaultdict[tuple[UUID, UUID], list[UUID]](list)
    for app_id, user_id, id_ in owned:
        theirs[app_id, user_id].append(id_)
    for (app_id, user_id), ids in sorted(theirs.items()):
        data = {"notificationIds": [str(id_) for id_ in ids[:SHOWN_MOST]], "count": len(ids)}
        one = Happened(app_id, FactKind.NOTIFICATION_CHANGED, user_id, actor, data, now())
        append_happened(session, one, stream(user_id))
