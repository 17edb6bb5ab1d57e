"""Those of a team who can be given a conversation now, and whose turn it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from domain.permissions import ROLE_PERMISSIONS, Permission
from models.apps import App
from models.assignment import AssignmentMode
from models.conversations import Conversation, ConversationStatus
from models.team import Membership

ANSWERING = [role for role, rights in ROLE_PERMISSIONS.items() if Permission.EDIT_CONVERSATIONS in rights]
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Agent:
    """Somebody who is free.

    Attributes:
        open: the conversations that they answer and that are OPEN.
        capacity: more than these are not given to them.
        last_assigned_at: when they got one last.
    """

    user_id: UUID
    open: int
    capacity: int
    last_assigned_at: datetime | None


@dataclass(frozen=True)
class Load:
    """What somebody of a team has to answer, and how much of it they can take."""

    open: int
    capacity: int


class Pool:
    """Those who are free, as long as the turn is held."""

    def __init__(self, mode: AssignmentMode, free: Iterable[Agent]) -> None:
        self._mode = mode
        self._agents = {agent.user_id: agent for agent in free}

    @property
    def room(self) -> int:
        """How many conversations can be given."""
        return sum(agent.capacity - agent.open for agent in self._agents.values())

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._agents

    def take(self, *, but: UUID | None = None) -> UUID | None:
        """Whose turn it is, other than `but`: they have one more conversation then. None when nobody is free."""
        agents = [agent for agent in self._agents.values() if agent.user_id != but]
        if not agents:
            return None
        chosen = min(agents, key=self._turn)
        chosen.open, chosen.last_assigned_at = chosen.open + 1, now()
        if chosen.open >= chosen.capacity:
            del self._agents[chosen.user_id]
        return chosen.user_id

    def _turn(self, agent: Agent) -> tuple[int, datetime, UUID]:
        load = agent.open if self._mode is AssignmentMode.BALANCED else 0
        return load, agent.last_assigned_at or _NEVER, agent.user_id


async def take_turn(session: AsyncSession, app_id: UUID) -> None:
    """Wait until nobody else chooses agents for the app, and keep them waiting until the end of the transaction."""
    name = sa.func.hashtextextended(f"assignment:{app_id}", 0)
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


async def pool(session: AsyncSession, app: App, online: Iterable[UUID], *, but: UUID | None = None) -> Pool:
    """Those of the team who are there, not away, and have fewer open conversations than they can take.

    Args:
        session: a transaction, which keeps the turn from here on.
        app: whose.
        online: who is there.
        but: a conversation that does not count.
    """
    people = list(online)
    if not people:
        return Pool(app.assignment_mode, ())
    await take_turn(session, app.id)
    load, capacity = _open(but), sa.func.coalesce(Membership.capacity, app.agent_capacity)
    there = (
        Membership.app_id == app.id,
        Membership.user_id.in_(people),
        Membership.role.in_(ANSWERING),
        Membership.is_away.is_(False),
        load < capacity,
    )
    rows = sa.select(Membership.user_id, load, capacity, Membership.last_assigned_at).where(*there)
    # whose membership is being changed is passed over: see the package
    found = await session.execute(rows.with_for_update(of=Membership, skip_locked=True, key_share=True))
    return Pool(app.assignment_mode, (Agent(*one) for one in found))


def _open(but: UUID | None = None) -> sa.ScalarSelect[int]:
    """How many conversations a member answers that are OPEN."""
    theirs = (
        Conversation.app_id == Membership.app_id,
        Conversation.assignee_id == Membership.user_id,
        Conversation.status == ConversationStatus.OPEN,
    )
    rows = sa.select(sa.func.count()).select_from(Conversation).where(*theirs)
    return (rows.where(Conversation.id != but) if but else rows).correlate(Membership).scalar_subquery()


async def loads(session: AsyncSession, members: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Load]:
    """The load of each of some members, who are pairs of app and user."""
    capacity = sa.func.coalesce(Membership.capacity, App.agent_capacity)
    rows = sa.select(Membership.app_id, Membership.user_id, _open(), capacity).join(App, App.id == Membership.app_id)
    found = await session.execute(rows.where(sa.tuple_(Membership.app_id, Membership.user_id).in_(members)))
    return {(app_id, user_id): Load(number, most) for app_id, user_id, number, most in found}
