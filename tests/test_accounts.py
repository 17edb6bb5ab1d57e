"""Sign-up, sign-in, sessions: A1 and the start of A2."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
import time_machine
from argon2 import PasswordHasher

from core.clock import now
from core.database import transaction
from core.errors import Unauthenticated
from domain import auth, proofs, sessions, tries
from domain.principals import Caller
from models.sessions import UserSession
from models.team import AdminUser, Membership, Role
from tests.support import factories
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph

SIGN_UP = """mutation($input: SignUpInput!) { signUp(input: $input) {
  accessToken session { user { email } app { name } } userErrors { code message field } } }"""
SIGN_IN = """mutation($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken session { id isCurrent } userErrors { code message field } } }"""
SESSIONS = "{ sessions { id isCurrent ip } }"
SIGN_OUT = "mutation { signOut { session { id } userErrors { code } } }"
REVOKE = """mutation($input: RevokeSessionInput!) { revokeSession(input: $input) {
  session { id } userErrors { code message field } } }"""


async def sign_in(graph: Graph, team: Team, password: str = PASSWORD) -> dict:
    return (await graph.as_(None).data(SIGN_IN, input={"email": team.email, "password": password}))["signIn"]


async def test_sign_up_makes_an_app_and_its_owner_signed_in(graph: Graph) -> None:
    email = f"{uuid4()}@Example.com"
    asked = {"appName": "Shop", "name": "Grace", "email": email, "password": PASSWORD}
    payload = await graph.as_(None).change(SIGN_UP, **asked)
    assert payload["session"] == {"user": {"email": email.lower()}, "app": {"name": "Shop"}}
    owner = graph.as_(payload["accessToken"])
    assert len((await owner.data(SESSIONS))["sessions"]) == 1


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("email", "no-address", "BAD_USER_INPUT"),
        ("email", "ü@example.com", "BAD_USER_INPUT"),
        ("email", "ada@exämple.com", "BAD_USER_INPUT"),
        ("email", "a..b@example.com", "BAD_USER_INPUT"),
        ("email", "a,b@example.com", "BAD_USER_INPUT"),
        ("email", 'a"b@example.com', "BAD_USER_INPUT"),
        ("password", "short", "BAD_USER_INPUT"),
        ("password", "x" * 129, "BAD_USER_INPUT"),
        ("appName", " ", "BAD_USER_INPUT"),
        ("name", "x" * 101, "BAD_USER_INPUT"),
    ],
)
async def test_sign_up_names_the_field_that_breaks_its_rule(graph: Graph, field: str, value: str, code: str) -> None:
    asked = {"appName": "Shop", "name": "Grace", "email": f"{uuid4()}@example.com", "password": PASSWORD}
    (error,) = await graph.as_(None).refused(SIGN_UP, **(asked | {field: value}))
    assert (error["code"], error["field"]) == (code, [field])


async def test_two_sign_ups_with_one_e_mail_make_one_account(graph: Graph) -> None:
    asked = {"appName": "Shop", "name": "Grace", "email": f"{uuid4()}@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(graph.as_(None).data(SIGN_UP, input=asked) for _ in range(3)))
    codes = [error["code"] for answer in answers for error in answer["signUp"]["userErrors"]]
    assert codes == ["CONFLICT", "CONFLICT"]


async def test_a_wrong_password_and_an_unknown_e_mail_answer_the_same(graph: Graph, team: Team) -> None:
    wrong = await graph.as_(None).ask(SIGN_IN, input={"email": team.email, "password": "not the password"})
    unknown = await graph.as_(None).ask(SIGN_IN, input={"email": f"{uuid4()}@example.com", "password": PASSWORD})
    assert wrong.body == unknown.body
    assert wrong.field("signIn")["userErrors"] == [
        {"code": "UNAUTHENTICATED", "message": "E-mail or password is wrong.", "field": None}
    ]


async def test_tries_are_throttled_for_an_account(graph: Graph, team: Team) -> None:
    asked = {"email": team.email, "password": "not the password"}
    answers = [await graph.as_(None).ask(SIGN_IN, input=asked) for _ in range(tries.TRIES_HERE + 1)]
    assert answers[-2].codes == []
    assert answers[-1].codes == ["RATE_LIMITED"]
    assert answers[-1].body["errors"][0]["extensions"]["retryAfterMs"] > 0


async def test_a_success_forgives_the_account_its_tries(graph: Graph, team: Team) -> None:
    for _ in range(tries.TRIES_HERE - 1):
        await sign_in(graph, team, "not the password")
    assert (await sign_in(graph, team))["userErrors"] == []
    assert (await sign_in(graph, team, "not the password"))["userErrors"][0]["code"] == "UNAUTHENTICATED"


async def test_a_hash_of_weaker_parameters_is_made_anew_by_a_right_password(graph: Graph, team: Team) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    own = sa.update(AdminUser).where(AdminUser.id == team.user_id)
    kept = sa.select(AdminUser.password_hash).where(AdminUser.id == team.user_id)
    async with transaction() as session:
        await session.execute(own.values(password_hash=weak))
    seen = []
    for password in ("not the password", PASSWORD, PASSWORD):
        refused = (await sign_in(graph, team, password))["userErrors"]
        assert bool(refused) is (password != PASSWORD)
        async with transaction() as session:
            seen.append(await session.scalar(kept))
    assert seen[0] == weak
    assert "m=19456,t=2,p=1" in seen[1]
    assert seen[2] == seen[1]


@pytest.mark.parametrize("text", ["a\x00b@example.com", "", "x" * 10_000])
async def test_nonsense_is_no_account(graph: Graph, text: str) -> None:
    answer = await graph.as_(None).data(SIGN_IN, input={"email": text, "password": text})
    assert answer["signIn"]["userErrors"][0]["code"] == "UNAUTHENTICATED"


async def test_a_sixth_session_ends_the_oldest(graph: Graph, team: Team) -> None:
    first = await sign_in(graph, team)
    for _ in range(5):
        latest = await sign_in(graph, team)
    assert len((await graph.as_(latest["accessToken"]).data(SESSIONS))["sessions"]) == 5
    assert (await graph.as_(first["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]


async def test_many_sign_ins_at_once_leave_five_sessions(team: Team) -> None:
    caller = Caller("127.0.0.1", "tests")
    async with transaction() as session:
        member = await session.scalar(sa.select(Membership).where(Membership.user_id == team.user_id))
    assert member is not None

    async def begin() -> None:
        async with transaction() as session:
            await sessions.start(session, member, caller)

    await asyncio.gather(*(begin() for _ in range(12)))
    async with transaction() as session:
        assert len(await sessions.listed(session, team.user_id)) == 5


async def test_sign_out_ends_the_session_at_once(graph: Graph, team: Team) -> None:
    mine = graph.as_((await sign_in(graph, team))["accessToken"])
    await mine.data(SIGN_OUT)
    answer = await mine.ask(SESSIONS)
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


async def test_nobody_ends_the_session_of_somebody_else(graph: Graph) -> None:
    other = await factories.team()
    async with transaction() as session:
        theirs = await session.scalar(sa.select(UserSession.id).where(UserSession.user_id == other.user_id))
    (error,) = await graph.refused(REVOKE, id=str(theirs))
    assert error["code"] == "NOT_FOUND"
    assert len((await graph.as_(other.token).data(SESSIONS))["sessions"]) == 1


@pytest.mark.parametrize(
    ("idle", "alive"), [(timedelta(minutes=29, seconds=59), True), (timedelta(minutes=30, seconds=1), False)]
)
async def test_a_session_idles_for_thirty_minutes(team: Team, idle: timedelta, alive: bool) -> None:
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(last_active_at=now() - idle))
    assert await _is_alive(team) is alive


@pytest.mark.parametrize(
    ("used", "idle", "alive"),
    [
        ((60.0,), timedelta(minutes=29, seconds=59), True),
        ((60.0,), timedelta(minutes=30, seconds=1), False),
        ((60.0, 69.0, 69.99), timedelta(minutes=29, seconds=50), True),
        ((60.0, 69.0, 69.99), timedelta(minutes=30, seconds=1), False),
    ],
)
async def test_a_session_idles_from_its_last_use_ten_seconds_early_at_most(
    team: Team, used: tuple[float, ...], idle: timedelta, alive: bool
) -> None:
    """The second use at 69 s is not noted, the one at 69.99 s is remembered."""
    begun = await _last_active(team)
    proofs.remembered.forget()
    for seconds in used:
        with time_machine.travel(begun + timedelta(seconds=seconds), tick=False):
            await auth.authenticate(team.token)
    own = sa.select(UserSession.id).where(UserSession.user_id == team.user_id)
    with time_machine.travel(begun + timedelta(seconds=used[-1]) + idle, tick=False):
        async with transaction() as session:
            found = await session.scalar(own.where(sessions.live(now())))
    assert bool(found) is alive


@pytest.mark.parametrize(
    ("age", "alive"), [(timedelta(hours=23, minutes=59), True), (timedelta(hours=24, minutes=1), False)]
)
async def test_a_session_lives_for_a_day(team: Team, age: timedelta, alive: bool) -> None:
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(expires_at=now() - age + sessions.ABSOLUTE))
    assert await _is_alive(team) is alive


async def _is_alive(team: Team) -> bool:
    try:
        await auth.authenticate(team.token)
    except Unauthenticated:
        return False
    return True


async def test_a_locked_session_row_holds_nobody_up(graph: Graph, team: Team) -> None:
    other = await factories.team()
    async with transaction() as session:
        stale = now() - timedelta(minutes=5)
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(last_active_at=stale))
    async with transaction() as holding:
        await holding.execute(sa.select(UserSession).where(UserSession.user_id == team.user_id).with_for_update())
        for one in (team, other):
            assert len((await graph.as_(one.token).data(SESSIONS))["sessions"]) == 1


async def test_a_websocket_that_is_only_open_does_not_keep_its_session_awake(team: Team) -> None:
    stale = now() - timedelta(minutes=5)
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(last_active_at=stale))
    await auth.prove(team.token)
    assert await _last_active(team) == stale
    await auth.authenticate(team.token)
    assert await _last_active(team) > stale


async def _last_active(team: Team) -> datetime:
    async with transaction() as session:
        own = sa.select(UserSession.last_active_at).where(UserSession.user_id == team.user_id)
        return (await session.scalars(own)).one()


async def test_an_access_token_ends_after_fifteen_minutes(team: Team) -> None:
    assert await _is_alive(team)
    with time_machine.travel(now() + timedelta(minutes=15, seconds=11)):
        assert not await _is_alive(team)


async def test_a_role_counts_as_it_is_today(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    answer = await graph.as_(agent.token).ask('mutation { deleteContact(input: {id: "x"}) { userErrors { code } } }')
    assert answer.codes == ["FORBIDDEN"]
