"""Whom a broadcast is for, as it is asked for and as it is stored."""

from collections.abc import Sequence
from typing import Any, TypedDict, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain import contacts
from domain.broadcasts import audience, ways
from domain.broadcasts.audience import Reach
from domain.segments import conditions, saved
from models.broadcasts import Broadcast, TargetType
from models.channels import ChannelKind

NAMED_MOST = 1_000
_NOBODY: dict[str, Any] = {"contact_ids": [], "segment_id": None, "segment_query": None}


class Target(TypedDict):
    """Whom it is for: lists with SPECIFIC_USERS, a saved segment or conditions with SEGMENT; and whom it leaves out."""

    target_type: TargetType
    contact_ids: list[UUID]
    user_ids: list[str]
    segment_id: UUID | None
    segment_query: Any
    exclude_segment_id: UUID | None
    exclude_query: Any


def target(kind: TargetType, **given: Any) -> Target:
    """A target of which only some is given."""
    whole: Target = {
        "target_type": kind,
        "contact_ids": [],
        "user_ids": [],
        "segment_id": None,
        "segment_query": None,
        "exclude_segment_id": None,
        "exclude_query": None,
    }
    return cast("Target", whole | given)


async def resolve(session: AsyncSession, app_id: UUID, target: Target) -> dict[str, Any]:
    """The target as it is stored: the contacts named by either kind of id, the conditions in their canonical form.

    Raises:
        Invalid: what is given does not fit the type, a condition is malformed, or ids are not of this app.
        NotFound: there is no such segment.
    """
    _refuse_strangers(target)
    excluded = await _query(session, app_id, target["exclude_segment_id"], target["exclude_query"], "exclude")
    without = {"exclude_segment_id": target["exclude_segment_id"], "exclude_query": excluded}
    kind = {"target_type": target["target_type"]}
    return _NOBODY | kind | without | await _meant(session, app_id, target)


async def preview(
    session: AsyncSession, app_id: UUID, target: Target, channels: Sequence[ChannelKind] | None = None
) -> Reach:
    """How many a broadcast with this target would reach now; by IN_APP when no channels are named.

    Raises:
        Invalid, NotFound: as in `resolve`, or broadcasts do not go by a channel.
    """
    by = [ChannelKind.IN_APP] if channels is None else channels
    meant = await resolve(session, app_id, target)
    return await audience.count(session, Broadcast(app_id=app_id, channels=ways.clean(by), **meant))


def _refuse_strangers(target: Target) -> None:
    """What belongs to another type of target."""
    named, kind = bool(target["contact_ids"] or target["user_ids"]), target["target_type"]
    if named and kind is not TargetType.SPECIFIC_USERS:
        raise Invalid(f"{kind.value} takes no ids; use SPECIFIC_USERS.", field="target.targetType")
    conditioned = target["segment_id"] is not None or target["segment_query"] is not None
    if conditioned and kind is not TargetType.SEGMENT:
        raise Invalid(f"{kind.value} takes no segment; use SEGMENT.", field="target.targetType")


async def _meant(session: AsyncSession, app_id: UUID, target: Target) -> dict[str, Any]:
    if target["target_type"] is TargetType.SPECIFIC_USERS:
        return {"contact_ids": await _named(session, app_id, target)}
    if target["target_type"] is TargetType.SEGMENT:
        query = await _query(session, app_id, target["segment_id"], target["segment_query"], "segment")
        if query is None:
            raise Invalid("SEGMENT takes a segmentId or a segmentQuery.", field="target.segmentId")
        return {"segment_id": target["segment_id"], "segment_query": query}
    return {}


async def _named(session: AsyncSession, app_id: UUID, target: Target) -> list[UUID]:
    if not 1 <= len(target["contact_ids"]) + len(target["user_ids"]) <= NAMED_MOST:
        raise Invalid(
            f"SPECIFIC_USERS takes 1 to {NAMED_MOST} contactIds and userIds together.", field="target.contactIds"
        )
    return await contacts.ids_of(session, app_id, target["contact_ids"], target["user_ids"], within="target.")


async def _query(session: AsyncSession, app_id: UUID, segment_id: UUID | None, query: Any, name: str) -> Any:
    """The canonical conditions of a saved segment or of an inline query; None when neither is given."""
    if segment_id is not None and query is not None:
        raise Invalid(f"Give {name}Id or {name}Query, not both.", field=f"target.{name}Query")
    if segment_id is not None:
        return (await saved.get(session, app_id, segment_id, field=f"target.{name}Id")).conditions
    return None if query is None else conditions.dump(conditions.parse(query, field=f"target.{name}Query"))
