"""Sessions over the wire: renewed, ended, moved between apps."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import websockets

from core.clock import now
from core.database import transaction
from core.ids import new_id
from models.sessions import UserSession
from models.team import Role
from tests.support import audited, factories
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph
from tests.support.waiting import until

SIGN_IN = """mutation($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken session { id expiresAt app { id } } userErrors { code message field } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) { refreshSession(input: $input) {
  accessToken refreshToken session { id expiresAt } userErrors { code message field } } }"""
REVOKE_OTHERS = "mutation { revokeOtherSessions { sessions { id } userErrors { code } } }"
SWITCH = """mutation($input: SwitchAppInput!) { switchApp(input: $input) {
  accessToken refreshToken session { id ip userAgent expiresAt app { id } } userErrors { code message field } } }"""
SESSIONS = "{ sessions { id isCurrent ip userAgent createdAt lastActiveAt app { id } } }"
CONTACTS = "{ contacts { nodes { id } } }"


async def sign_in(graph: Graph, team: Team) -> dict[str, Any]:
    return await graph.as_(None).change(SIGN_IN, email=team.email, password=PASSWORD)


async def live(graph: Graph, token: str) -> list[dict[str, Any]]:
    return (await graph.as_(token).data(SESSIONS))["sessions"]


async def test_twenty_renewals_at_once_get_one_successor_and_leave_one_session(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    renewals = (graph.as_(None).change(REFRESH, refreshToken=begun["refreshToken"]) for _ in range(20))
    got = await asyncio.gather(*renewals)
    assert len({one["refreshToken"] for one in got} | {begun["refreshToken"]}) == 2
    assert {(one["session"]["id"], one["session"]["expiresAt"]) for one in got} == {
        (begun["session"]["id"], begun["session"]["expiresAt"])
    }
    for one in got:
        assert len(await live(graph, one["accessToken"])) == 2, "that of the fixture, and this one"


async def test_a_token_that_comes_again_later_ends_the_session_of_both(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    renewed = await graph.as_(None).change(REFRESH, refreshToken=begun["refreshToken"])
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.id == begun["session"]["id"])
        await session.execute(own.values(renewed_at=now() - timedelta(seconds=11)))
    for token in (begun["refreshToken"], renewed["refreshToken"]):
        (error,) = await graph.as_(None).refused(REFRESH, refreshToken=token)
        assert (error["code"], error["field"]) == ("UNAUTHENTICATED", ["refreshToken"])
    assert (await graph.as_(renewed["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é\u0000", "x" * 10_000])
async def test_nonsense_renews_nothing(graph: Graph, token: str) -> None:
    (error,) = await graph.as_(None).refused(REFRESH, refreshToken=token)
    assert (error["code"], error["field"]) == ("UNAUTHENTICATED", ["refreshToken"])


async def test_a_refresh_token_proves_nobody(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    assert (await graph.as_(begun["refreshToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]


async def test_six_sign_ins_at_once_leave_five_sessions(graph: Graph, team: Team) -> None:
    begun = await asyncio.gather(*(sign_in(graph, team) for _ in range(6)))
    answers = [await graph.as_(one["accessToken"]).ask(SESSIONS) for one in begun]
    assert sorted(answer.codes for answer in answers) == [[]] * 5 + [["UNAUTHENTICATED"]]


async def test_a_session_says_where_it_is_used(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    newest, first = await live(graph, begun["accessToken"])
    assert (newest["id"], newest["isCurrent"], first["isCurrent"]) == (begun["session"]["id"], True, False)
    assert newest["app"] == {"id": str(team.app_id)}
    assert (newest["ip"], first["ip"]) == (graph.ip, "127.0.0.1")
    assert newest["userAgent"].startswith("python-httpx2/")
    assert newest["createdAt"] == newest["lastActiveAt"]


async def test_the_other_sessions_end_at_once(graph: Graph, team: Team) -> None:
    mine, other = await sign_in(graph, team), await sign_in(graph, team)
    stranger = await factories.team()
    ended = await graph.as_(mine["accessToken"]).change(REVOKE_OTHERS)
    assert other["session"]["id"] in {one["id"] for one in ended["sessions"]}
    assert len(ended["sessions"]) == 2, "that of the fixture too"
    assert [one["id"] for one in await live(graph, mine["accessToken"])] == [mine["session"]["id"]]
    assert (await graph.as_(other["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    assert len(await live(graph, stranger.token)) == 1
    assert (await audited.actions(other["session"]["id"]))[-1] == "session.revoked"


async def test_switching_goes_on_in_another_app(graph: Graph, team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    other = await factories.joined(team, Role.AGENT)
    begun = await sign_in(graph, team)
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.id == begun["session"]["id"])
        await session.execute(own.values(ip="203.0.113.9", user_agent="old", second_factor_at=(proven := now())))
    there = await graph.as_(begun["accessToken"]).change(SWITCH, appId=str(other))
    moved = there["session"]
    assert moved["id"] != begun["session"]["id"]
    assert moved["app"] == {"id": str(other)}
    assert (moved["ip"], moved["userAgent"], moved["expiresAt"]) == (
        "203.0.113.9",
        "old",
        begun["session"]["expiresAt"],
    )
    async with transaction() as session:
        kept = sa.select(UserSession.second_factor_at).where(UserSession.id == moved["id"])
        assert await session.scalar(kept) == proven
    assert (await graph.as_(begun["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]
    await graph.as_(None).refused(REFRESH, refreshToken=begun["refreshToken"])
    agent = graph.as_(there["accessToken"])
    assert (await agent.data(CONTACTS))["contacts"] == {"nodes": []}
    assert (await agent.ask('mutation { deleteContact(input: {id: "x"}) { userErrors { code } } }')).codes == [
        "FORBIDDEN"
    ]
    assert await audited.actions(moved["id"]) == ["session.switched"]
    assert (await audited.actions(begun["session"]["id"]))[-1] == "session.revoked"


async def test_sessions_of_all_apps_are_listed_and_can_be_ended(graph: Graph, team: Team) -> None:
    other = await factories.joined(team)
    there = await graph.change(SWITCH, appId=str(other))
    back = await sign_in(graph, team)
    assert back["session"]["app"] == {"id": str(other)}, "a sign-in lands in the app used last"
    here = await graph.as_(back["accessToken"]).change(SWITCH, appId=str(team.app_id))
    listed = await live(graph, here["accessToken"])
    assert [one["app"]["id"] for one in listed] == [str(team.app_id), str(other)]
    revoke = "mutation($input: RevokeSessionInput!) { revokeSession(input: $input) { userErrors { code } } }"
    await graph.as_(here["accessToken"]).change(revoke, id=there["session"]["id"])
    assert (await graph.as_(there["accessToken"]).ask(SESSIONS)).codes == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("which", ["foreign", "unknown", "nonsense"])
async def test_nobody_switches_to_an_app_they_do_not_belong_to(graph: Graph, which: str) -> None:
    foreign = (await factories.team()).app_id
    app_id = {"foreign": str(foreign), "unknown": str(new_id()), "nonsense": "x"}[which]
    (error,) = await graph.refused(SWITCH, appId=app_id)
    code = "BAD_USER_INPUT" if which == "nonsense" else "NOT_FOUND"
    assert (error["code"], error["field"]) == (code, ["appId"])
    assert len((await graph.data(SESSIONS))["sessions"]) == 1, "the session goes on"


@pytest.mark.parametrize("how", ["switch", "revoke others", "reuse"])
async def test_the_sockets_of_a_session_that_ended_close(graph: Graph, team: Team, how: str) -> None:
    begun = await sign_in(graph, team)
    async with graph.as_(begun["accessToken"]).connect() as socket:
        if how == "switch":
            await graph.as_(begun["accessToken"]).change(SWITCH, appId=str(team.app_id))
        elif how == "revoke others":
            await graph.change(REVOKE_OTHERS)
        else:
            second = await graph.as_(None).change(REFRESH, refreshToken=begun["refreshToken"])
            await graph.as_(None).change(REFRESH, refreshToken=second["refreshToken"])
            await graph.as_(None).refused(REFRESH, refreshToken=begun["refreshToken"])
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.receive(5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


async def test_pings_do_not_keep_a_session_awake(graph: Graph, team: Team) -> None:
    stale = now() - timedelta(minutes=29, seconds=58)
    begun = await sign_in(graph, team)
    async with graph.as_(begun["accessToken"]).connect() as socket:
        async with transaction() as session:
            own = sa.update(UserSession).where(UserSession.id == begun["session"]["id"])
            await session.execute(own.values(last_active_at=stale))

        async def ping() -> int:
            """The code that the socket closes with in the end."""
            try:
                await socket.wire.send(json.dumps({"type": "ping"}))
                await socket.receive()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0
            return 0

        assert await until(ping) == 4403


async def test_operations_over_a_websocket_keep_a_session_awake(graph: Graph, team: Team) -> None:
    begun = await sign_in(graph, team)
    stale = now() - timedelta(minutes=20)
    own = UserSession.id == begun["session"]["id"]
    async with graph.as_(begun["accessToken"]).connect() as socket:
        async with transaction() as session:
            await session.execute(sa.update(UserSession).where(own).values(last_active_at=stale))

        async def use() -> datetime:
            """When the session was last used, after one more operation: the first proof may be remembered."""
            await socket.start(CONTACTS)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]
            async with transaction() as session:
                return (await session.scalars(sa.select(UserSession.last_active_at).where(own))).one()

        await until(use, lambda used: used > stale)
