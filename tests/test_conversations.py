"""The inbox from outside: an agent and an end user's device converse over GraphQL. F1, F2, F3, F6."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from core.ids import new_id
from domain.permissions import DEVICE_PERMISSIONS, Permission
from models.team import Role
from tests.schema.roots import Root, arguments, ask, paths, roots, text
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.inbox import Line

LIST = """query($filter: ConversationFilterInput) { conversations(filter: $filter) { nodes {
    id status unreadCount lastMessage { body } assignee { name } contact { name } labels { name colour } } } }"""
THREAD = """query($id: ID!) { conversation(id: $id) { messageCount messages(last: 10) { nodes {
    body isNote direction status author { name } mentioned { name } } } } }"""
OWN = """query($id: ID!) { ownMessages(conversationId: $id, last: 10) { totalCount nodes {
    body direction status authorName clientKey } } }"""
SAY = """mutation($input: SendOwnMessageInput!) { sendOwnMessage(input: $input) {
    message { id conversationId clientKey } userErrors { code } } }"""
ANSWER = """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id status } unseenMessages { body isNote } userErrors { code field } } }"""
NOTE = """mutation($input: AddNoteInput!) { addNote(input: $input) {
    message { id mentioned { name } } userErrors { code field } } }"""
MARK = """mutation($input: MarkOwnMessagesInput!) { markOwnMessages(input: $input) { moved userErrors { code } } }"""
LABEL = "mutation($input: CreateLabelInput!) { createLabel(input: $input) { label { id } userErrors { code field } } }"


@pytest.fixture
async def line(team: Team) -> Line:
    return await inbox.line(team)


@pytest.fixture
async def device(graph: Graph, line: Line) -> Graph:
    """The API as the contact's device asks it."""
    return graph.as_(await factories.device_token(line.device.device()))


async def test_an_agent_and_a_device_converse(graph: Graph, device: Graph, line: Line) -> None:
    agent = graph.as_((await factories.team(Role.AGENT, line.team.app_id)).token)
    said = (await device.change(SAY, body="My printer is broken", clientKey="1"))["message"]
    assert said["clientKey"] == "1"
    (row,) = (await agent.data(LIST, filter={"unread": True}))["conversations"]["nodes"]
    assert (row["id"], row["unreadCount"]) == (said["conversationId"], 1)
    assert (row["lastMessage"]["body"], row["assignee"], row["labels"]) == ("My printer is broken", None, [])
    note = await agent.change(NOTE, conversationId=row["id"], body="Ask", mentionedUserIds=[str(line.team.user_id)])
    assert note["message"]["mentioned"] == [{"name": "Ada"}]
    answer = (await agent.change(ANSWER, conversationId=row["id"], body="Which one?"))["message"]
    shown = (await device.data(OWN, id=row["id"]))["ownMessages"]
    assert shown == {
        "totalCount": 2,
        "nodes": [
            {"body": "My printer is broken", "direction": "INBOUND", "status": "SENT", "authorName": None}
            | {"clientKey": "1"},
            {"body": "Which one?", "direction": "OUTBOUND", "status": "SENT", "authorName": "Bob", "clientKey": None},
        ],
    }
    assert (await device.change(MARK, upToMessageId=answer["id"], receipt="READ"))["moved"] == 1
    thread = (await agent.data(THREAD, id=row["id"]))["conversation"]
    assert thread["messageCount"] == 2
    assert [(one["body"], one["isNote"], one["status"]) for one in thread["messages"]["nodes"]] == [
        ("My printer is broken", False, "SENT"),
        ("Ask", True, "SENT"),
        ("Which one?", False, "READ"),
    ]


async def test_an_answer_waits_where_the_device_listens(device: Graph, line: Line) -> None:
    said = await line.says()
    async with device.connect() as socket:
        await socket.start("subscription { inAppMessageReceived { title body data } }")
        answer = await line.answers(said.conversation_id, "Hi there")
        received = (await socket.receive())["payload"]["data"]["inAppMessageReceived"]
    data = {"conversationId": str(said.conversation_id), "messageId": str(answer.id)}
    assert received == {"title": "Acme", "body": "Hi there", "data": data}


async def test_who_answers_without_having_seen_all_gets_what_is_new_instead(graph: Graph, line: Line) -> None:
    said = await line.says("Hello?")
    other = factories.principal(await factories.team(app_id=line.team.app_id))
    await Line(line.team, other, line.device, line.contact_id).notes(said.conversation_id, "I do this one")
    await line.says("Anybody?")
    answer = {"conversationId": str(said.conversation_id), "body": "Hi", "expectedLastMessageId": str(said.id)}
    payload = (await graph.data(ANSWER, input=answer))["sendMessage"]
    assert payload["userErrors"] == [{"code": "CONFLICT", "field": ["expectedLastMessageId"]}]
    assert payload["message"] is None
    assert payload["unseenMessages"] == [
        {"body": "I do this one", "isNote": True},
        {"body": "Anybody?", "isNote": False},
    ]


async def test_an_optimistic_send_that_is_tried_again_is_there_once(device: Graph, line: Line) -> None:
    sent = await asyncio.gather(*(device.change(SAY, body="Hello", clientKey="k") for _ in range(4)))
    assert len({one["message"]["id"] for one in sent}) == 1


DEVICE_ROOTS = [root for root in roots() if root.permission in DEVICE_PERMISSIONS]


def test_what_a_device_may_is_known() -> None:
    """A field that joins them is walked below: say in `given` what its ids are."""
    assert {root.name for root in DEVICE_ROOTS} == {
        *("reportReceipts", "inAppMessageReceived", "trackEvent", "trackEvents"),
        *("ownConversations", "ownMessages", "sendOwnMessage", "markOwnMessages", "reportMessageReceipts"),
        *("attachment", "setOwnTyping", "ownTypingChanged", "ownMessageChanged"),
    }


@pytest.mark.parametrize("root", DEVICE_ROOTS, ids=str)
async def test_no_private_note_ever_reaches_a_device(device: Graph, line: Line, root: Root) -> None:
    said = await line.says("What the contact said")
    uploader = line.device.actor
    attachment_id = (await factories.attachment(line.team, uploader=uploader)).id
    note = await line.notes(said.conversation_id, "PRIVATE-" + str(new_id()))
    answer = await line.answers(said.conversation_id, "What the team said")
    for message_id in (note.id, answer.id):
        found = text(
            await ask(
                device,
                root,
                arguments(root, given(root, line, said.conversation_id, message_id, attachment_id)),
                depth=5,
            )
        )
        assert "PRIVATE" not in found
        assert str(note.id) not in found


def given(root: Root, line: Line, conversation_id: UUID, message_id: UUID, attachment_id: UUID) -> dict[str, str]:
    """Ids of the device's own things for the arguments of a root field."""
    ids = {"conversationId": conversation_id, "messageId": message_id, "upToMessageId": message_id}
    ids |= {"contactId": line.contact_id, "attachmentIds": attachment_id, "id": attachment_id}
    named = [path for path, type_ in paths(root) if type_ == "ID"]
    return {path: str(ids[path.rpartition(".")[2]]) for path in named}


async def test_a_device_sees_the_conversations_of_its_own_contact_only(graph: Graph, device: Graph, line: Line) -> None:
    stranger = await inbox.line(line.team)
    said, theirs = await line.says(), await stranger.says()
    own = await device.data("{ ownConversations { totalCount nodes { id } } }")
    assert own["ownConversations"] == {"totalCount": 1, "nodes": [{"id": str(said.conversation_id)}]}
    answer = await device.ask(OWN, id=str(theirs.conversation_id))
    assert answer.codes == ["NOT_FOUND"]
    assert (await graph.as_(device.token).ask(LIST)).codes == ["FORBIDDEN"]


@pytest.mark.parametrize(
    ("filter", "field"),
    [
        ({"search": " "}, "filter.search"),
        ({"search": "x" * 201}, "filter.search"),
        ({"assignee": "ME", "assigneeId": "x"}, "filter.assigneeId"),
        ({"labelId": "x"}, "filter.labelId"),
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused(graph: Graph, filter: dict[str, Any], field: str) -> None:
    (error,) = (await graph.ask(LIST, filter=filter)).body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", field)


async def test_a_program_answers_and_has_no_views_of_its_own(graph: Graph, line: Line) -> None:
    said = await line.says()
    key = await factories.api_key(line.team, Permission.VIEW_CONVERSATIONS, Permission.EDIT_CONVERSATIONS)
    program = graph.as_(key.secret)
    await program.change(ANSWER, conversationId=str(said.conversation_id), body="Hi")
    (row,) = (await program.data(LIST))["conversations"]["nodes"]
    assert row["unreadCount"] is None
    assert (await program.ask(LIST, filter={"assignee": "ME"})).codes == ["FORBIDDEN"]
    counts = await program.data("{ conversationCounts { open mine unread } }")
    assert counts["conversationCounts"] == {"open": 1, "mine": 0, "unread": 0}
    row = await inbox.conversation(line.team, said.conversation_id)
    assert (row.first_response_at, row.waiting_since) == (None, None)


async def test_labels_are_unique_whatever_the_case_and_keep_their_conversations(graph: Graph, line: Line) -> None:
    said = await line.says()
    label = (await graph.change(LABEL, name="Bug", colour="#dc2626"))["label"]["id"]
    refused = await graph.refused(LABEL, name="bUG", colour="#000000")
    assert refused == [{"code": "CONFLICT", "field": ["name"]}]
    for colour in ("red", "#12345", "#1234567", "#12345G"):
        assert await graph.refused(LABEL, name=colour, colour=colour) == [
            {"code": "BAD_USER_INPUT", "field": ["colour"]}
        ]
    verb = "mutation($input: ConversationLabelInput!) { %sConversationLabel(input: $input) { userErrors { code } } }"
    both = {"conversationId": str(said.conversation_id), "labelId": label}
    for _ in range(2):
        await graph.change(verb % "add", **both)
    rename = """mutation($input: UpdateLabelInput!) { updateLabel(input: $input) {
        label { name openCount } userErrors { code } } }"""
    renamed = await graph.change(rename, id=label, name="Defect")
    assert renamed["label"] == {"name": "Defect", "openCount": 1}
    (row,) = (await graph.data(LIST, filter={"labelId": label}))["conversations"]["nodes"]
    assert row["labels"] == [{"name": "Defect", "colour": "#DC2626"}]
    for _ in range(2):
        await graph.change(verb % "remove", **both)
    assert (await graph.data(LIST, filter={"labelId": label}))["conversations"]["nodes"] == []


async def test_two_who_make_one_label_at_once_make_one(graph: Graph, line: Line) -> None:
    answers = await asyncio.gather(
        *(graph.data(LABEL, input={"name": name, "colour": "#000000"}) for name in ("a", "A"))
    )
    codes = [[error["code"] for error in one["createLabel"]["userErrors"]] for one in answers]
    assert sorted(codes) == [[], ["CONFLICT"]]
