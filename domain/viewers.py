"""Who of the team looks at a conversation at this moment: told to the others who do, never stored.

Looking lasts as long as the subscription that tells of it. So nobody has to say it again, and it cannot be forgotten to
say that it is over; what a killed process held ends after eight seconds.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, aclosing
from uuid import UUID

from core.config import config
from core.ids import new_id
from core.rosters import Roster
from domain import seats
from domain.principals import Principal

_roster = Roster("viewing", lambda: config().typing_seconds)


async def follow(
    principal: Principal, conversation_id: UUID, *, unseen: bool = False
) -> AsyncGenerator[list[UUID], None]:
    """The people who look at a conversation now, the asker among them, and again whenever that changes.

    Args:
        principal: a person of the team.
        conversation_id: what they look at.
        unseen: follow without being one of them.

    Raises:
        Forbidden: the asker is no person of the team.
        NotFound: the app has no such conversation.
    """
    user_id = principal.person()
    seat = await seats.of(principal, conversation_id)
    async with AsyncExitStack() as looking:
        if not unseen:
            entry = (seat.actor, str(new_id()), str(user_id))
            await looking.enter_async_context(_roster.held(conversation_id, entry))
        told: list[UUID] | None = None
        lists = await looking.enter_async_context(aclosing(_roster.follow(conversation_id)))
        async for entries in lists:
            if (people := sorted({UUID(id_) for _, _, id_ in entries})) != told:
                yield (told := people)


async def looking(conversation_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Who looks at each of some conversations now; nobody when nobody knows."""
    found = await _roster.here_at(conversation_ids)
    return {id_: {UUID(user_id) for _, _, user_id in entries} for id_, entries in found.items()}
