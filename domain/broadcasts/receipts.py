"""What became of a broadcast's messages: recipients move forward, the counts follow in the same transaction.

Devices report it (`domain.reports`), and links that are followed tell it (`domain.clicks`). Reports of many come
together, so the statements do not grow with their number.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import facts
from domain.broadcasts import rollups
from domain.broadcasts.queries import topic
from domain.in_app_messages import Advance, ReceiptKind
from models.broadcasts import (
    TALLY_SHARDS,
    BroadcastRecipient,
    BroadcastTally,
    Measure,
    RecipientStatus,
)

_KEY = re.compile(r"b([0-9a-f-]{36}):(\d+)")
_ORDER = list(RecipientStatus)
Place = tuple[UUID, int]
"""A recipient: the broadcast, and the number within it."""


class Step(StrEnum):
    """What may become of a message. The first three each include those before; what a machine does is apart.

    So is the goal of the broadcast: a contact may reach it without opening anything.
    """

    DELIVERED = "DELIVERED"
    OPENED = "OPENED"
    CLICKED = "CLICKED"
    MACHINE_OPENED = "MACHINE_OPENED"
    CONVERTED = "CONVERTED"


_WAY = (Step.DELIVERED, Step.OPENED, Step.CLICKED)


@dataclass(frozen=True)
class PushReport:
    """What a device says it did with a push, which it knows by the key of the send."""

    device_id: UUID
    key: str
    kind: ReceiptKind


async def report(
    session: AsyncSession, advances: Sequence[Advance], pushed: Sequence[PushReport], at: datetime
) -> set[PushReport]:
    """Note for the recipients what their devices did with in-app messages and with pushes.

    Args:
        session: the transaction.
        advances: the in-app messages that reports have moved forward; those that are no broadcast's are left out.
        pushed: reports on pushes.
        at: when.

    Returns:
        The reports on pushes that told something new.
    """
    shown = {place: {Step(one.report.kind.value)} for one in advances if (place := place_of(one.key))}
    own = await _own(session, pushed)
    steps = {place: {Step(one.kind.value) for one in reports} for place, reports in own.items()}
    new = await advance(session, shown | steps, at)
    return {one for place in new for one in own.get(place, ())}


def place_of(key: str) -> Place | None:
    """The recipient whom a send goes to; None of one that is no broadcast's."""
    match = _KEY.fullmatch(key)
    return (UUID(match[1]), int(match[2])) if match else None


async def _own(session: AsyncSession, reports: Sequence[PushReport]) -> dict[Place, list[PushReport]]:
    """The reports by recipient, without those of a device about what another one got."""
    given: defaultdict[Place, list[PushReport]] = defaultdict(list)
    for one in reports:
        if place := place_of(one.key):
            given[place].append(one)
    if not given:
        return {}
    places = _unnested(list(given))
    columns = (BroadcastRecipient.broadcast_id, BroadcastRecipient.seq, BroadcastRecipient.device_id)
    rows = await session.execute(sa.select(*columns).join(places, _is_at(places)))
    return {
        (id_, seq): own
        for id_, seq, device in rows
        if (own := [one for one in given[id_, seq] if one.device_id == device])
    }


async def advance(session: AsyncSession, places: Mapping[Place, Collection[Step]], at: datetime) -> set[Place]:
    """Note what became of the messages to some recipients, whoever tells it and however often.

    What a recipient has done already stays as it was, what a step includes is noted with it, and the counts grow by
    what is new. Recipients that are not there are ignored.

    Args:
        session: the transaction.
        places: the steps that each recipient is said to have done.
        at: when.

    Returns:
        The recipients of whom anything was new.
    """
    if not places:
        return set()
    new = await _advance(session, places, at)
    await _count(session, new)
    await rollups.add(session, _rolled_up(new, at))
    for broadcast_id in {one.recipient.broadcast_id for one in new}:
        facts.tick(session, topic(broadcast_id))
    return {(one.recipient.broadcast_id, one.recipient.seq) for one in new}


@dataclass(frozen=True)
class _Moved:
    """A recipient, the steps that are new for it, and whether it had been UNCERTAIN until now."""

    recipient: BroadcastRecipient
    steps: Sequence[Step]
    is_settled: bool


async def _advance(session: AsyncSession, places: Mapping[Place, Collection[Step]], at: datetime) -> list[_Moved]:
    """Fill the new times of the recipients and raise their status, locked in their order as the sender does.

    Returns those for which anything is new, in their order.
    """
    place = _unnested(list(places))
    rows = sa.select(BroadcastRecipient).join(place, _is_at(place))
    ordered = rows.order_by(BroadcastRecipient.broadcast_id, BroadcastRecipient.seq)
    locked = await session.scalars(ordered.with_for_update(key_share=True, of=BroadcastRecipient))
    moved = [_move(one, places[one.broadcast_id, one.seq], at) for one in locked]
    await session.flush()
    return [one for one in moved if one.steps]


def _unnested(places: Sequence[Place]) -> sa.TableValuedAlias:
    keys = sa.func.unnest(
        sa.cast([broadcast_id for broadcast_id, _ in places], sa.ARRAY(sa.UUID)),
        sa.cast([seq for _, seq in places], sa.ARRAY(sa.Integer)),
    ).table_valued(sa.column("broadcast_id", sa.UUID), sa.column("seq", sa.Integer))
    return keys.render_derived(name="place")


def _is_at(place: sa.TableValuedAlias) -> sa.ColumnElement[bool]:
    return sa.and_(BroadcastRecipient.broadcast_id == place.c.broadcast_id, BroadcastRecipient.seq == place.c.seq)


def _move(recipient: BroadcastRecipient, told: Collection[Step], at: datetime) -> _Moved:
    """Note what is new of the steps told and of those they include."""
    new = [step for step in _with_included(told) if getattr(recipient, f"{step.value.lower()}_at") is None]
    was_uncertain = recipient.status is RecipientStatus.UNCERTAIN
    for step in new:
        setattr(recipient, f"{step.value.lower()}_at", at)
        if step in _WAY and _ORDER.index(reached := RecipientStatus(step.value)) > _ORDER.index(recipient.status):
            recipient.status = reached
    is_settled = was_uncertain and recipient.status is not RecipientStatus.UNCERTAIN
    if is_settled:
        recipient.sent_at, recipient.error_code = at, None
    return _Moved(recipient, new, is_settled)


def _with_included(told: Collection[Step]) -> list[Step]:
    furthest = max((_WAY.index(step) for step in told if step in _WAY), default=-1)
    return [*_WAY[: furthest + 1], *(step for step in set(told) if step not in _WAY)]


async def _count(session: AsyncSession, moved: Sequence[_Moved]) -> None:
    """Add to the tallies, one row a broadcast: the shard of its first recipient here. In order, so nobody deadlocks."""
    firsts: dict[UUID, int] = {}
    counts: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for one in moved:
        firsts.setdefault(one.recipient.broadcast_id, one.recipient.seq)
        counts[one.recipient.broadcast_id].update(step.value.lower() for step in one.steps)
        counts[one.recipient.broadcast_id]["settled"] += one.is_settled
    for broadcast_id, seq in firsts.items():
        this = sa.and_(BroadcastTally.broadcast_id == broadcast_id, BroadcastTally.shard == seq % TALLY_SHARDS)
        grown = {name: getattr(BroadcastTally, name) + count for name, count in counts[broadcast_id].items() if count}
        await session.execute(sa.update(BroadcastTally).where(this).values(grown))


def _rolled_up(moved: Sequence[_Moved], at: datetime) -> rollups.Counts:
    """What is new, as it is seen by; and who turns out to have been sent to, where there are variants to compare."""
    counts: rollups.Counts = Counter()
    for one in moved:
        row = one.recipient
        for step in one.steps:
            if step is not Step.MACHINE_OPENED:
                counts.update(rollups.step(row, Measure(step.value), at, variant=row.variant))
        if one.is_settled and row.variant is not None:
            counts[rollups.sent(row.broadcast_id, row.seq, row.variant)] += 1
    return counts
