"""Sign-up, sign-in, sessions: A1 and the start of A2."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from core.errors import Unauthenticated
from domain import auth, sessions
from domain.principals import Caller
from models.sessions import UserSession
from models.team import Role
from tests.support import factories
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph

SIGN_UP = """mutation($input: SignUpInput!) { signUp(input: $input) {
  accessToken session { user { email } app { name } } userErrors { code message field } } }"""
SIGN_IN = """mutation($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken session { id isCurrent } userErrors { code message field } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) { refreshSession(input: $input) {
  accessToken refreshToken userErrors { code message field } } }"""
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
    answers = [await graph.as_(None).ask(SIGN_IN, input=asked) for _ in range(auth.TRIES_PER_ACCOUNT + 1)]
    assert answers[-2].codes == []
    assert answers[-1].codes == ["RATE_LIMITED"]
    assert answers[-1].body["errors"][0]["extensions"]["retryAfterMs"] > 0


async def test_a_success_forgives_the_account_its_tries(graph: Graph, team: Team) -> None:
    for _ in range(auth.TRIES_PER_ACCOUNT - 1):
        await sign_in(graph, team, "not the password")
    assert (await sign_in(graph, team))["userErrors"] == []
    assert (await sign_in(graph, team, "not the password"))["userErrors"][0]["code"] == "UNAUTHENTICATED"


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
        member = await auth._first_membership(session, team.user_id)
    assert member is not None

    async def begin() -> None:
        async with transaction() as session:
            await sessions.start(session, member, caller)

    await asyncio.gather(*(begin() for _ in range(12)))
    async with transaction() as session:
        assert len(await sessions.listed(session, team.user_id)) == 5


async def test_a_refresh_token_works_once(graph: Graph, team: Team) -> None:
    tokens = await sign_in(graph, team)
    renewed = await graph.as_(None).change(REFRESH, refreshToken=tokens["refreshToken"])
    assert len((await graph.as_(renewed["accessToken"]).data(SESSIONS))["sessions"]) == 2
    (error,) = await graph.as_(None).refused(REFRESH, refreshToken=tokens["refreshToken"])
    assert (error["code"], error["field"]) == ("UNAUTHENTICATED", ["refreshToken"])


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
