"""Refresh tokens and the ends of sessions, with a clock that the test moves."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import NotFound, Unauthenticated
from core.ids import new_id
from domain import auth, proofs, refresh_tokens, sessions
from domain.principals import SYSTEM, Caller
from domain.sessions import SignedIn
from models.sessions import UserSession
from models.team import AdminUser, Membership
from tests.support import audited, factories, mailed
from tests.support.factories import Team
from tests.support.signing import NEW_KEY, OLD_KEY, signing

CALLER = Caller("203.0.113.7", "tests")


async def begin(team: Team) -> SignedIn:
    async with transaction() as session:
        member = await session.scalar(sa.select(Membership).where(Membership.user_id == team.user_id))
        assert member is not None
        return await sessions.start(session, member, CALLER)


async def renewed(signed_in: SignedIn, times: int) -> list[str]:
    """The tokens of a session, the one it began with first."""
    tokens = [signed_in.refresh_token]
    for _ in range(times):
        tokens.append((await sessions.refresh(CALLER, tokens[-1])).refresh_token)
    return tokens


async def is_good(token: str) -> bool:
    try:
        await sessions.refresh(CALLER, token)
    except Unauthenticated:
        return False
    return True


async def is_live(signed_in: SignedIn) -> bool:
    async with transaction() as session:
        own = sa.select(UserSession.id).where(UserSession.id == signed_in.session.id, sessions.live(now()))
        return await session.scalar(own) is not None


async def keep_awake(signed_in: SignedIn) -> None:
    """As if it had been used this minute."""
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.id == signed_in.session.id)
        await session.execute(own.values(last_active_at=now()))


async def test_what_an_earlier_key_has_signed_is_good_until_that_key_is_taken_out(team: Team) -> None:
    with signing(OLD_KEY):
        signed_in = await begin(team)
    with signing(NEW_KEY, "another-key-that-signed-once-0123456789", OLD_KEY):
        assert (await auth.prove(signed_in.access_token)).session_id == signed_in.session.id
        anew = await sessions.refresh(CALLER, signed_in.refresh_token)
    with signing(NEW_KEY):
        assert (await auth.prove(anew.access_token)).session_id == signed_in.session.id
        assert await is_good(anew.refresh_token)
        with pytest.raises(Unauthenticated):
            await auth.prove(signed_in.access_token)
        assert not await is_good(signed_in.refresh_token)
        assert await is_live(signed_in), "a token of a key that is gone is made up, not stolen"


async def test_who_renews_twice_while_the_key_changes_gets_the_same_successor(team: Team) -> None:
    with signing(OLD_KEY, NEW_KEY):
        signed_in = await begin(team)
        first = await sessions.refresh(CALLER, signed_in.refresh_token)
    with signing(NEW_KEY, OLD_KEY):
        assert (await sessions.refresh(CALLER, signed_in.refresh_token)).refresh_token == first.refresh_token
        assert await is_good(first.refresh_token)
    assert await is_live(signed_in)


async def test_where_no_session_ends_no_process_is_told_to_forget(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(proofs, "outdated", told.append)
    await begin(team)
    assert told == []
    async with transaction() as session:
        await sessions.end_all(session, SYSTEM, team.user_id)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("which", "after", "good"),
    [
        pytest.param(2, 60.0, True, id="the newest"),
        pytest.param(1, 0.0, True, id="the one before, at once"),
        pytest.param(1, 9.0, True, id="the one before, inside the window"),
        pytest.param(1, 11.0, False, id="the one before, after the window"),
        pytest.param(0, 0.0, False, id="the first of three, inside the window"),
        pytest.param(0, 60.0, False, id="the first of three"),
    ],
)
async def test_a_token_that_comes_again(team: Team, which: int, after: float, good: bool) -> None:
    signed_in = await begin(team)
    tokens = await renewed(signed_in, 2)
    with time_machine.travel(now() + timedelta(seconds=after)):
        assert await is_good(tokens[which]) is good
        assert await is_live(signed_in) is good
        assert await is_good(tokens[-1]) is good, "the whole family ends, and only then"


async def test_the_same_token_has_the_same_successor(team: Team) -> None:
    tokens = await renewed(await begin(team), 1)
    again = await sessions.refresh(CALLER, tokens[0])
    assert again.refresh_token == tokens[1]
    assert await is_good(tokens[1])


async def test_a_token_used_twice_is_noted_and_mailed(team: Team) -> None:
    signed_in = await begin(team)
    tokens = await renewed(signed_in, 2)
    assert not await is_good(tokens[0])
    assert not await is_good(tokens[0])
    told = await audited.entries(signed_in.session.id)
    actions = ["session.started", "session.renewed", "session.renewed", "session.reused"]
    assert [entry.action for entry in told] == actions
    assert (told[-1].actor, told[-1].ip, told[-1].app_id) == ("nobody", CALLER.ip, team.app_id)
    assert not {token for token in tokens if token in str([(entry.before, entry.after) for entry in told])}
    assert await mailed.subjects(team.email) == ["ReplyHQ: a session was ended"]
    assert CALLER.ip in await mailed.latest(team.email)


async def test_who_knows_the_id_of_a_session_can_neither_renew_nor_end_it(team: Team) -> None:
    signed_in = await begin(team)
    own = signed_in.refresh_token
    id_, secret, seal = own.split(".")
    made_up = [f"{id_}.{secret}.{'x' * len(seal)}", f"{id_}.{'x' * len(secret)}.{seal}", f"{id_}..", id_, "", "é", ".."]
    other = new_id()
    planted = refresh_tokens.first(other).replace(other.hex, id_)
    for token in [*made_up, planted, own.replace(id_, other.hex)]:
        assert not await is_good(token)
    assert await is_live(signed_in)
    assert await audited.actions(signed_in.session.id) == ["session.started"]


async def test_a_sealed_token_of_a_session_that_never_was_is_refused() -> None:
    assert not await is_good(refresh_tokens.first(new_id()))


async def test_tokens_are_kept_as_hashes_only(team: Team) -> None:
    signed_in = await begin(team)
    tokens = await renewed(signed_in, 2)
    async with transaction() as session:
        row = await session.get(UserSession, signed_in.session.id)
    assert row is not None
    kept = str([getattr(row, column.key) for column in sa.inspect(UserSession).column_attrs])
    assert not [part for token in tokens for part in token.split(".")[1:] if part in kept]
    assert len(set(tokens)) == 3


async def test_many_at_once_get_the_same_successor_and_the_session_is_renewed_once(team: Team) -> None:
    signed_in = await begin(team)
    got = await asyncio.gather(*(sessions.refresh(CALLER, signed_in.refresh_token) for _ in range(20)))
    assert len({one.refresh_token for one in got}) == 1
    assert await audited.actions(signed_in.session.id) == ["session.started", "session.renewed"]
    for one in got:
        assert (await auth.authenticate(one.access_token)).session_id == signed_in.session.id


async def test_a_session_that_was_ended_is_not_renewed_and_not_called_stolen(team: Team) -> None:
    signed_in = await begin(team)
    tokens = await renewed(signed_in, 2)
    async with transaction() as session:
        await sessions.revoke(session, factories.principal(team), signed_in.session.id)
    assert [await is_good(token) for token in tokens] == [False, False, False]
    assert (await audited.actions(signed_in.session.id))[-1] == "session.revoked"
    assert await mailed.subjects(team.email) == []


@pytest.mark.parametrize(("age", "alive"), [((23, 59, 59), True), ((24, 0, 1), False)])
async def test_renewing_never_makes_a_session_live_longer(team: Team, age: tuple[int, int, int], alive: bool) -> None:
    signed_in = await begin(team)
    hours, minutes, seconds = age
    with time_machine.travel(signed_in.session.created_at + timedelta(hours=23, minutes=40)):
        await keep_awake(signed_in)
        later = await sessions.refresh(CALLER, signed_in.refresh_token)
        assert later.session.expires_at == signed_in.session.expires_at
        assert later.expires_at <= signed_in.session.expires_at
    with time_machine.travel(signed_in.session.created_at + timedelta(hours=hours, minutes=minutes, seconds=seconds)):
        await keep_awake(signed_in)
        assert await is_live(signed_in) is alive
        assert await is_good(later.refresh_token) is alive


@pytest.mark.parametrize(("idle", "alive"), [((29, 59), True), ((30, 1), False)])
async def test_a_session_that_idled_cannot_be_renewed(team: Team, idle: tuple[int, int], alive: bool) -> None:
    signed_in = await begin(team)
    minutes, seconds = idle
    with time_machine.travel(signed_in.session.last_active_at + timedelta(minutes=minutes, seconds=seconds)):
        assert await is_good(signed_in.refresh_token) is alive


async def test_the_audit_log_tells_which_session_had_to_go(team: Team) -> None:
    first = await begin(team)
    for _ in range(5):
        last = await begin(team)
    assert await audited.actions(first.session.id) == ["session.started", "session.revoked"]
    assert (await audited.entries(first.session.id))[-1].session_id == last.session.id


async def test_a_person_lands_in_the_app_used_last(team: Team) -> None:
    other = await factories.joined(team)
    async with transaction() as session:
        user = (await session.scalars(sa.select(AdminUser).where(AdminUser.id == team.user_id))).one()
        landed = await sessions.landing(session, user)
        assert landed is not None
        assert landed.app_id == team.app_id
        there = (await session.scalars(sa.select(Membership).where(Membership.app_id == other))).all()
        member = next(one for one in there if one.user_id == team.user_id)
        await sessions.start(session, member, CALLER)
    async with transaction() as session:
        landed = await sessions.landing(session, user)
        assert landed is not None
        assert landed.app_id == other


async def test_who_has_never_signed_in_lands_in_the_app_joined_first(team: Team) -> None:
    async with transaction() as session:
        await session.execute(sa.delete(UserSession).where(UserSession.user_id == team.user_id))
    await factories.joined(team)
    async with transaction() as session:
        user = (await session.scalars(sa.select(AdminUser).where(AdminUser.id == team.user_id))).one()
        landed = await sessions.landing(session, user)
    assert landed is not None
    assert landed.app_id == team.app_id


async def test_nobody_lands_with_a_password_that_has_changed_meanwhile(team: Team) -> None:
    async with transaction() as session:
        user = (await session.scalars(sa.select(AdminUser).where(AdminUser.id == team.user_id))).one()
    async with transaction() as session:
        await session.execute(sa.update(AdminUser).where(AdminUser.id == user.id).values(password_hash="another"))
    async with transaction() as session:
        assert await sessions.landing(session, user) is None


async def test_a_session_can_be_moved_once(team: Team) -> None:
    other, signed_in = await factories.joined(team), await begin(team)
    asker = await auth.authenticate(signed_in.access_token)

    async def switch() -> SignedIn:
        async with transaction() as session:
            return await sessions.switch(session, asker, other)

    results = await asyncio.gather(*(switch() for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in results if not isinstance(one, SignedIn)] == [Unauthenticated] * 4


async def test_nobody_moves_to_an_app_that_they_left(team: Team) -> None:
    other, asker = await factories.joined(team), await auth.authenticate((await begin(team)).access_token)
    async with transaction() as session:
        left = sa.and_(Membership.app_id == other, Membership.user_id == team.user_id)
        await session.execute(sa.delete(Membership).where(left))
    with pytest.raises(NotFound):
        async with transaction() as session:
            await sessions.switch(session, asker, other)


async def test_switches_sign_ins_and_renewals_at_once_do_not_block_each_other(team: Team) -> None:
    signed_in = await begin(team)
    asker = await auth.authenticate(signed_in.access_token)

    async def end_all() -> None:
        async with transaction() as session:
            await sessions.end_all(session, asker.author, team.user_id)

    async def switch() -> None:
        async with transaction() as session:
            await sessions.switch(session, asker, team.app_id)

    work = [step() for _ in range(4) for step in (end_all, switch, lambda: begin(team))]
    work += [sessions.refresh(CALLER, signed_in.refresh_token) for _ in range(4)]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert {type(one) for one in results if isinstance(one, BaseException)} <= {Unauthenticated}
