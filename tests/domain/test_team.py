"""Who may change whom in a team, and what holds when two do it at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.database import transaction
from core.errors import Conflict, DomainError, Forbidden, NotFound
from core.ids import new_id
from domain.pages import PageRequest
from domain.permissions import outranks
from domain.principals import NOWHERE, Principal
from domain.team import accepting, invitations, members
from models.api_keys import ApiKey
from models.invitations import Invitation
from models.team import Membership, Role
from tests.support import factories
from tests.support.factories import PASSWORD, Team
from tests.support.waiting import until

Rule = Callable[[AsyncSession], Awaitable[Any]]


async def colleague(team: Team, role: Role) -> tuple[Principal, UUID]:
    """Another person of the team, as if any role had every right, and the id of their membership."""
    other = await factories.team(role, team.app_id)
    return factories.principal(other), await membership_id(other)


async def membership_id(of: Team) -> UUID:
    async with transaction() as session:
        own = sa.and_(Membership.app_id == of.app_id, Membership.user_id == of.user_id)
        return (await session.scalars(sa.select(Membership.id).where(own))).one()


async def invited(principal: Principal, role: Role = Role.AGENT) -> Invitation:
    async with transaction() as session:
        return await invitations.invite(session, principal, f"{uuid4()}@example.com", role)


async def run(rule: Rule) -> Any:
    async with transaction() as session:
        return await rule(session)


async def roles(app_id: UUID) -> list[str]:
    async with transaction() as session:
        return sorted(await session.scalars(sa.select(Membership.role).where(Membership.app_id == app_id)))


async def waiting_for_locks() -> int:
    """How many statements of this database wait for a lock."""
    waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    here = "NOT granted AND datname = current_database()"
    async with transaction() as session:
        return await session.scalar(sa.text(f"{waiting} WHERE {here}")) or 0


async def held_up(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """`work`, begun and waiting for a lock that somebody holds."""
    task = asyncio.create_task(work)
    await until(waiting_for_locks)
    return task


async def refused(task: asyncio.Task[Any]) -> type[DomainError]:
    with pytest.raises(DomainError) as caught:
        await task
    return caught.type


@pytest.mark.parametrize(
    ("one", "other", "above"),
    [
        (Role.OWNER, Role.ADMIN, True),
        (Role.OWNER, Role.AGENT, True),
        (Role.ADMIN, Role.AGENT, True),
        (Role.ADMIN, Role.ADMIN, False),
        (Role.AGENT, Role.ADMIN, False),
        (Role.ADMIN, Role.OWNER, False),
    ],
)
def test_roles_have_an_order(one: Role, other: Role, above: bool) -> None:
    assert outranks(one, other) is above


async def test_nobody_gives_a_role_above_their_own(team: Team) -> None:
    admin, own_id = await colleague(team, Role.ADMIN)
    _, agent_id = await colleague(team, Role.AGENT)
    sent = await invited(factories.principal(team), Role.OWNER)
    rules: list[Rule] = [
        lambda session: members.update(session, admin, own_id, Role.OWNER),
        lambda session: members.update(session, admin, agent_id, Role.OWNER),
        lambda session: members.transfer(session, admin, agent_id),
        lambda session: invitations.invite(session, admin, "eve@example.com", Role.OWNER),
        lambda session: invitations.resend(session, admin, sent.id),
        lambda session: invitations.revoke(session, admin, sent.id),
    ]
    for rule in rules:
        with pytest.raises(Forbidden):
            await run(rule)
    assert await roles(team.app_id) == ["ADMIN", "AGENT", "OWNER"]


async def test_nobody_changes_or_removes_somebody_above_them(team: Team) -> None:
    admin, _ = await colleague(team, Role.ADMIN)
    owner_id = await membership_id(team)
    await colleague(team, Role.OWNER)
    for rule in (
        lambda session: members.update(session, admin, owner_id, Role.AGENT),
        lambda session: members.remove(session, admin, owner_id),
    ):
        with pytest.raises(Forbidden):
            await run(rule)
    assert await roles(team.app_id) == ["ADMIN", "OWNER", "OWNER"]


async def test_who_is_below_or_equal_can_be_changed(team: Team) -> None:
    admin, _ = await colleague(team, Role.ADMIN)
    _, equal = await colleague(team, Role.ADMIN)
    _, below = await colleague(team, Role.AGENT)
    await run(lambda session: members.update(session, admin, below, Role.ADMIN))
    await run(lambda session: members.remove(session, admin, equal))
    assert await roles(team.app_id) == ["ADMIN", "ADMIN", "OWNER"]


async def test_a_program_is_no_member(team: Team) -> None:
    program = replace(factories.principal(team), user_id=None, api_key_id=new_id())
    own = await membership_id(team)
    for rule in (
        lambda session: members.leave(session, program),
        lambda session: members.update(session, program, own, Role.AGENT),
        lambda session: invitations.invite(session, program, "eve@example.com", Role.AGENT),
    ):
        with pytest.raises(Forbidden):
            await run(rule)


async def test_who_left_meanwhile_changes_nothing(team: Team) -> None:
    gone, gone_id = await colleague(team, Role.OWNER)
    await run(lambda session: members.remove(session, factories.principal(team), gone_id))
    with pytest.raises(Forbidden, match="no longer in this team"):
        await invited(gone)


async def test_the_keys_of_who_leaves_go_to_the_owner_who_joined_first(team: Team) -> None:
    leaving, _ = await colleague(team, Role.OWNER)
    await colleague(team, Role.OWNER)
    key = ApiKey(id=new_id(), app_id=team.app_id, name="Shop", mode="LIVE", prefix="-", secret_hash=str(new_id()))
    key.scopes, key.created_by_id = [], leaving.user_id
    async with transaction() as session:
        session.add(key)
    await run(lambda session: members.leave(session, leaving))
    async with transaction() as session:
        kept = await session.get(ApiKey, key.id)
        assert kept is not None
        assert kept.created_by_id == team.user_id


async def test_what_others_or_other_apps_have_sent_stays_when_somebody_goes(team: Team) -> None:
    person = await factories.team(Role.OWNER, team.app_id)
    leaving, leaving_id = factories.principal(person), await membership_id(person)
    elsewhere = await factories.joined(person, Role.OWNER)
    theirs = await invited(leaving)
    kept = [await invited(factories.principal(team)), await invited(replace(leaving, app_id=elsewhere))]
    await run(lambda session: members.remove(session, factories.principal(team), leaving_id))
    async with transaction() as session:
        rows = await session.scalars(sa.select(Invitation).where(Invitation.id.in_([theirs.id, *(k.id for k in kept)])))
        assert {row.id for row in rows if row.revoked_at} == {theirs.id}


async def test_of_two_last_owners_who_leave_the_second_waits_and_is_refused(team: Team) -> None:
    other, _ = await colleague(team, Role.OWNER)
    async with transaction() as session:
        await members.leave(session, factories.principal(team))
        second = await held_up(run(lambda inner: members.leave(inner, other)))
    assert await refused(second) is Conflict
    assert await roles(team.app_id) == ["OWNER"]


async def test_of_two_owners_who_demote_each_other_the_second_is_no_owner_any_more(team: Team) -> None:
    other, other_id = await colleague(team, Role.OWNER)
    own_id = await membership_id(team)
    async with transaction() as session:
        await members.update(session, factories.principal(team), other_id, Role.ADMIN)
        second = await held_up(run(lambda inner: members.update(inner, other, own_id, Role.ADMIN)))
    assert await refused(second) is Forbidden
    assert await roles(team.app_id) == ["ADMIN", "OWNER"]


async def test_an_invitation_of_who_is_being_removed_is_refused(team: Team) -> None:
    other, other_id = await colleague(team, Role.OWNER)
    async with transaction() as session:
        await members.remove(session, factories.principal(team), other_id)
        second = await held_up(run(lambda inner: invitations.invite(inner, other, "late@example.com", Role.AGENT)))
    assert await refused(second) is Forbidden


async def test_who_accepts_while_the_invitation_is_being_revoked_is_refused(team: Team) -> None:
    token = str((await factories.account(team))["invitation"])
    async with transaction() as session:
        await invitations.revoke(session, factories.principal(team), UUID(token))
        second = await held_up(accepting.accept(NOWHERE, None, token=token, name="Grace", password=PASSWORD))
    assert await refused(second) is NotFound
    assert await roles(team.app_id) == ["OWNER"]


async def test_invitations_are_listed_without_those_that_are_over(team: Team) -> None:
    asker = factories.principal(team)
    open_one, expired, revoked, accepted = [await invited(asker) for _ in range(4)]
    async with transaction() as session:
        for row, values in (
            (expired, {"expires_at": now() - timedelta(days=1)}),
            (revoked, {"revoked_at": now()}),
            (accepted, {"accepted_at": now()}),
        ):
            await session.execute(sa.update(Invitation).where(Invitation.id == row.id).values(**values))
    async with transaction() as session:
        page = await invitations.listed(session, team.app_id, PageRequest())
    assert [row.id for row in page.rows] == [expired.id, open_one.id]
