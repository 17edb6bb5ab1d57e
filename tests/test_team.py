"""The team over HTTP and websocket: A6."""

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from core import ratelimit
from core.clock import now
from core.config import config
from core.database import transaction
from core.encryption import decrypt
from core.errors import RateLimited
from core.ids import new_id
from core.ratelimit import neighbourhood
from core.security import token_hash
from domain import sessions, tries
from domain.principals import Caller
from domain.team import limits
from domain.team.limits import MAILS_PER_HOUR, TRIES_PER_ADDRESS
from models.api_keys import ApiKey
from models.apps import App
from models.audit import AuditEntry
from models.invitations import Invitation
from models.mails import Mail
from models.sessions import UserSession
from models.team import AdminUser, Membership, Role
from models.two_factors import TwoFactor
from tests.support import factories
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph

ERRORS = "userErrors { code message field }"
TEAM = """{ team { totalCount nodes { id role joinedAt hasSecondFactor lastActiveAt user { id name email } } } }"""
INVITATIONS = "{ invitations { totalCount nodes { id email role isExpired invitedBy { email } } } }"
OFFER = """query($token: String!) { invitation(token: $token) {
  appName email role inviterName hasAccount expiresAt } }"""
INVITE = f"""mutation($input: InviteMemberInput!) {{ inviteMember(input: $input) {{
  invitation {{ id email role isExpired expiresAt invitedBy {{ email }} }} {ERRORS} }} }}"""
RESEND = f"""mutation($input: ResendInvitationInput!) {{ resendInvitation(input: $input) {{
  invitation {{ id expiresAt }} {ERRORS} }} }}"""
REVOKE = f"""mutation($input: RevokeInvitationInput!) {{ revokeInvitation(input: $input) {{
  invitation {{ id }} {ERRORS} }} }}"""
ACCEPT = f"""mutation($input: AcceptInvitationInput!) {{ acceptInvitation(input: $input) {{
  accessToken refreshToken session {{ id user {{ id email }} app {{ id name }} }} {ERRORS} }} }}"""
UPDATE = f"""mutation($input: UpdateMemberInput!) {{ updateMember(input: $input) {{
  membership {{ id role }} {ERRORS} }} }}"""
REMOVE = f"""mutation($input: RemoveMemberInput!) {{ removeMember(input: $input) {{
  deletedMembershipId {ERRORS} }} }}"""
LEAVE = f"mutation {{ leaveApp {{ deletedMembershipId {ERRORS} }} }}"
TRANSFER = f"""mutation($input: TransferOwnershipInput!) {{ transferOwnership(input: $input) {{
  membership {{ id role }} {ERRORS} }} }}"""
SIGN_IN = f"""mutation($input: SignInInput!) {{ signIn(input: $input) {{
  accessToken session {{ app {{ id }} }} {ERRORS} }} }}"""
SESSIONS = "{ sessions { id app { id } } }"
NEWCOMER = {"name": "Grace", "password": PASSWORD}


@pytest.fixture(autouse=True)
async def nobody_has_tried() -> None:
    """All tests come from one address, and together they accept more often than one may."""
    key = f"accept-invitation:{neighbourhood('127.0.0.1')}"
    await ratelimit.forgive(key, TRIES_PER_ADDRESS, limits.TRY_WINDOW_SECONDS)


def address() -> str:
    return f"{uuid4()}@example.com"


async def mails_to(email: str) -> list[Mail]:
    async with transaction() as session:
        return list(await session.scalars(sa.select(Mail).where(Mail.recipient == email).order_by(Mail.id)))


async def token_of(email: str) -> str:
    """What follows #token= in the newest mail to an address."""
    newest = (await mails_to(email))[-1]
    body = decrypt(newest.body, f"mails.body:{newest.id}")
    (link,) = re.findall(r"\S+#token=\S+", body)
    start, token = link.split("#token=")
    assert start == f"{config().public_url}/accept-invitation"
    return token


async def invite(graph: Graph, email: str, role: str = "AGENT") -> dict[str, Any]:
    return (await graph.change(INVITE, email=email, role=role))["invitation"]


async def member_id(of: Team) -> str:
    async with transaction() as session:
        own = sa.and_(Membership.app_id == of.app_id, Membership.user_id == of.user_id)
        return str((await session.scalars(sa.select(Membership.id).where(own))).one())


async def roles(app_id: UUID) -> list[str]:
    async with transaction() as session:
        return sorted(await session.scalars(sa.select(Membership.role).where(Membership.app_id == app_id)))


async def actions(app_id: UUID, *prefixes: str) -> list[tuple[str, str]]:
    """Actor and action of the audit log of an app, oldest first."""
    rows = sa.select(AuditEntry.actor, AuditEntry.action).where(AuditEntry.app_id == app_id).order_by(AuditEntry.id)
    async with transaction() as session:
        return [(actor, action) for actor, action in await session.execute(rows) if action.startswith(prefixes)]


async def change_invitation(email: str, **values: Any) -> None:
    async with transaction() as session:
        await session.execute(sa.update(Invitation).where(Invitation.email == email).values(**values))


def codes(errors: list[dict[str, Any]]) -> list[tuple[str, list[str] | None]]:
    return [(error["code"], error["field"]) for error in errors]


async def test_the_team_shows_who_is_in(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    async with transaction() as session:
        session.add(TwoFactor(user_id=agent.user_id, secret="-", confirmed_at=now()))
        session.add(TwoFactor(user_id=team.user_id, secret="-"))
        await session.execute(sa.delete(UserSession).where(UserSession.user_id == agent.user_id))
    found = (await graph.data(TEAM))["team"]
    assert found["totalCount"] == 2
    owner, other = found["nodes"]
    assert (owner["user"]["email"], owner["role"], owner["hasSecondFactor"]) == (team.email, "OWNER", False)
    assert (other["user"]["email"], other["role"], other["hasSecondFactor"]) == (agent.email, "AGENT", True)
    assert owner["lastActiveAt"] is not None
    assert other["lastActiveAt"] is None
    assert owner["joinedAt"] <= other["joinedAt"]


async def test_somebody_new_is_invited_and_joins(graph: Graph, team: Team) -> None:
    email = address()
    invitation = await invite(graph, email.upper(), "ADMIN")
    assert (invitation["email"], invitation["role"], invitation["isExpired"]) == (email, "ADMIN", False)
    assert invitation["invitedBy"] == {"email": team.email}
    token, stranger = await token_of(email), graph.as_(None)
    offer = (await stranger.data(OFFER, token=token))["invitation"]
    assert offer.pop("expiresAt") == invitation["expiresAt"]
    assert offer == {
        "appName": "Acme",
        "email": email,
        "role": "ADMIN",
        "inviterName": "Ada",
        "hasAccount": False,
    }
    payload = await stranger.change(ACCEPT, token=token, name=" Grace ", password=PASSWORD)
    user_id = payload["session"]["user"]["id"]
    assert payload["session"]["app"]["id"] == str(team.app_id)
    members = (await graph.as_(payload["accessToken"]).data(TEAM))["team"]["nodes"]
    assert [(one["user"]["name"], one["role"]) for one in members] == [("Ada", "OWNER"), ("Grace", "ADMIN")]
    assert (await graph.data(INVITATIONS))["invitations"]["totalCount"] == 0
    assert (await stranger.change(SIGN_IN, email=email, password=PASSWORD))["accessToken"]
    assert await actions(team.app_id, "invitation", "membership") == [
        (f"user:{team.user_id}", "invitation.created"),
        (f"user:{user_id}", "invitation.accepted"),
        (f"user:{user_id}", "membership.created"),
    ]


async def test_only_the_hash_of_a_token_is_kept_and_no_answer_tells_it(graph: Graph) -> None:
    email = address()
    answer = await graph.ask(INVITE, input={"email": email, "role": "AGENT"})
    token = await token_of(email)
    assert len(token) == 43
    assert token not in str(answer.body)
    async with transaction() as session:
        kept = (await session.scalars(sa.select(Invitation).where(Invitation.email == email))).one()
        logged = await session.scalars(sa.select(AuditEntry.after).where(AuditEntry.entity_id == kept.id))
        assert kept.token_hash == token_hash(token)
        assert [after["token_hash"] for after in logged] == ["•••"]
    (mail,) = await mails_to(email)
    assert token not in str((mail.body, mail.subject))


@pytest.mark.parametrize("death", ["accepted", "revoked", "resent", "expired", "unknown", "inviter removed"])
async def test_a_dead_link_answers_as_an_unknown_one(graph: Graph, team: Team, death: str) -> None:
    email, owner = address(), await factories.team(Role.OWNER, team.app_id)
    invitation, stranger = await invite(graph.as_(owner.token), email), graph.as_(None)
    token = await token_of(email)
    if death == "accepted":
        await stranger.change(ACCEPT, token=token, **NEWCOMER)
    elif death == "revoked":
        await graph.change(REVOKE, id=invitation["id"])
    elif death == "resent":
        await graph.change(RESEND, id=invitation["id"])
    elif death == "expired":
        await change_invitation(email, expires_at=now())
    elif death == "inviter removed":
        await graph.change(REMOVE, id=await member_id(owner))
    else:
        token = "x" * 43
    shown = await stranger.ask(OFFER, token=token)
    refused = await stranger.refused(ACCEPT, token=token, **NEWCOMER)
    words = "This invitation is no longer good. Ask who invited you for a new one."
    assert refused == [{"code": "NOT_FOUND", "message": words, "field": ["token"]}]
    assert (shown.codes, shown.body["data"]) == (["NOT_FOUND"], {"invitation": None})


@pytest.mark.parametrize("token", ["", "\x00", "x" * 10_000, "ü"])
async def test_nonsense_is_no_token(graph: Graph, token: str) -> None:
    assert codes(await graph.as_(None).refused(ACCEPT, token=token, **NEWCOMER)) == [("NOT_FOUND", ["token"])]


async def test_an_inviter_who_loses_the_role_voids_what_they_may_not_give_any_more(graph: Graph, team: Team) -> None:
    other = await factories.team(Role.OWNER, team.app_id)
    above, equal = address(), address()
    for email, role in ((above, "OWNER"), (equal, "ADMIN")):
        await invite(graph.as_(other.token), email, role)
    await graph.change(UPDATE, id=await member_id(other), role="ADMIN")
    assert (await graph.as_(None).ask(OFFER, token=await token_of(above))).codes == ["NOT_FOUND"]
    assert (await graph.as_(None).data(OFFER, token=await token_of(equal)))["invitation"]["role"] == "ADMIN"


async def test_resending_replaces_the_link_and_extends_it(graph: Graph, team: Team) -> None:
    email = address()
    invitation = await invite(graph, email)
    await change_invitation(email, expires_at=now() - timedelta(days=1))
    (expired,) = (await graph.data(INVITATIONS))["invitations"]["nodes"]
    assert expired["isExpired"] is True
    resent = (await graph.change(RESEND, id=invitation["id"]))["invitation"]
    assert resent["id"] == invitation["id"]
    assert resent["expiresAt"] > invitation["expiresAt"]
    assert len(await mails_to(email)) == 2
    payload = await graph.as_(None).change(ACCEPT, token=await token_of(email), **NEWCOMER)
    assert payload["session"]["app"]["id"] == str(team.app_id)


async def test_an_expired_invitation_is_opened_anew_by_inviting_again(graph: Graph) -> None:
    email = address()
    first = await invite(graph, email)
    assert codes(await graph.refused(INVITE, email=email, role="AGENT")) == [("CONFLICT", ["email"])]
    await change_invitation(email, expires_at=now())
    second = await invite(graph, email, "ADMIN")
    assert (second["id"], second["role"], second["isExpired"]) == (first["id"], "ADMIN", False)


async def test_a_revoked_address_can_be_invited_again(graph: Graph) -> None:
    email = address()
    first = await invite(graph, email)
    await graph.change(REVOKE, id=first["id"])
    for gone in (REVOKE, RESEND):
        assert codes(await graph.refused(gone, id=first["id"])) == [("NOT_FOUND", ["id"])]
    assert (await invite(graph, email))["id"] != first["id"]


async def test_nobody_is_invited_twice_or_as_a_member_or_without_an_address(graph: Graph, team: Team) -> None:
    assert codes(await graph.refused(INVITE, email=team.email, role="AGENT")) == [("CONFLICT", ["email"])]
    assert codes(await graph.refused(INVITE, email="nowhere", role="AGENT")) == [("BAD_USER_INPUT", ["email"])]


async def test_a_hundred_invitations_are_open_at_most(graph: Graph, team: Team) -> None:
    async with transaction() as session:
        session.add_all(
            Invitation(
                app_id=team.app_id,
                email=address(),
                role=Role.AGENT,
                token_hash=str(new_id()),
                invited_by_id=team.user_id,
                expires_at=now() + timedelta(days=no),
            )
            for no in range(101)
        )
    (error,) = await graph.refused(INVITE, email=address(), role="AGENT")
    assert (error["code"], error["field"]) == ("CONFLICT", None)
    nodes = (await graph.data("{ invitations(first: 100) { nodes { id isExpired } } }"))["invitations"]["nodes"]
    await graph.change(REVOKE, id=nodes[0]["id"])
    await invite(graph, address())


async def test_the_mails_of_an_app_are_limited(graph: Graph) -> None:
    asked = {"id": str(new_id())}
    answers = [await graph.ask(RESEND, input=asked) for _ in range(MAILS_PER_HOUR + 1)]
    assert [answer.codes for answer in answers[:-1]] == [[]] * MAILS_PER_HOUR
    assert answers[-1].codes == ["RATE_LIMITED"]


async def test_two_invitations_of_one_address_at_once_make_one(graph: Graph) -> None:
    asked = {"email": address(), "role": "AGENT"}
    answers = await asyncio.gather(*(graph.data(INVITE, input=asked) for _ in range(4)))
    refused = [codes(answer["inviteMember"]["userErrors"]) for answer in answers]
    assert sorted(refused) == [[], *[[("CONFLICT", ["email"])]] * 3]
    assert len(await mails_to(asked["email"])) == 1


async def test_two_who_accept_one_invitation_at_once_make_one_member(graph: Graph, team: Team) -> None:
    email = address()
    await invite(graph, email)
    asked, stranger = {"token": await token_of(email), **NEWCOMER}, graph.as_(None)
    answers = await asyncio.gather(*(stranger.data(ACCEPT, input=asked) for _ in range(4)))
    refused = [codes(answer["acceptInvitation"]["userErrors"]) for answer in answers]
    assert sorted(refused) == [[], *[[("NOT_FOUND", ["token"])]] * 3]
    assert await roles(team.app_id) == ["AGENT", "OWNER"]


async def test_who_has_an_account_accepts_when_signed_in_with_it(graph: Graph, team: Team) -> None:
    person = await factories.team()
    await invite(graph, person.email, "ADMIN")
    token = await token_of(person.email)
    assert (await graph.as_(None).data(OFFER, token=token))["invitation"]["hasAccount"] is True
    (error,) = await graph.as_(None).refused(ACCEPT, token=token, name="Eve", password="another password of hers")
    assert (error["code"], error["field"]) == ("UNAUTHENTICATED", None)
    assert await roles(team.app_id) == ["OWNER"]
    payload = await graph.as_(person.token).change(ACCEPT, token=token)
    assert payload["session"]["user"]["id"] == str(person.user_id)
    assert payload["session"]["app"]["id"] == str(team.app_id)
    assert (await graph.as_(payload["accessToken"]).data(TEAM))["team"]["totalCount"] == 2
    assert await roles(team.app_id) == ["ADMIN", "OWNER"]
    async with transaction() as session:
        kept = await session.get(AdminUser, person.user_id)
        assert kept is not None
        assert kept.name == "Ada"
    assert (await graph.as_(None).change(SIGN_IN, email=person.email, password=PASSWORD))["accessToken"]


async def test_the_second_factor_counts_in_the_session_of_who_joins(graph: Graph) -> None:
    person, proven_at = await factories.team(), now()
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == person.user_id)
        await session.execute(own.values(second_factor_at=proven_at))
        session.add(TwoFactor(user_id=person.user_id, secret="-", confirmed_at=proven_at))
    await invite(graph, person.email)
    payload = await graph.as_(person.token).change(ACCEPT, token=await token_of(person.email))
    async with transaction() as session:
        begun = await session.get(UserSession, UUID(payload["session"]["id"]))
        assert begun is not None
        assert begun.second_factor_at == proven_at


@pytest.mark.parametrize("has_account", [True, False])
async def test_who_is_signed_in_as_somebody_else_is_told_so(graph: Graph, team: Team, has_account: bool) -> None:
    other = await factories.team()
    email = (await factories.team()).email if has_account else address()
    await invite(graph, email)
    (error,) = await graph.as_(other.token).refused(ACCEPT, token=await token_of(email), **NEWCOMER)
    assert (error["code"], error["field"]) == ("CONFLICT", None)
    assert other.email in error["message"]
    assert await roles(team.app_id) == ["OWNER"]
    assert (await graph.as_(None).data(OFFER, token=await token_of(email)))["invitation"]["email"] == email


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "Grace"}, "password"),
        ({"name": "Grace", "password": "short"}, "password"),
        ({"password": PASSWORD}, "name"),
        ({"name": " ", "password": PASSWORD}, "name"),
    ],
)
async def test_a_new_account_keeps_the_rules_of_sign_up(graph: Graph, given: dict[str, str], field: str) -> None:
    email = address()
    await invite(graph, email)
    token = await token_of(email)
    assert codes(await graph.as_(None).refused(ACCEPT, token=token, **given)) == [("BAD_USER_INPUT", [field])]
    await graph.as_(None).change(ACCEPT, token=token, **NEWCOMER)


async def test_an_app_that_asks_for_a_second_factor_asks_who_joins(graph: Graph, team: Team) -> None:
    email = address()
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(requires_two_factor=True))
    async with transaction() as session:
        session.add(TwoFactor(user_id=team.user_id, secret="-", confirmed_at=now()))
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(second_factor_at=now()))
    await invite(graph, email, "ADMIN")
    payload = await graph.as_(None).change(ACCEPT, token=await token_of(email), **NEWCOMER)
    joined = graph.as_(payload["accessToken"])
    assert (await joined.ask(TEAM)).codes == ["TWO_FACTOR_REQUIRED"]
    assert len((await joined.data(SESSIONS))["sessions"]) == 1


async def test_another_role_ends_the_sessions_in_this_app_and_counts_from_then_on(graph: Graph, team: Team) -> None:
    agent, invited = await factories.team(Role.AGENT, team.app_id), await factories.team()
    elsewhere = await also_in(agent, invited.app_id)
    changed = await graph.change(UPDATE, id=await member_id(agent), role="ADMIN")
    assert changed["membership"]["role"] == "ADMIN"
    assert (await graph.as_(agent.token).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    (alive,) = (await graph.as_(elsewhere).data(SESSIONS))["sessions"]
    assert alive["app"] == {"id": str(invited.app_id)}
    assert await actions(team.app_id, "membership", "session.revoked") == [
        (f"user:{team.user_id}", "membership.updated"),
        (f"user:{team.user_id}", "session.revoked"),
    ]


async def also_in(person: Team, app_id: UUID) -> str:
    """A token of the same person in another app."""
    async with transaction() as session:
        member = Membership(app_id=app_id, user_id=person.user_id, role=Role.AGENT)
        session.add(member)
        await session.flush()
        return (await sessions.start(session, member, Caller("127.0.0.1", "tests"))).access_token


async def test_the_same_role_again_changes_nothing(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    await graph.change(UPDATE, id=await member_id(agent), role="AGENT")
    assert len((await graph.as_(agent.token).data(SESSIONS))["sessions"]) == 1
    assert await actions(team.app_id, "membership") == []


async def test_a_removed_member_is_out_at_once_and_their_things_have_an_owner(graph: Graph, team: Team) -> None:
    admin, invited = await factories.team(Role.OWNER, team.app_id), await factories.team()
    elsewhere, key = await also_in(admin, invited.app_id), new_id()
    email = address()
    await invite(graph.as_(admin.token), email)
    async with transaction() as session:
        made = {"id": key, "app_id": team.app_id, "created_by_id": admin.user_id}
        session.add(ApiKey(name="Shop", mode="LIVE", prefix="-", secret_hash=str(key), scopes=[], **made))
    gone = await member_id(admin)
    async with graph.as_(admin.token).connect() as socket:
        assert (await graph.change(REMOVE, id=gone))["deletedMembershipId"] == gone
        closed = await asyncio.wait_for(socket.wire.wait_closed(), 10)
        assert closed is None
        assert socket.wire.close_code == 4403
    assert (await graph.as_(admin.token).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    assert len((await graph.as_(elsewhere).data(SESSIONS))["sessions"]) == 1
    assert (await graph.data(INVITATIONS))["invitations"]["totalCount"] == 0
    async with transaction() as session:
        kept = await session.get(ApiKey, key)
        assert kept is not None
        assert (kept.created_by_id, kept.revoked_at) == (team.user_id, None)
    assert await actions(team.app_id, "membership", "session.revoked", "invitation.revoked") == [
        (f"user:{team.user_id}", "membership.deleted"),
        (f"user:{team.user_id}", "invitation.revoked"),
        (f"user:{team.user_id}", "session.revoked"),
    ]


async def test_a_websocket_of_another_role_closes(graph: Graph, team: Team) -> None:
    admin = await factories.team(Role.ADMIN, team.app_id)
    async with graph.as_(admin.token).connect() as socket:
        await graph.change(UPDATE, id=await member_id(admin), role="AGENT")
        await asyncio.wait_for(socket.wire.wait_closed(), 10)
        assert socket.wire.close_code == 4403


async def test_a_removed_member_can_be_invited_again(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    await graph.change(REMOVE, id=await member_id(agent))
    await invite(graph, agent.email)
    offer = (await graph.as_(None).data(OFFER, token=await token_of(agent.email)))["invitation"]
    assert offer["hasAccount"] is True


async def test_nobody_removes_themselves_but_they_may_leave(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    assert codes(await graph.refused(REMOVE, id=await member_id(team))) == [("CONFLICT", ["id"])]
    left = (await graph.as_(agent.token).data(LEAVE))["leaveApp"]
    assert left["userErrors"] == []
    assert (await graph.as_(agent.token).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    assert await roles(team.app_id) == ["OWNER"]


async def test_the_last_owner_stays(graph: Graph, team: Team) -> None:
    await factories.team(Role.ADMIN, team.app_id)
    assert codes(await graph.refused(UPDATE, id=await member_id(team), role="ADMIN")) == [("CONFLICT", None)]
    assert codes((await graph.data(LEAVE))["leaveApp"]["userErrors"]) == [("CONFLICT", None)]
    assert await roles(team.app_id) == ["ADMIN", "OWNER"]
    assert len((await graph.data(SESSIONS))["sessions"]) == 1


async def test_two_owners_who_demote_each_other_leave_one(graph: Graph, team: Team) -> None:
    other = await factories.team(Role.OWNER, team.app_id)
    mine, theirs = await member_id(team), await member_id(other)
    await asyncio.gather(
        graph.ask(UPDATE, input={"id": theirs, "role": "AGENT"}),
        graph.as_(other.token).ask(UPDATE, input={"id": mine, "role": "AGENT"}),
    )
    assert await roles(team.app_id) == ["AGENT", "OWNER"]


@pytest.mark.parametrize("verbs", [(LEAVE, LEAVE), (UPDATE, UPDATE), (LEAVE, UPDATE)])
async def test_of_two_owners_who_go_at_once_one_stays(graph: Graph, team: Team, verbs: tuple[str, str]) -> None:
    other = await factories.team(Role.OWNER, team.app_id)
    asked = [
        (graph.as_(one.token), verb, {"input": {"id": await member_id(one), "role": "ADMIN"}})
        for one, verb in zip((team, other), verbs, strict=True)
    ]
    await asyncio.gather(*(one.ask(verb, **(given if verb is UPDATE else {})) for one, verb, given in asked))
    assert (await roles(team.app_id)).count("OWNER") == 1


async def test_ownership_is_handed_over_in_one_step(graph: Graph, team: Team) -> None:
    agent = await factories.team(Role.AGENT, team.app_id)
    given = await graph.change(TRANSFER, id=await member_id(agent), password=PASSWORD)
    assert given["membership"]["role"] == "OWNER"
    members = (await graph.data(TEAM))["team"]["nodes"]
    assert [(one["user"]["id"], one["role"]) for one in members] == [
        (str(team.user_id), "ADMIN"),
        (str(agent.user_id), "OWNER"),
    ]
    assert (await graph.ask(INVITATIONS)).codes == ["FORBIDDEN"]
    assert (await graph.as_(agent.token).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    assert await actions(team.app_id, "membership") == [(f"user:{team.user_id}", "membership.updated")] * 2


async def test_handing_over_forgives_no_tries(graph: Graph, team: Team) -> None:
    """The password alone would clear the count of wrong codes."""
    for _ in range(tries.TRIES_HERE - 1):
        await tries.count_code(team.email, graph.ip)
    await graph.refused(TRANSFER, id=str(new_id()), password=PASSWORD)
    with pytest.raises(RateLimited):
        await tries.count_code(team.email, graph.ip)


async def test_handing_over_asks_for_the_password_and_for_somebody_else(graph: Graph, team: Team) -> None:
    agent, mine = await factories.team(Role.AGENT, team.app_id), await member_id(team)
    wrong = await graph.refused(TRANSFER, id=await member_id(agent), password="not the password")
    assert codes(wrong) == [("BAD_USER_INPUT", ["password"])]
    assert codes(await graph.refused(TRANSFER, id=mine, password=PASSWORD)) == [("CONFLICT", ["id"])]
    assert await roles(team.app_id) == ["AGENT", "OWNER"]


async def test_accepting_is_throttled_for_an_address() -> None:
    ip = f"10.9.{new_id().int % 250}.{new_id().int % 250}"
    for _ in range(TRIES_PER_ADDRESS):
        await limits.count_acceptance(ip)
    with pytest.raises(RateLimited):
        await limits.count_acceptance(ip)
