"""Somebody comes: it is noted that they are there, and what waits for somebody of the team is given out."""

from contextlib import suppress

from core.errors import Unavailable
from core.lifetimes import Lifetime
from domain import presence
from domain.conversations.assignment import waking
from domain.principals import Principal


async def arrive(principal: Principal, by: Lifetime) -> None:
    """Note that a person of the team is there, until the end of `by`. Of others nothing is noted."""
    await presence.arrive(principal, by)
    if principal.user_id:
        # with PostgreSQL away they are there all the same; the clock gives them what waits
        with suppress(Unavailable):
            await waking.somebody_arrived(principal.app_id)
