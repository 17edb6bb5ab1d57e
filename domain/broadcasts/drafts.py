"""Broadcasts before they are sent: made, changed, copied, deleted."""

from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from core.ids import new_id
from domain import checks, contacts, facts, idempotency
from domain.broadcasts.queries import get, get_in
from domain.principals import Principal
from models.broadcasts import Broadcast, BroadcastStatus, TargetType
from models.facts import FactKind

TITLE_MOST = 200
BODY_MOST = 10_000
NAMED_MOST = 1_000
EDITABLE = (BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED)


class Target(TypedDict):
    """Whom it is for; the lists are empty for ALL_USERS."""

    target_type: TargetType
    contact_ids: list[UUID]
    user_ids: list[str]


class Content(TypedDict, total=False):
    """What it says; a key that is absent is left as it is."""

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
        cleaned["title"] = checks.text(content["title"], "title", most=TITLE_MOST)
    if "body" in content:
        cleaned["body"] = checks.text(content["body"], "body", most=BODY_MOST)
    if "data" in content:
        cleaned["data"] = checks.json_object(content["data"], "data")
    return cleaned


async def resolve_target(session: AsyncSession, app_id: UUID, target: Target) -> dict[str, Any]:
    """The target as it is stored: the contacts named by either kind of id.

    Raises:
        Invalid: ids with ALL_USERS, no ids with SPECIFIC_USERS, or ids that are not of this app.
    """
    named = len(target["contact_ids"]) + len(target["user_ids"])
    if target["target_type"] is TargetType.ALL_USERS:
        if named:
            raise Invalid("ALL_USERS takes no ids; use SPECIFIC_USERS.", field="target.targetType")
        return {"target_type": TargetType.ALL_USERS, "contact_ids": []}
    if not 1 <= named <= NAMED_MOST:
        raise Invalid(
            f"SPECIFIC_USERS takes 1 to {NAMED_MOST} contactIds and userIds together.", field="target.contactIds"
        )
    ids = await contacts.ids_of(session, app_id, target["contact_ids"], target["user_ids"], within="target.")
    return {"target_type": TargetType.SPECIFIC_USERS, "contact_ids": ids}


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
    return _add(session, principal, id_, values | await resolve_target(session, principal.app_id, target))


def _add(session: AsyncSession, principal: Principal, id_: UUID, values: dict[str, Any]) -> Broadcast:
    broadcast = Broadcast(id=id_, app_id=principal.app_id, created_by_id=principal.user_id, **values)
    session.add(broadcast)
    facts.record(session, principal.app_id, FactKind.BROADCAST_CREATED, id_, actor=principal.actor)
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
    values = clean(content) | (await resolve_target(session, principal.app_id, target) if target else {})
    for name, value in values.items():
        setattr(broadcast, name, value)
    facts.record(session, principal.app_id, FactKind.BROADCAST_UPDATED, broadcast_id, actor=principal.actor)
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
    copied = ("title", "body", "data", "target_type", "contact_ids")
    return _add(session, principal, id_, {name: getattr(source, name) for name in copied})


async def delete(session: AsyncSession, principal: Principal, broadcast_id: UUID) -> Broadcast:
    """Delete a draft.

    Raises:
        NotFound, Conflict: no such broadcast, or it is no draft.
    """
    broadcast = await get_in(session, principal.app_id, broadcast_id, BroadcastStatus.DRAFT, verb="deleted")
    await session.delete(broadcast)
    facts.record(session, principal.app_id, FactKind.BROADCAST_DELETED, broadcast_id, actor=principal.actor)
    await session.flush()
    return broadcast
