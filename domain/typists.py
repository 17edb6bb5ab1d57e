"""Who types in a conversation at this moment. It is told to the others and never stored.

Who types says so about every four seconds; who has not for eight does not type any more, whatever became of them. It
ends as well when they say so, when they send something, and when the websocket that said it goes.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit
from core.config import config
from core.database import on_commit
from core.errors import RateLimited
from core.lifetimes import Lifetime
from core.rosters import Entry, Roster
from domain import seats
from domain.principals import Principal
from domain.seats import Seat, Side

OVER_HTTP = ""
_roster = Roster("typing", lambda: config().typing_seconds)


@dataclass(frozen=True, order=True)
class Typist:
    """Somebody who types, once however many connections say so.

    Attributes:
        side: the contact or one of the team.
        id: which person of the team, or the contact.
        name: of the person of the team; empty for the contact.
    """

    side: Side
    id: UUID
    name: str


async def say(principal: Principal, conversation_id: UUID, *, is_typing: bool, by: Lifetime | None) -> float | None:
    """Tell the others that the asker types, or does not any more.

    Args:
        principal: a person of the team, or a device.
        conversation_id: where.
        is_typing: what they do.
        by: the websocket that says it, with which it ends; None over HTTP.

    Returns:
        The seconds after which it ends unless it is said again; None when it has ended.

    Raises:
        RateLimited: they say so too often.
        Forbidden: the asker is a program.
        NotFound: there is no such conversation for them.
    """
    await _spend(by.id if by else principal.actor)
    seat = await seats.of(principal, conversation_id)
    entry = _entry(seat, by.id if by else OVER_HTTP)
    undo = partial(_roster.take_back, conversation_id, entry)
    if not is_typing:
        if by:
            by.forget(("typing", conversation_id))
        await undo()
        return None
    if by:
        await by.keep(("typing", conversation_id), undo)
    await _roster.say(conversation_id, entry)
    if by and by.ended:
        await undo()
    return config().typing_seconds


def stopped(session: AsyncSession, conversation_id: UUID, actor: str) -> None:
    """Tell the others that `actor`, who sends something there, types no more, once this transaction has committed."""
    on_commit(session, partial(_stop, conversation_id, actor))


async def _stop(conversation_id: UUID, actor: str) -> None:
    own = [entry for entry in await _roster.here(conversation_id) if entry[0] == actor]
    await _roster.take_back(conversation_id, *own)


async def follow(principal: Principal, conversation_id: UUID) -> AsyncGenerator[list[Typist], None]:
    """Who else types there now, and again whenever that changes. A contact's devices are told of the team alone.

    Raises:
        Forbidden, NotFound: as in `say`.
    """
    seat = await seats.of(principal, conversation_id)
    told: list[Typist] | None = None
    async with aclosing(_roster.follow(conversation_id)) as lists:
        async for entries in lists:
            if (others := _others(seat, entries)) != told:
                yield (told := others)


def _others(seat: Seat, entries: frozenset[Entry]) -> list[Typist]:
    everybody = {Typist(Side(side), UUID(id_), name) for _, _, side, id_, name in entries}
    return sorted(one for one in everybody if (one.side, one.id) != (seat.side, seat.id))


def _entry(seat: Seat, connection: str) -> Entry:
    return seat.actor, connection, seat.side.value, str(seat.id), seat.name


async def _spend(who: str) -> None:
    wait = await ratelimit.allow(f"typing:{who}", config().typing_per_minute, 60.0, burst=20)
    if wait > 0:
        raise RateLimited("This is said too often; every four seconds is enough.", retry_after=wait)
