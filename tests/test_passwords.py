"""Passwords: which are taken, changed by who knows theirs, reset by who reads the account's mails."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import Invalid, NotFound
from core.ids import new_id
from domain import password_resets, passwords, tries
from domain.principals import Caller
from models.audit import AuditEntry
from models.mails import Mail
from models.password_resets import PasswordReset
from models.two_factors import TwoFactor
from tests.schema.test_statements import recorded
from tests.support import audited, factories, mailed
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph

NEW = "staple battery horse correct"
CALLER = Caller("203.0.113.8", "tests")
SIGN_IN = """mutation($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken session { id expiresAt } userErrors { code message field } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) { refreshSession(input: $input) {
  accessToken userErrors { code field } } }"""
CHANGE = """mutation($input: ChangePasswordInput!) { changePassword(input: $input) {
  accessToken refreshToken session { id expiresAt } userErrors { code message field } } }"""
REQUEST = """mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) {
  userErrors { code message field } } }"""
RESET = """mutation($input: ResetPasswordInput!) { resetPassword(input: $input) {
  userErrors { code message field } } }"""
SESSIONS = "{ sessions { id } }"


async def sign_in(graph: Graph, team: Team, password: str = PASSWORD) -> dict[str, Any]:
    return await graph.as_(None).change(SIGN_IN, email=team.email, password=password)


async def opens(graph: Graph, team: Team, password: str) -> bool:
    answer = await graph.as_(None).data(SIGN_IN, input={"email": team.email, "password": password})
    return answer["signIn"]["accessToken"] is not None


async def resets(team: Team) -> int:
    async with transaction() as session:
        own = sa.select(sa.func.count()).where(PasswordReset.user_id == team.user_id)
        return await session.scalar(own) or 0


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("x7#kQp9$mL2", id="11 characters"),
        pytest.param("x7#kQp9$" * 16 + "!", id="129 characters"),
        pytest.param("x7#kQp9$" * 1_000, id="8000 characters"),
        *("aaaaaaaaaaaa", "123456789012", "password1234", "qwertyuiop123", "abcabcabcabc", "Passw0rd2026"),
        *("ada@example.com", "adalovelace1", "acmeacmeacme"),
    ],
)
async def test_a_password_that_is_no_good(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        await passwords.check(password, known=("ada@example.com", "Ada Lovelace", "Acme"))
    assert refused.value.field == "password"


async def test_a_new_account_needs_a_good_one(graph: Graph) -> None:
    sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field } } }"
    person = {"appName": "Acme", "name": "Ada Lovelace", "email": f"{new_id()}@example.com"}
    for password in ("password1234", "ada lovelace"):
        (error,) = await graph.as_(None).refused(sign_up, **person, password=password)
        assert error == {"code": "BAD_USER_INPUT", "field": ["password"]}


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "x7#kQp9$mL2!",
        "  leading and trailing blanks  ",
        "пароль из слов",
        "x7#kQp9$" * 16,
        "\0 and 😀 and more",
    ],
)
async def test_a_password_that_is_good(password: str) -> None:
    await passwords.check(password, known=("ada@example.com", "Ada Lovelace", "Acme"))


async def test_a_change_goes_on_with_one_session(graph: Graph, team: Team) -> None:
    mine, other = await sign_in(graph, team), await sign_in(graph, team)
    await factories.password_reset(team)
    changed = await graph.as_(mine["accessToken"]).change(CHANGE, currentPassword=PASSWORD, newPassword=NEW)
    assert changed["session"]["id"] != mine["session"]["id"]
    assert changed["session"]["expiresAt"] == mine["session"]["expiresAt"]
    for one in (mine, other):
        assert (await graph.as_(one["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
        await graph.as_(None).refused(REFRESH, refreshToken=one["refreshToken"])
    assert (await graph.as_(changed["accessToken"]).data(SESSIONS))["sessions"] == [{"id": changed["session"]["id"]}]
    await graph.as_(None).change(REFRESH, refreshToken=changed["refreshToken"])
    assert (await opens(graph, team, PASSWORD), await opens(graph, team, NEW)) == (False, True)
    assert await resets(team) == 0


async def test_a_change_is_noted_and_mailed_without_the_password(graph: Graph, team: Team) -> None:
    await graph.change(CHANGE, currentPassword=PASSWORD, newPassword=NEW)
    (entry,) = await audited.entries(team.user_id)
    assert (entry.action, entry.actor, entry.app_id) == ("user.password_changed", f"user:{team.user_id}", team.app_id)
    assert (entry.before, entry.after) == ({"password_hash": "•••"}, {"password_hash": "•••"})
    assert await mailed.subjects(team.email) == ["ReplyHQ: your password was changed"]
    assert NEW not in await mailed.latest(team.email)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currentPassword": "not the password"}, "currentPassword"),
        ({"newPassword": "short"}, "newPassword"),
        ({"newPassword": "password1234"}, "newPassword"),
    ],
)
async def test_a_change_that_is_refused(graph: Graph, team: Team, change: dict[str, str], field: str) -> None:
    (error,) = await graph.refused(CHANGE, **({"currentPassword": PASSWORD, "newPassword": NEW} | change))
    assert (error["code"], error["field"]) == ("BAD_USER_INPUT", [field])
    assert len((await graph.data(SESSIONS))["sessions"]) == 1
    assert await mailed.subjects(team.email) == []


async def test_the_account_s_own_e_mail_is_no_password(graph: Graph, team: Team) -> None:
    (error,) = await graph.refused(CHANGE, currentPassword=PASSWORD, newPassword=team.email)
    assert error["field"] == ["newPassword"]


async def test_guessing_by_changes_is_throttled_as_sign_ins_are(graph: Graph, team: Team) -> None:
    wrong = {"currentPassword": "not the password", "newPassword": NEW}
    answers = [await graph.ask(CHANGE, input=wrong) for _ in range(tries.TRIES_HERE + 1)]
    assert [answer.codes for answer in answers] == [[]] * tries.TRIES_HERE + [["RATE_LIMITED"]]
    signing_in = await graph.as_(None).ask(SIGN_IN, input={"email": team.email, "password": PASSWORD})
    assert signing_in.codes == ["RATE_LIMITED"], "one account, one count"


async def test_of_two_changes_at_once_one_wins(graph: Graph, team: Team) -> None:
    first, second = await sign_in(graph, team), await sign_in(graph, team)
    new = {first["accessToken"]: f"{NEW} 1", second["accessToken"]: f"{NEW} 2"}
    asked = [
        graph.as_(one).ask(CHANGE, input={"currentPassword": PASSWORD, "newPassword": to}) for one, to in new.items()
    ]
    answers = await asyncio.gather(*asked)
    won = [answer.status == 200 and not answer.field("changePassword")["userErrors"] for answer in answers]
    assert sorted(won) == [False, True]
    assert [await opens(graph, team, to) for to in new.values()] == won


async def test_an_account_and_none_are_answered_the_same(graph: Graph, team: Team) -> None:
    known = await graph.as_(None).ask(REQUEST, input={"email": f" {team.email.upper()}"})
    for email in (f"{new_id()}@example.com", "", "no address", "a\x00b@example.com", "x" * 10_000):
        unknown = await graph.as_(None).ask(REQUEST, input={"email": email})
        assert (unknown.status, unknown.body) == (known.status, known.body)
        assert set(unknown.headers) == set(known.headers)
        assert unknown.headers["content-length"] == known.headers["content-length"]
    assert known.field("requestPasswordReset") == {"userErrors": []}
    assert await mailed.subjects(team.email) == ["ReplyHQ: reset your password"]


async def test_an_account_and_none_cost_the_same_statements(team: Team) -> None:
    await password_resets.request(CALLER, team.email)
    with recorded() as known:
        await password_resets.request(CALLER, team.email)
    with recorded() as unknown:
        await password_resets.request(CALLER, stranger := f"{new_id()}@example.com")
    ended = {"RELEASE SAVEPOINT": "end", "ROLLBACK TO SAVEPOINT": "end"}
    said = [[ended.get(one.rpartition(" ")[0], one) for one in seen] for seen in (known, unknown)]
    assert said[0] == said[1]
    assert await mailed.mails(stranger) == []


async def test_a_request_is_noted(team: Team) -> None:
    await password_resets.request(CALLER, team.email)
    (entry,) = await audited.entries(team.user_id)
    assert (entry.action, entry.actor, entry.ip) == ("user.password_reset_requested", "nobody", CALLER.ip)
    assert entry.app_id == team.app_id


async def test_a_request_for_nobody_is_noted_without_the_address() -> None:
    caller, stranger = Caller("198.51.100.77", "tests"), f"{new_id()}@example.com"
    await password_resets.request(caller, stranger)
    async with transaction() as session:
        told = (await session.scalars(sa.select(AuditEntry).where(AuditEntry.ip == caller.ip))).all()
    assert [(one.action, one.app_id, one.entity_id, one.before, one.after) for one in told] == [
        ("user.password_reset_requested", None, None, None, None)
    ]


@pytest.mark.parametrize("known", [True, False])
async def test_requests_are_throttled_for_an_address_whether_or_not_it_has_an_account(
    graph: Graph, team: Team, known: bool
) -> None:
    asked = {"email": team.email if known else f"{new_id()}@example.com"}
    answers = [await graph.as_(None).ask(REQUEST, input=asked) for _ in range(tries.RESETS_HERE + 1)]
    assert [answer.codes for answer in answers] == [[]] * tries.RESETS_HERE + [["RATE_LIMITED"]]


async def test_nobody_keeps_somebody_else_from_resetting_their_password(team: Team) -> None:
    for _ in range(tries.RESETS_HERE):
        await tries.count_reset_request(team.email, "198.51.100.79")
    with pytest.raises(tries.RateLimited):
        await tries.count_reset_request(team.email, "198.51.100.79")
    elsewhere = [tries.count_reset_request(team.email, f"198.51.101.{n}") for n in range(tries.RESETS_PER_ACCOUNT)]
    found = await asyncio.gather(*elsewhere, return_exceptions=True)
    assert [one is None for one in found].count(True) == tries.RESETS_PER_ACCOUNT - tries.RESETS_HERE


async def test_requests_and_tries_are_throttled_for_where_they_come_from(graph: Graph, team: Team) -> None:
    caller = Caller("198.51.100.78", "tests")
    for _ in range(tries.TRIES_PER_IP):
        await tries.count_reset(caller.ip)
    for step in (password_resets.request(caller, team.email), password_resets.reset(caller, token="x", new=NEW)):
        with pytest.raises(tries.RateLimited):
            await step


async def test_the_link_never_leads_where_the_request_says(graph: Graph, team: Team) -> None:
    body = {"query": REQUEST, "variables": {"input": {"email": team.email}}}
    poison = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Origin": graph.graphql.removesuffix("/graphql"),
    }
    async with httpx2.AsyncClient() as http:
        response = await http.post(graph.graphql, json=body, headers=poison)
    assert response.status_code == 200
    text = await mailed.latest(team.email)
    assert "evil" not in text
    assert "/reset-password#token=" in text


async def test_the_link_leads_to_the_public_address(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLYHQ_PUBLIC_URL", "https://app.example.com/team/")
    config.cache_clear()
    try:
        await password_resets.request(CALLER, team.email)
    finally:
        monkeypatch.undo()
        config.cache_clear()
    assert "\nhttps://app.example.com/team/reset-password#token=" in await mailed.latest(team.email)


async def test_a_link_gives_a_new_password_and_ends_all_sessions(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    async with transaction() as session:
        session.add(TwoFactor(user_id=team.user_id, secret="kept"))
    await graph.as_(None).change(REQUEST, email=team.email)
    payload = await graph.as_(None).change(RESET, token=await mailed.link_token(team.email), newPassword=NEW)
    assert payload == {"userErrors": []}, "nobody is signed in"
    for token in (team.token, begun["accessToken"]):
        assert (await graph.as_(token).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    assert (await opens(graph, team, PASSWORD), await opens(graph, team, NEW)) == (False, True)
    assert (await mailed.subjects(team.email))[-1] == "ReplyHQ: your password was changed"
    told = [entry for entry in await audited.entries(team.user_id) if entry.action.startswith("user.")]
    assert [(entry.action, entry.app_id) for entry in told] == [
        ("user.password_reset_requested", team.app_id),
        ("user.password_reset", team.app_id),
    ]
    async with transaction() as session:
        assert await session.scalar(sa.select(TwoFactor.secret).where(TwoFactor.user_id == team.user_id)) == "kept"


async def test_a_link_works_once_and_an_older_one_not_at_all(graph: Graph, team: Team) -> None:
    tokens = []
    for _ in range(2):
        await graph.as_(None).change(REQUEST, email=team.email)
        tokens.append(await mailed.link_token(team.email))
    for token, good in ((tokens[0], False), (tokens[1], True), (tokens[1], False), ("x", False), ("é\0", False)):
        answer = await graph.as_(None).data(RESET, input={"token": token, "newPassword": NEW})
        errors = [(error["code"], error["field"]) for error in answer["resetPassword"]["userErrors"]]
        assert errors == ([] if good else [("NOT_FOUND", ["token"])])


async def test_a_password_that_is_refused_leaves_the_link_good(graph: Graph, team: Team) -> None:
    token = await factories.password_reset(team)
    for bad in ("short", "password1234", team.email):
        (error,) = await graph.as_(None).refused(RESET, token=token, newPassword=bad)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", ["newPassword"])
    await graph.as_(None).change(RESET, token=token, newPassword=NEW)


async def test_a_dead_link_says_nothing_of_the_password(graph: Graph, team: Team) -> None:
    (error,) = await graph.as_(None).refused(RESET, token="x", newPassword="short")
    assert error["field"] == ["token"]


async def test_a_change_of_the_password_kills_the_link(graph: Graph, team: Team) -> None:
    token = await factories.password_reset(team)
    await graph.change(CHANGE, currentPassword=PASSWORD, newPassword=NEW)
    (error,) = await graph.as_(None).refused(RESET, token=token, newPassword=f"{NEW} 2")
    assert (error["code"], error["field"]) == ("NOT_FOUND", ["token"])


async def test_of_many_uses_of_a_link_at_once_one_wins(graph: Graph, team: Team) -> None:
    token = await factories.password_reset(team)
    new = [f"{NEW} {n}" for n in range(5)]
    answers = await asyncio.gather(
        *(graph.as_(None).data(RESET, input={"token": token, "newPassword": one}) for one in new)
    )
    won = [not answer["resetPassword"]["userErrors"] for answer in answers]
    assert won.count(True) == 1
    assert [await opens(graph, team, one) for one in new] == won


@pytest.mark.parametrize(("age", "good"), [((59, 59), True), ((60, 1), False)])
async def test_a_link_is_good_for_an_hour(team: Team, age: tuple[int, int], good: bool) -> None:
    await password_resets.request(CALLER, team.email)
    token, (minutes, seconds) = await mailed.link_token(team.email), age
    with time_machine.travel(now() + timedelta(minutes=minutes, seconds=seconds), tick=False):
        if good:
            await password_resets.reset(CALLER, token=token, new=NEW)
        else:
            with pytest.raises(NotFound):
                await password_resets.reset(CALLER, token=token, new=NEW)
    assert await resets(team) == (0 if good else 1)


async def test_tokens_of_links_are_kept_as_hashes_and_mails_encrypted(team: Team) -> None:
    await password_resets.request(CALLER, team.email)
    token = await mailed.link_token(team.email)
    assert len(token) == 43, "256 bits"
    async with transaction() as session:
        reset = sa.select(sa.literal_column("password_resets.*::text")).where(PasswordReset.user_id == team.user_id)
        mail = sa.select(sa.literal_column("mails.*::text")).where(Mail.recipient == team.email)
        kept = f"{await session.scalar(reset)} {await session.scalar(mail)}"
    assert "password_resets" not in kept
    assert token not in kept
