"""Broadcasts before they are sent: made, changed, copied, deleted."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from domain import checks, idempotency
from domain.broadcasts import targets
from domain.broadcasts.options import OPTIONS, Options, body, clean_options, title
from domain.broadcasts.queries import get, get_in, record
from domain.broadcasts.targets import Target
from domain.links import finding
from domain.principals import Principal
from models.broadcasts import Broadcast, BroadcastStatus
from models.facts import FactKind

EDITABLE = (BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED)
COPIED = (
    "title",
    "body",
    "data",
    "target_type",
    "contact_ids",
    "segment_id",
    "segment_query",
    "exclude_segment_id",
    "exclude_query",
    "time_zone",
    "goal_event_name",
    "goal_within_hours",
    *OPTIONS,
)
"""What a copy of a broadcast has of it."""


class Content(Options, total=False):
    """What it says and how it is sent; a key that is absent is left as it is."""

    title: str
    body: str
    data: dict[str, Any] | None


def clean(content: Content) -> dict[str, Any]:
    """The content as it is stored.

    Raises:
        Invalid: a field breaks its rule.
    """
    cleaned: dict[str, Any] = {}
    if "title" in content:
        cleaned["title"] = title(content["title"], "title")
    if "body" in content:
        cleaned["body"] = body(content["body"], "body")
    if "data" in content:
        cleaned["data"] = checks.json_object(content["data"], "data")
        finding.check_data(cleaned["data"])
    return cleaned | clean_options(content)


async def create(
    session: AsyncSession, principal: Principal, content: Content, target: Target, key: str | None = None
) -> Broadcast:
    """A new draft.

    Raises:
        Invalid: a field breaks its rule.
        IdempotencyKeyReused: `key` came before with another input.
    """
    id_, values = new_id(), clean(content)
    known = await idempotency.claim(session, principal.app_id, key, {"create": [values, target]}, id_)
    if known:
        return await get(session, principal.app_id, known)
    return _add(session, principal, id_, values | await targets.resolve(session, principal.app_id, target))


def _add(session: AsyncSession, principal: Principal, id_: UUID, values: dict[str, Any]) -> Broadcast:
    broadcast = Broadcast(id=id_, app_id=principal.app_id, created_by_id=principal.user_id, **values)
    session.add(broadcast)
    record(session, principal.author, FactKind.BROADCAST_CREATED, broadcast)
    return broadcast


async def update(
    session: AsyncSession, principal: Principal, broadcast_id: UUID, content: Content, target: Target | None
) -> Broadcast:
    """Change a broadcast that has not started.

    Raises:
        NotFound, Conflict: no such broadcast, or it is neither DRAFT nor SCHEDULED.
        Invalid: a field breaks its rule.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, *EDITABLE, verb="edited")
    values = clean(content) | (await targets.resolve(session, principal.app_id, target) if target else {})
    for name, value in values.items():
        setattr(broadcast, name, value)
    record(session, principal.author, FactKind.BROADCAST_UPDATED, broadcast)
    await session.flush()
    return broadcast


async def duplicate(session: AsyncSession, principal: Principal, broadcast_id: UUID, key: str | None) -> Broadcast:
    """A new draft with the content and target of another broadcast, whatever its status.

    Raises:
        NotFound: no such broadcast.
    """
    source = await get(session, principal.app_id, broadcast_id)
    id_ = new_id()
    known = await idempotency.claim(session, principal.app_id, key, {"duplicate": broadcast_id}, id_)
    if known:
        return await get(session, principal.app_id, known)
    return _add(session, principal, id_, {name: getattr(source, name) for name in COPIED})


async def delete(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Delete a draft.

    Raises:
        NotFound, Conflict: no such broadcast, or it is no draft.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.DRAFT, verb="deleted")
    await session.delete(broadcast)
    record(session, principal.author, FactKind.BROADCAST_DELETED, broadcast)
    await session.flush()
    return broadcast
