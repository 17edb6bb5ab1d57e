"""The second factor over the wire: A3."""

import asyncio
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from domain.permissions import Permission
from models.apps import App
from models.audit import AuditEntry
from models.team import Membership, Role
from tests.schema.roots import Root, arguments, ask, refusals, roots
from tests.support import factories, second_factors
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph

SIGN_IN = """mutation($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken expiresAt challenge session { id } userErrors { code message field } } }"""
CONFIRM_SIGN_IN = """mutation($input: ConfirmSignInInput!) { confirmSignIn(input: $input) {
  accessToken refreshToken challenge session { isCurrent } userErrors { code message field } } }"""
SET_UP = """mutation($input: SetUpTwoFactorInput!) { setUpTwoFactor(input: $input) {
  secret uri qrSvg userErrors { code message field } } }"""
CONFIRM = """mutation($input: ConfirmTwoFactorInput!) { confirmTwoFactor(input: $input) {
  backupCodes twoFactor { isConfirmed backupCodesLeft isRequired }
  accessToken refreshToken expiresAt session { isCurrent user { id } } userErrors { code message field } } }"""
DISABLE = """mutation($input: DisableTwoFactorInput!) { disableTwoFactor(input: $input) {
  twoFactor { isConfirmed isRequired } userErrors { code message field } } }"""
STANDING = "{ twoFactor { isConfirmed confirmedAt backupCodesLeft isRequired } }"
SECURITY = """mutation($input: UpdateAppSecurityInput!) { updateAppSecurity(input: $input) {
  app { id requiresTwoFactor } userErrors { code message field } } }"""
SESSIONS = "{ sessions { id } }"
CONTACTS = "{ contacts { totalCount } }"
PROGRESS = "subscription($id: ID!) { broadcastProgress(broadcastId: $id) { status } }"
CLOSED = [root for root in roots() if root.permission not in {None, Permission.OWN_ACCOUNT}]
OWN = [root for root in roots("query") if root.permission is Permission.OWN_ACCOUNT]


async def sign_in(graph: Graph, team: Team, password: str = PASSWORD) -> dict[str, Any]:
    return (await graph.as_(None).data(SIGN_IN, input={"email": team.email, "password": password}))["signIn"]


async def require(team: Team) -> None:
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(requires_two_factor=True))


async def set_up(graph: Graph) -> tuple[pyotp.TOTP, dict[str, Any]]:
    """An authenticator app that has taken the secret in, and what confirming answered."""
    totp = pyotp.TOTP((await graph.change(SET_UP, password=PASSWORD))["secret"])
    return totp, await graph.change(CONFIRM, code=totp.at(now()))


async def test_from_setting_up_to_signing_in(graph: Graph, team: Team) -> None:
    other = graph.as_((await sign_in(graph, team))["accessToken"])
    totp, confirmed = await set_up(graph)
    assert len(confirmed["backupCodes"]) == 10
    assert confirmed["twoFactor"] == {"isConfirmed": True, "backupCodesLeft": 10, "isRequired": False}
    for dead in (other, graph):
        assert (await dead.ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    on = graph.as_(confirmed["accessToken"])
    assert len((await on.data(SESSIONS))["sessions"]) == 1
    assert confirmed["session"]["user"] == {"id": str(team.user_id)}

    begun = await sign_in(graph, team)
    tokens = ("accessToken", "refreshToken", "expiresAt", "session")
    assert [begun[name] for name in tokens] == [None] * 4
    ended = await graph.as_(None).change(
        CONFIRM_SIGN_IN, challenge=begun["challenge"], code=totp.at(now(), counter_offset=1)
    )
    assert ended["challenge"] is None
    mine = graph.as_(ended["accessToken"])
    assert len((await mine.data(SESSIONS))["sessions"]) == 2

    again = await sign_in(graph, team)
    by_hand = confirmed["backupCodes"][0].replace("-", " ").lower()
    await graph.as_(None).change(CONFIRM_SIGN_IN, challenge=again["challenge"], code=by_hand)
    assert (await mine.data(STANDING))["twoFactor"]["backupCodesLeft"] == 9


async def test_a_wrong_code_and_a_wrong_challenge_say_so(graph: Graph, team: Team) -> None:
    await second_factors.confirmed(team)
    begun = await sign_in(graph, team)
    nobody = graph.as_(None)
    (wrong,) = await nobody.refused(CONFIRM_SIGN_IN, challenge=begun["challenge"], code="000000")
    assert (wrong["code"], wrong["field"]) == ("UNAUTHENTICATED", ["code"])
    (late,) = await nobody.refused(CONFIRM_SIGN_IN, challenge="nonsense", code="000000")
    assert (late["code"], late["field"]) == ("UNAUTHENTICATED", ["challenge"])


async def test_a_challenge_opens_nothing_and_a_token_is_no_challenge(graph: Graph, team: Team) -> None:
    totp = await second_factors.confirmed(team)
    begun = await sign_in(graph, team)
    answer = await graph.as_(begun["challenge"]).ask(SESSIONS)
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])
    (device,) = await factories.contacts(team.app_id, 1)
    for token in (team.token, await factories.device_token(device)):
        (refused,) = await graph.as_(None).refused(CONFIRM_SIGN_IN, challenge=token, code=totp.at(now()))
        assert (refused["code"], refused["field"]) == ("UNAUTHENTICATED", ["challenge"])


async def test_a_wrong_password_shows_neither_an_account_nor_a_second_factor(graph: Graph, team: Team) -> None:
    await second_factors.confirmed(team)
    plain = await factories.team()
    asked = [team.email, plain.email, f"{plain.user_id}@example.org"]
    answers = [await answer_to_wrong_password(graph, email) for email in asked]
    assert answers[0] == answers[1] == answers[2]
    assert b"E-mail or password is wrong." in answers[0][1]


async def answer_to_wrong_password(graph: Graph, email: str) -> tuple[int, bytes]:
    """Status and body, byte for byte."""
    variables = {"input": {"email": email, "password": "not the password"}}
    response = await graph._http.post(graph.graphql, json={"query": SIGN_IN, "variables": variables})
    return response.status_code, response.content


async def test_of_fifty_parallel_sign_ins_ten_are_evaluated(graph: Graph, team: Team) -> None:
    asked = {"email": team.email, "password": "not the password"}
    answers = await asyncio.gather(*(graph.as_(None).ask(SIGN_IN, input=asked) for _ in range(50)))
    evaluated = [one for one in answers if not one.codes]
    assert len(evaluated) <= 10
    assert [one.codes for one in answers if one.codes] == [["RATE_LIMITED"]] * (50 - len(evaluated))


async def test_a_failed_sign_in_is_in_the_audit_log_although_it_answers_an_error(graph: Graph, team: Team) -> None:
    await sign_in(graph, team, "not the password")
    failed = sa.select(AuditEntry).where(AuditEntry.action == "sign_in.failed", AuditEntry.entity_id == team.user_id)
    async with transaction() as session:
        entry = (await session.scalars(failed)).one()
    assert (entry.app_id, entry.actor, entry.entity) == (team.app_id, "nobody", "AdminUser")
    assert entry.after == {"reason": "password"}
    assert entry.ip == graph.ip


@pytest.fixture
async def restricted(graph: Graph, team: Team) -> Graph:
    """The owner of an app that requires a second factor, without one."""
    await require(team)
    return graph


@pytest.mark.parametrize("root", CLOSED, ids=str)
async def test_a_restricted_session_may_do_nothing_else(restricted: Graph, root: Root) -> None:
    assert refusals(await ask(restricted, root, arguments(root))) == ["TWO_FACTOR_REQUIRED"]


@pytest.mark.parametrize("root", OWN, ids=str)
async def test_a_restricted_session_may_see_its_own_account(restricted: Graph, root: Root) -> None:
    assert refusals(await ask(restricted, root, arguments(root))) == []


async def test_a_restricted_session_is_told_the_way_out_and_finds_it(restricted: Graph) -> None:
    answer = await restricted.ask(CONTACTS)
    assert answer.codes == ["TWO_FACTOR_REQUIRED"]
    assert "setUpTwoFactor" in answer.body["errors"][0]["message"]
    assert (await restricted.data(STANDING))["twoFactor"] == {
        "isConfirmed": False,
        "confirmedAt": None,
        "backupCodesLeft": 0,
        "isRequired": True,
    }
    _, confirmed = await set_up(restricted)
    on = restricted.as_(confirmed["accessToken"])
    assert (await on.data(CONTACTS))["contacts"] == {"totalCount": 0}


async def test_a_restricted_websocket_is_refused_and_told_why(restricted: Graph, team: Team) -> None:
    broadcast = await factories.broadcast(team)
    async with restricted.connect() as socket:
        await socket.start(PROGRESS, id=str(broadcast.id))
        message = await socket.receive()
    assert [error["extensions"]["code"] for error in message["payload"]] == ["TWO_FACTOR_REQUIRED"]


async def test_disabling_where_it_is_required_restricts_again(graph: Graph, team: Team) -> None:
    totp = await second_factors.confirmed(team)
    await require(team)
    assert (await graph.data(CONTACTS))["contacts"] == {"totalCount": 0}
    payload = await graph.change(DISABLE, password=PASSWORD, code=totp.at(now()))
    assert payload["twoFactor"] == {"isConfirmed": False, "isRequired": True}
    assert (await graph.ask(CONTACTS)).codes == ["TWO_FACTOR_REQUIRED"]


async def test_an_owner_requires_it_of_all_who_are_signed_in(graph: Graph, team: Team) -> None:
    admin, agent = [await factories.team(role, team.app_id) for role in (Role.ADMIN, Role.AGENT)]
    (refused,) = await graph.refused(SECURITY, requiresTwoFactor=True)
    assert (refused["code"], refused["field"]) == ("CONFLICT", ["requiresTwoFactor"])
    await second_factors.confirmed(team)
    payload = await graph.change(SECURITY, requiresTwoFactor=True)
    assert payload["app"] == {"id": str(team.app_id), "requiresTwoFactor": True}
    assert (await graph.as_(admin.token).ask(CONTACTS)).codes == ["TWO_FACTOR_REQUIRED"]
    for one in (team, agent):
        assert (await graph.as_(one.token).data(CONTACTS))["contacts"] == {"totalCount": 0}
    changed = sa.select(AuditEntry).where(AuditEntry.action == "app.updated", AuditEntry.app_id == team.app_id)
    async with transaction() as session:
        entry = (await session.scalars(changed)).one()
    assert (entry.before, entry.after) == ({"requires_two_factor": False}, {"requires_two_factor": True})
    await graph.change(SECURITY, requiresTwoFactor=False)
    assert (await graph.as_(admin.token).data(CONTACTS))["contacts"] == {"totalCount": 0}


async def test_an_open_websocket_ends_when_its_person_becomes_an_admin_without_a_second_factor(
    graph: Graph, team: Team
) -> None:
    await require(team)
    agent = await factories.team(Role.AGENT, team.app_id)
    async with graph.as_(agent.token).connect() as socket:
        async with transaction() as session:
            own = sa.update(Membership).where(Membership.user_id == agent.user_id)
            await session.execute(own.values(role=Role.ADMIN))
        await asyncio.wait_for(socket.wire.wait_closed(), 20)
        assert socket.wire.close_code == 4403


async def test_the_refused_factor_leaves_the_session_as_it_was(restricted: Graph, team: Team) -> None:
    await restricted.change(SET_UP, password=PASSWORD)
    (wrong,) = await restricted.refused(CONFIRM, code="000000")
    assert (wrong["code"], wrong["field"]) == ("BAD_USER_INPUT", ["code"])
    (wrong,) = await restricted.refused(SET_UP, password="not the password")
    assert (wrong["code"], wrong["field"]) == ("BAD_USER_INPUT", ["password"])
    assert (await restricted.ask(CONTACTS)).codes == ["TWO_FACTOR_REQUIRED"]
