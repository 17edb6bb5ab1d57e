"""Notifications from outside: over GraphQL and websockets, written by a worker and mailed by a clock. F10."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from models.notifications import NotificationMailing
from models.team import Role
from tests.support import factories, inbox
from tests.support.client import connected
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.inbox import Line
from tests.support.mailed import mails
from tests.support.notified import told
from tests.support.processes import Api, Process
from tests.support.waiting import until

SHOWN = "id type count readAt archived actor conversation { contact { name } } message { body } broadcast { title }"
LIST = f"""query($filter: NotificationFilterInput, $first: Int, $after: String) {{
    notifications(filter: $filter, first: $first, after: $after) {{
      totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {SHOWN} }} }} notificationCounts {{ unread }} }}"""
PLACE = "__typename ... on StreamEvent { cursor sequence }"
ADDED = f"""subscription($after: String) {{ notificationAdded(after: $after) {{ {PLACE}
    ... on NotificationsSnapshot {{ unreadCount notifications {{ type }} }}
    ... on NotificationArrival {{ action unreadCount notification {{ type count message {{ body }} }} }} }} }}"""
CHANGED = f"""subscription {{ notificationChanged {{ {PLACE}
    ... on NotificationsChange {{ actor count unreadCount notifications {{ id archived }} }} }} }}"""
MARK = """mutation($input: NotificationsInput!) {{ {verb}(input: $input) {{
    notifications {{ id readAt archived }} userErrors {{ code field }} }} }}"""
ALL = """mutation($input: MarkAllNotificationsReadInput!) { markAllNotificationsRead(input: $input) {
    count userErrors { code } } }"""
WANT = """mutation($input: SetNotificationPreferenceInput!) { setNotificationPreference(input: $input) {
    preferences { types { type inApp email } } userErrors { code field } } }"""
DIGEST = """mutation($input: SetNotificationDigestInput!) { setNotificationDigest(input: $input) {
    preferences { digest { period hour timeZone } } userErrors { code field } } }"""
WANTED = "{ notificationPreferences { types { type inApp email } digest { period hour timeZone } } }"
NOTE = "mutation($input: AddNoteInput!) { addNote(input: $input) { message { id } userErrors { code } } }"
READ = "mutation($input: MarkConversationReadInput!) { markConversationRead(input: $input) { userErrors { code } } }"
VIEWERS = "subscription($id: ID!) { viewersChanged(conversationId: $id) { userIds } }"


@pytest.fixture
async def agent(team: Team) -> Team:
    return await factories.team(Role.AGENT, team.app_id)


@pytest.fixture
async def line(team: Team) -> Line:
    return await inbox.line(team)


async def listed(graph: Graph, **variables: Any) -> dict[str, Any]:
    return await graph.data(LIST, **variables)


async def unread(graph: Graph) -> list[tuple[str, int]]:
    """What is unread, the newest first."""
    nodes = (await listed(graph, filter={"unread": True}))["notifications"]["nodes"]
    return [(one["type"], one["count"]) for one in nodes]


async def test_what_a_contact_says_is_listed_and_told_and_goes_when_it_is_read(
    graph: Graph, api: Api, agent: Team, line: Line, worker: Process
) -> None:
    as_agent = graph.as_(agent.token)
    async with connected(api, agent.token) as client:
        added, changed = await client.follow(ADDED), await client.follow(CHANGED)
        state = await added.next()
        assert (state["__typename"], state["unreadCount"], state["notifications"]) == ("NotificationsSnapshot", 0, [])
        await changed.next()
        said = await line.says("My printer is broken")
        first = await added.next(20)
        assert first["notification"] == {
            "type": "UNASSIGNED_MESSAGE",
            "count": 1,
            "message": {"body": "My printer is broken"},
        }
        assert (first["action"], first["unreadCount"]) == ("notification.added", 1)
        await line.says("Hello?")
        second = await added.next(20)
        assert (second["notification"]["count"], second["unreadCount"]) == (2, 1)
        found = await listed(as_agent)
        (row,) = found["notifications"]["nodes"]
        assert row | {"id": "", "conversation": None} == {
            "id": "",
            "type": "UNASSIGNED_MESSAGE",
            "count": 2,
            "readAt": None,
            "archived": False,
            "actor": f"device:{line.device.device()}",
            "conversation": None,
            "message": {"body": "Hello?"},
            "broadcast": None,
        }
        assert found["notificationCounts"] == {"unread": 1}
        await as_agent.change(READ, id=str(said.conversation_id))
        gone = await changed.next(20)
        assert (gone["count"], gone["unreadCount"]) == (1, 0)
        assert gone["notifications"] == [{"id": row["id"], "archived": False}]
        assert gone["actor"] == f"user:{agent.user_id}"
    async with as_agent.connect() as socket:
        assert await anext(socket.frames(ADDED, after=first["cursor"])) == second | {"unreadCount": 0}
    assert (await listed(as_agent))["notificationCounts"] == {"unread": 0}
    assert await until(lambda: unread(graph), bool) == [("UNASSIGNED_MESSAGE", 2)], "others have not read it"


async def test_who_looks_at_the_conversation_is_not_told(
    graph: Graph, api: Api, agent: Team, line: Line, worker: Process
) -> None:
    said = await line.says()
    await until(lambda: told(agent), bool)
    for who in (graph, graph.as_(agent.token)):
        await who.change(ALL)
    async with connected(api, agent.token) as client:
        watch = await client.follow(VIEWERS, id=str(said.conversation_id))
        assert await watch.next() == {"userIds": [str(agent.user_id)]}
        await line.says()
        assert await until(lambda: unread(graph), bool) == [("UNASSIGNED_MESSAGE", 1)]
    assert await unread(graph.as_(agent.token)) == []


async def test_they_are_read_put_away_and_paged(graph: Graph, team: Team) -> None:
    ids = [str((await factories.notification(team)).id) for _ in range(3)]
    page = (await listed(graph, first=2))["notifications"]
    assert [row["id"] for row in page["nodes"]] == ids[:0:-1]
    rest = (await listed(graph, first=2, after=page["pageInfo"]["endCursor"]))["notifications"]
    assert ([row["id"] for row in rest["nodes"]], rest["pageInfo"]["hasNextPage"]) == (ids[:1], False)
    marked = (await graph.change(MARK.format(verb="markNotificationsRead"), ids=ids[:2]))["notifications"]
    assert [row["id"] for row in marked] == ids[:2]
    assert all(row["readAt"] for row in marked)
    assert (await listed(graph, filter={"unread": True}))["notifications"]["totalCount"] == 1
    assert (await listed(graph, filter={"types": ["MENTION"]}))["notifications"]["totalCount"] == 0
    (away,) = (await graph.change(MARK.format(verb="archiveNotifications"), ids=ids[2:]))["notifications"]
    assert away["archived"]
    shown = await listed(graph)
    assert ([row["id"] for row in shown["notifications"]["nodes"]], shown["notificationCounts"]) == (
        ids[1::-1],
        {"unread": 0},
    )
    (back,) = (await graph.change(MARK.format(verb="markNotificationsUnread"), ids=ids[2:]))["notifications"]
    assert (back["readAt"], back["archived"]) == (None, False)
    assert (await graph.change(ALL))["count"] == 1


async def test_nobody_touches_those_of_another_person(graph: Graph, team: Team, agent: Team) -> None:
    theirs = str((await factories.notification(agent)).id)
    for verb in ("markNotificationsRead", "markNotificationsUnread", "archiveNotifications"):
        refused = await graph.refused(MARK.format(verb=verb), ids=[theirs])
        assert [(one["code"], one["field"]) for one in refused] == [("NOT_FOUND", ["ids"])]
    await graph.change(ALL)
    assert (await listed(graph))["notifications"]["totalCount"] == 0
    assert (await listed(graph.as_(agent.token)))["notificationCounts"] == {"unread": 1}


async def test_everybody_says_how_they_want_to_be_told(graph: Graph, agent: Team) -> None:
    as_agent = graph.as_(agent.token)
    before = (await as_agent.data(WANTED))["notificationPreferences"]
    assert before["digest"] == {"period": "DAILY", "hour": 8, "timeZone": "UTC"}
    assert {one["type"]: (one["inApp"], one["email"]) for one in before["types"]} == {
        "NEW_MESSAGE": (True, "OFF"),
        "UNASSIGNED_MESSAGE": (True, "OFF"),
        "CONVERSATION_ASSIGNED": (True, "AT_ONCE"),
        "MENTION": (True, "AT_ONCE"),
        "BROADCAST_SENT": (True, "DIGEST"),
        "BROADCAST_FAILED": (True, "AT_ONCE"),
        "WORKFLOW_FAILED": (True, "DIGEST"),
    }
    await as_agent.change(WANT, type="MENTION", email="DIGEST")
    await as_agent.change(WANT, type="MENTION", inApp=False)
    await as_agent.change(DIGEST, period="HOURLY", timeZone="Europe/Berlin")
    after = (await as_agent.data(WANTED))["notificationPreferences"]
    assert {"type": "MENTION", "inApp": False, "email": "DIGEST"} in after["types"]
    assert after["digest"] == {"period": "HOURLY", "hour": 8, "timeZone": "Europe/Berlin"}
    assert [one for one in after["types"] if one["type"] != "MENTION"] == [
        one for one in before["types"] if one["type"] != "MENTION"
    ]
    assert {"type": "WEBHOOK_DISABLED", "inApp": True, "email": "AT_ONCE"} in (await graph.data(WANTED))[
        "notificationPreferences"
    ]["types"]
    for query, given, field in (
        (WANT, {"type": "WEBHOOK_DISABLED", "inApp": True}, "type"),
        (DIGEST, {"hour": 24}, "hour"),
        (DIGEST, {"timeZone": "Nowhere"}, "timeZone"),
    ):
        (error,) = await as_agent.refused(query, **given)
        assert (error["code"], error["field"]) == ("BAD_USER_INPUT", [field])


async def test_a_call_goes_by_mail_when_it_is_not_read_soon(
    graph: Graph, agent: Team, line: Line, worker: Process
) -> None:
    said = await line.says()
    await graph.change(
        NOTE, conversationId=str(said.conversation_id), body="Secret plan", mentionedUserIds=[str(agent.user_id)]
    )
    due = sa.update(NotificationMailing).where(NotificationMailing.user_id == agent.user_id).values(due_at=now())

    async def hurried() -> int:
        """Two minutes are over."""
        async with transaction() as session:
            return len((await session.scalars(due.returning(NotificationMailing.user_id))).all())

    assert await until(hurried) == 1
    (mail,) = await until(lambda: mails(agent.email))
    assert mail.subject == "ReplyHQ: 1 notification in Acme"
