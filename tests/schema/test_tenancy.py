"""Another app's things are as good as absent: asked for by id, listed, searched, counted."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import idempotency, in_app_messages, labels
from domain.broadcasts import queries
from domain.conversations import reads
from domain.conversations.assignment import control as assignment
from domain.in_app_messages import Draft
from domain.messages import changing
from domain.permissions import DEVICES_ONLY
from domain.principals import SYSTEM
from models.contacts import Contact
from models.devices import Device
from models.events import Event
from models.facts import Fact, FactKind
from models.links import Link
from models.notifications import NotificationType
from models.sessions import UserSession
from models.team import Membership, Role
from models.workflows import WorkflowStatus
from tests.schema.roots import Root, arguments, ask, codes, paths, roots, text
from tests.schema.rows import rows_of
from tests.support import factories, inbox
from tests.support.factories import PASSWORD, Team
from tests.support.graph import Graph
from tests.support.inbox import Line

UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN = {"NOT_FOUND", "BAD_USER_INPUT"}
IGNORED = {"reportReceipts", "reportMessageReceipts", "auditLog", "conversations", "conversationList"}
# Who believes that a stranger has something is wrong, whoever the stranger is.
BELIEVED = {"input.expectedAssigneeId": {"CONFLICT"}}
# What an argument of this name, or of this root field and name, is the id of.
KINDS = {
    "contactId": "contact",
    "contactIds": "contact",
    "userId": "user",
    "userIds": "user",
    "attachment.id": "attachment",
    "attachmentIds": "attachment",
    "sendOwnMessage.attachmentIds": "ownAttachment",
    "segmentId": "segment",
    "excludeSegmentId": "segment",
    "segment.id": "segment",
    "updateSegment.id": "segment",
    "deleteSegment.id": "segment",
    "broadcastId": "broadcast",
    "messageId": "message",
    "contact.id": "contact",
    "updateContact.id": "contact",
    "deleteContact.id": "contact",
    "broadcast.id": "broadcast",
    "updateBroadcast.id": "draft",
    "duplicateBroadcast.id": "broadcast",
    "deleteBroadcast.id": "draft",
    "sendBroadcast.id": "draft",
    "sendTestBroadcast.id": "broadcast",
    "scheduleBroadcast.id": "draft",
    "cancelBroadcast.id": "broadcast",
    "pauseBroadcast.id": "broadcast",
    "resumeBroadcast.id": "broadcast",
    "retryBroadcast.id": "broadcast",
    "extendBroadcast.id": "broadcast",
    "revokeSession.id": "session",
    "actorId": "person",
    "entityId": "session",
    "switchApp.appId": "app",
    "updateMember.id": "member",
    "removeMember.id": "member",
    "transferOwnership.id": "member",
    "resendInvitation.id": "invitation",
    "revokeInvitation.id": "invitation",
    "apiKey.id": "key",
    "updateApiKey.id": "key",
    "regenerateApiKey.id": "key",
    "revokeApiKey.id": "key",
    "removeChannelAccount.id": "channelAccount",
    "conversationId": "conversation",
    "conversation.id": "conversation",
    "resolveConversation.id": "conversation",
    "reopenConversation.id": "conversation",
    "snoozeConversation.id": "conversation",
    "markConversationPending.id": "conversation",
    "markConversationSpam.id": "conversation",
    "setConversationPriority.id": "conversation",
    "markConversationRead.id": "conversation",
    "markConversationUnread.id": "conversation",
    "assigneeId": "person",
    "expectedAssigneeId": "person",
    "assignConversation.userId": "person",
    "setMemberCapacity.id": "member",
    "mentionedUserIds": "person",
    "upToMessageId": "answer",
    "fromMessageId": "answer",
    "expectedLastMessageId": "answer",
    "editMessage.id": "answer",
    "deleteMessage.id": "answer",
    "reportMessageReceipts.messageId": "answer",
    "labelId": "label",
    "updateLabel.id": "label",
    "deleteLabel.id": "label",
    "workflowId": "workflow",
    "workflow.id": "workflow",
    "executionId": "execution",
    "workflowExecution.id": "execution",
    "cancelWorkflowExecution.id": "execution",
    "retryWorkflowExecution.id": "execution",
    "continueWorkflowExecution.id": "execution",
    "exportWorkflow.id": "workflow",
    "updateWorkflow.id": "workflow",
    "duplicateWorkflow.id": "workflow",
    "pauseWorkflow.id": "workflow",
    "archiveWorkflow.id": "workflow",
    "publishWorkflow.id": "draftWorkflow",
    "activateWorkflow.id": "draftWorkflow",
    "deleteWorkflow.id": "draftWorkflow",
    "webhookId": "webhook",
    "webhook.id": "webhook",
    "updateWebhook.id": "webhook",
    "deleteWebhook.id": "webhook",
    "enableWebhook.id": "webhook",
    "disableWebhook.id": "webhook",
    "rotateWebhookSecret.id": "webhook",
    "testWebhook.id": "webhook",
    "webhookDelivery.id": "webhookDelivery",
    "replayWebhookDeliveries.ids": "webhookDelivery",
    "markNotificationsRead.ids": "notification",
    "markNotificationsUnread.ids": "notification",
    "archiveNotifications.ids": "notification",
    "enrolContacts.workflowId": "manualWorkflow",
    "workflowEnrolments.workflowId": "manualWorkflow",
    "cancelWorkflowEnrolment.id": "enrolment",
}


@dataclass(frozen=True)
class Things:
    """One thing of each kind, all of one app.

    Attributes:
        ids: by kind.
        device: the token of a device.
    """

    team: Team
    ids: dict[str, str]
    device: str


async def things(team: Team) -> Things:
    """A contact with a device, broadcasts at work and on the way, a message, a session, a used key, an account."""
    broadcast, draft = await factories.sending(team, 2), await factories.broadcast(team)
    colleague = await factories.team(Role.AGENT, team.app_id)
    async with transaction() as session:
        contact = (await session.scalars(sa.select(Contact).where(Contact.app_id == team.app_id).limit(1))).one()
        contact.external_id = contact.name = f"known as {contact.id}"
        device = (await session.scalars(sa.select(Device).where(Device.contact_id == contact.id))).one()
        key = f"b{broadcast.id}:1"
        session.add(Event(app_id=team.app_id, contact_id=contact.id, name="order", occurred_at=now()))
        await in_app_messages.store(session, team.app_id, [Draft(key, device.id, "Hello", "World", None)])
        await idempotency.claim(session, team.app_id, "once", {}, broadcast.id)
        session.add(Link(app_id=team.app_id, broadcast_id=broadcast.id, no=1, url="https://example.com"))
        own = UserSession.user_id == team.user_id
        queries.record(session, SYSTEM, FactKind.BROADCAST_CREATED, draft)
        ids = {
            "app": team.app_id,
            "member": await session.scalar(sa.select(Membership.id).where(Membership.user_id == colleague.user_id)),
            "contact": contact.id,
            "user": contact.external_id,
            "broadcast": broadcast.id,
            "draft": draft.id,
            "message": in_app_messages.message_id(key),
            "person": team.user_id,
            "session": await session.scalar(sa.select(UserSession.id).where(own)),
        }
        await session.execute(sa.update(Fact).where(Fact.app_id == team.app_id).values(dispatched_at=now()))
    await factories.refusals(team.app_id, contact.id)
    ids |= await factories.account(team) | {"segment": (await factories.segment(team)).id}
    ids |= await _inbox(team, contact.id, device.id) | {"attachment": (await factories.attachment(team)).id}
    ids["ownAttachment"] = (await factories.attachment(team, uploader=f"device:{device.id}")).id
    workflow = await factories.workflow(team)
    ids["workflow"], ids["execution"] = workflow.id, (await factories.execution(team, contact.id, workflow)).id
    about = {"type": NotificationType.NEW_MESSAGE, "conversation_id": ids["conversation"], "message_id": ids["answer"]}
    ids["notification"] = (await factories.notification(team, entity_id=ids["conversation"], **about)).id
    await factories.told_by_mail(team)
    ids |= await factories.ways_in(team, contact.id)
    ids["draftWorkflow"] = (await factories.workflow(team, status=WorkflowStatus.DRAFT)).id
    webhook, _ = await factories.webhook(team)
    ids |= {"webhook": webhook.id, "webhookDelivery": (await factories.webhook_delivery(team, webhook.id)).id}
    return Things(team, {kind: str(id_) for kind, id_ in ids.items()}, await factories.device_token(device.id))


async def _inbox(team: Team, contact_id: UUID, device_id: UUID) -> dict[str, UUID]:
    """A conversation that is read, labelled, assigned and answered; the answer was edited."""
    line = Line(team, factories.principal(team), inbox.device(team, device_id), contact_id)
    said = await line.says("Hello")
    answer, label = await line.answers(said.conversation_id), await inbox.label(team)
    async with transaction() as session:
        await changing.edit(session, line.agent, answer.id, "Hi")
        await reads.mark_read(session, line.agent, said.conversation_id)
        await labels.put_on(session, line.agent, said.conversation_id, label.id)
        await assignment.assign(session, line.agent, said.conversation_id, team.user_id)
    return {"conversation": said.conversation_id, "answer": answer.id, "label": label.id}


@pytest.fixture
async def ours(team: Team) -> Things:
    """What the asker's app has."""
    return await things(team)


@pytest.fixture(scope="module")
async def kept(database: None) -> Things:
    """The same for all that ask without changing anything."""
    return await things(await factories.team())


@pytest.fixture
async def asker(kept: Things, root: Root) -> Things:
    """What the app has that asks for a root field: things of its own where it may change them."""
    return await things(await factories.team()) if root.operation == "mutation" else kept


@pytest.fixture(scope="module")
async def theirs(database: None) -> Things:
    """What another app has."""
    return await things(await factories.team())


def entries(root: Root, path: str) -> tuple[str, str]:
    """Where KINDS may say what an argument is the id of."""
    name = path.rpartition(".")[2]
    return f"{root.name}.{name}", name


def kind_of(root: Root, path: str) -> str:
    """What an argument is the id of."""
    known = [KINDS[entry] for entry in entries(root, path) if entry in KINDS]
    assert known, f"{root.name}({path}) takes an id: say in KINDS of what"
    return known[0]


def references(root: Root) -> list[str]:
    """The arguments and input fields of a root field that name a thing.

    What a drawn workflow names may be gone: that is no refusal but a problem of it, see tests/domain/test_workflows.py.
    """
    named = [path for path, type_ in paths(root) if type_ == "ID" or path.endswith(("userId", "userIds"))]
    return [path for path in named if "definition." not in path and root.name != "createAutomation"]


REFERENCES = [pytest.param(root, path, id=f"{root}-{path}") for root in roots() for path in references(root)]


def given(root: Root, ours: Things, **replaced: str) -> dict[str, str]:
    """Ids for the arguments of a field: our own things, except where another is given."""
    own = {path: ours.ids[kind_of(root, path)] for path in references(root) if not path.endswith(("userId", "userIds"))}
    if root.name == "invitation":
        own["token"] = ours.ids["invitation"]
    if root.name == "assignConversation":
        own["input.userId"] = ours.ids["person"]
    if root.name == "snoozeConversation":
        own["input.until"] = (now() + timedelta(days=1)).isoformat()
    if root.name == "transferOwnership":
        own["input.password"] = PASSWORD
    # the last one counts where there is a choice between several
    others = {path for path in own if path in replaced or path.replace("contactId", "userId") in replaced}
    return {path: id_ for path, id_ in _of_one_target(own, replaced).items() if path not in others} | replaced


def _of_one_target(own: dict[str, str], replaced: dict[str, str]) -> dict[str, str]:
    """A target names contacts or a segment, and says which; an audience too."""
    audience = [path for path in own if ".audience." in path]
    if audience:
        chosen = next((path for path in replaced if path in audience), audience[0])
        return {path: id_ for path, id_ in own.items() if path not in audience or path == chosen}
    if not any(path.endswith("target.segmentId") for path in own):
        return own
    by_segment = next((path for path in replaced if path.endswith("target.segmentId")), None)
    strange = "target.contactIds" if by_segment else "target.segmentId"
    kind = {by_segment.replace("segmentId", "targetType"): "SEGMENT"} if by_segment else {}
    return {path: id_ for path, id_ in own.items() if not path.endswith(strange)} | kind


async def answer(graph: Graph, root: Root, ours: Things, **replaced: str) -> dict[str, Any]:
    """What we get when asking with our own things, except where another is given."""
    asker = graph.as_(ours.device if root.permission in DEVICES_ONLY else ours.team.token)
    return await ask(asker, root, arguments(root, given(root, ours, **replaced)), depth=4)


def test_every_id_argument_says_of_what_and_nothing_else_does() -> None:
    used = {entry for root in roots() for path in references(root) for entry in entries(root, path)}
    assert {kind_of(root, path) for root in roots() for path in references(root)} == set(KINDS.values())
    assert set(KINDS) - used == set()


async def test_the_other_app_has_rows_in_every_table(theirs: Things) -> None:
    empty = [table for table, rows in (await rows_of(theirs.team.app_id)).items() if not rows]
    assert empty == [], "let things() make such a row"


@pytest.mark.parametrize(("root", "path"), REFERENCES)
async def test_a_thing_of_another_app_is_answered_as_one_that_is_not_there(
    graph: Graph, asker: Things, theirs: Things, root: Root, path: str
) -> None:
    foreign, unknown = theirs.ids[kind_of(root, path)], str(new_id())
    before = await rows_of(theirs.team.app_id)
    to_theirs = await answer(graph, root, asker, **{path: foreign})
    to_nothing = await answer(graph, root, asker, **{path: unknown})
    to_ours = await answer(graph, root, asker, **{path: asker.ids[kind_of(root, path)]})
    assert await rows_of(theirs.team.app_id) == before
    assert text(to_theirs).replace(foreign, "it") == text(to_nothing).replace(unknown, "it")
    assert text(to_theirs).replace(foreign, "it") != text(to_ours)
    assert set(codes(to_theirs)) <= UNKNOWN | BELIEVED.get(path, set())
    assert codes(to_theirs) or root.name in IGNORED


@pytest.mark.parametrize("root", roots("query"), ids=str)
async def test_an_answer_shows_and_counts_nothing_of_another_app(
    graph: Graph, kept: Things, theirs: Things, root: Root
) -> None:
    found = await answer(graph, root, kept)
    (value,) = found["data"].values()
    assert codes(found) == []
    assert set(UUIDS.findall(text(found))) & set(UUIDS.findall(str(await rows_of(theirs.team.app_id)))) == set()
    if "totalCount" in value:
        assert value["totalCount"] == len(value["nodes"]) > 0


async def test_a_search_finds_nothing_of_another_app(graph: Graph, ours: Things, theirs: Things) -> None:
    query = "query($search: String) { contacts(search: $search) { totalCount nodes { id } } }"
    own = await graph.data(query, search=ours.ids["user"])
    assert own["contacts"] == {"totalCount": 1, "nodes": [{"id": ours.ids["contact"]}]}
    foreign = await graph.data(query, search=theirs.ids["user"])
    assert foreign["contacts"] == {"totalCount": 0, "nodes": []}


async def test_words_of_messages_find_nothing_of_another_app(graph: Graph, ours: Things, theirs: Things) -> None:
    query = "query($search: String) { conversations(filter: {search: $search}) { totalCount nodes { id } } }"
    for search in ("hello", f"known as {ours.ids['contact']}"):
        own = await graph.data(query, search=search)
        assert own["conversations"] == {"totalCount": 1, "nodes": [{"id": ours.ids["conversation"]}]}
    foreign = await graph.data(query, search=f"known as {theirs.ids['contact']}")
    assert foreign["conversations"] == {"totalCount": 0, "nodes": []}


async def test_everybody_is_everybody_of_the_own_app(graph: Graph, ours: Things, theirs: Things) -> None:
    found = await graph.data("{ audiencePreview(target: {targetType: ALL_USERS}) { contacts devices } }")
    assert found["audiencePreview"] == {"contacts": 2, "devices": 2}
