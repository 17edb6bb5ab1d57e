"""Proofs remembered: the database is asked for a token's holder once a second at most, and at once when rights change.

Who ends a session, revokes a key or changes a role says `outdated`; every API process then forgets all it remembers,
this one before the change is answered, the others by a tick. Should a tick get lost, a second has passed soon.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import on_commit
from core.pubsub import hub
from domain import facts
from domain.principals import Principal

TOPIC = "proofs"
FRESH = timedelta(seconds=1)
MOST = 20_000


class Proofs:
    """Who holds which token, as it was proven within the last second. The longest known goes first when it is full."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[datetime, Principal]] = OrderedDict()
        self._round = 0

    async def holder(self, token: str, prove: Callable[[str], Awaitable[Principal]]) -> Principal:
        """Who holds `token`: remembered, else asked of `prove`, which raises when nobody does."""
        known = self._known.get(token)
        if known and timedelta(0) <= now() - known[0] < FRESH and known[1].expires_at > now():
            return known[1]
        asked_at, asked_in = now(), self._round
        principal = await prove(token)
        if asked_in == self._round:
            self._keep(token, asked_at, principal)
        return principal

    def _keep(self, token: str, asked_at: datetime, principal: Principal) -> None:
        self._known.pop(token, None)
        self._known[token] = asked_at, principal
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Remember nothing, not even what is being asked at this moment."""
        self._known.clear()
        self._round += 1


remembered = Proofs()


async def keep_true(tell: Callable[[], None]) -> None:
    """Forget whenever a process says that rights have changed, or that may have been missed; until the hub closes.

    Args:
        tell: is called each time, for who has let somebody in for longer than one request.
    """
    async with hub().subscribe(TOPIC) as ticks:
        async for _ in ticks:
            remembered.forget()
            tell()


def outdated(session: AsyncSession) -> None:
    """Say that this transaction changes who may what, such as by ending a session."""

    async def forget() -> None:
        remembered.forget()

    on_commit(session, forget)
    facts.tick(session, TOPIC)
