"""How many SQL statements a list costs does not depend on how long it is."""

from dataclasses import dataclass
from uuid import UUID

import pytest
import sqlalchemy as sa
from graphql import get_named_type

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import labels
from domain.broadcasts import expansion
from domain.principals import Principal
from models.api_keys import ApiKey
from models.audit import AuditEntry
from models.broadcasts import Broadcast, BroadcastStatus
from models.channels import ChannelKind
from models.contacts import Contact
from models.conversations import Conversation
from models.devices import Device
from models.invitations import Invitation
from models.labels import Label
from models.messages import Message
from models.notifications import Notification, NotificationType
from models.segments import Segment
from models.suppressions import Suppression, SuppressionReason
from models.team import AdminUser, Membership, Role
from models.workflow_enrolments import WorkflowEnrolment
from models.workflows import Workflow, WorkflowVersion
from schema.context import Context
from server.graphql.schema import schema
from tests.schema.roots import roots
from tests.support import factories, inbox
from tests.support.factories import Team
from tests.support.statements import recorded

LISTS = {
    "contacts": "{ list: contacts(first: 100) { totalCount nodes { name devices { platform } optOuts { channel } } } }",
    "suppressions": "{ list: suppressions(first: 100) { totalCount nodes { channel address reason } } }",
    "segments": "{ list: segments(first: 100) { totalCount nodes { name conditions createdBy { name } } } }",
    "apiKeys": "{ list: apiKeys(first: 100) { totalCount nodes { name status scopes createdBy { name } } } }",
    "auditLog": """{ list: auditLog(filter: {entity: "Test"}, first: 100) {
        totalCount nodes { action user { name } } } }""",
    "team": """{ list: team(first: 100) {
        totalCount nodes { role hasSecondFactor lastActiveAt user { name } } } }""",
    "invitations": "{ list: invitations(first: 100) { totalCount nodes { email isExpired invitedBy { name } } } }",
    "broadcasts": """{ list: broadcasts(first: 100) { totalCount nodes {
        title stats { totalRecipients totalSent totalOpened } createdBy { name } } } }""",
    "broadcastRecipients": """query($id: ID!) { list: broadcastRecipients(broadcastId: $id, first: 100) {
        totalCount nodes { seq contact { name devices { platform } } device { platform } } } }""",
    "conversations": """{ list: conversations(first: 100, filter: {statuses: [OPEN, PENDING], unread: true}) {
        totalCount nodes { status contact { name } assignee { name } labels { name openCount } lastMessage { body }
            unreadCount previous { id } messages(last: 1) { nodes { body author { name } } } } } }""",
    "workflows": """{ list: workflows(first: 100) { totalCount nodes {
        name activeVersion { number publishedBy { name } } createdBy { name } definition { nodes { id } }
        stats { running avgDuration } } } }""",
    "workflowExecutions": """query($workflow: ID!) { list: workflowExecutions(workflowId: $workflow, first: 100) {
        totalCount nodes { status version workflow { name } contact { name } currentNodeIds steps { action } } } }""",
    "workflowVersions": """query($workflow: ID!) { list: workflowVersions(workflowId: $workflow, first: 100) {
        totalCount nodes { number publishedBy { name } } } }""",
    "notifications": """{ list: notifications(first: 100) { totalCount nodes {
        type count conversation { contact { name } assignee { name } } message { body } broadcast { title } } } }""",
    "workflowEnrolments": """query($workflow: ID!) { list: workflowEnrolments(workflowId: $workflow, first: 100) {
        totalCount nodes { status audience entered keptOut createdBy { name } } } }""",
    "webhooks": "{ list: webhooks(first: 100) { totalCount nodes { url status eventTypes headers { name } } } }",
    "webhookDeliveries": """query($webhook: ID!) { list: webhookDeliveries(webhookId: $webhook, first: 100) {
        totalCount nodes { status eventType payload attempts { number } } } }""",
    "labels": "{ list: labels(first: 100) { totalCount nodes { name colour openCount } } }",
    "ownConversations": "{ list: ownConversations(first: 100) { totalCount nodes { isResolved lastMessagePreview } } }",
    "ownMessages": """query($conversation: ID!) { list: ownMessages(conversationId: $conversation, first: 100) {
        totalCount nodes { body authorName } } }""",
}
THREAD = """query($conversation: ID!) { conversation(id: $conversation) { list: messages(last: 100) { totalCount nodes {
    body author { name } mentioned { name } revisions { body } conversation { id } } } } }"""
DEVICES = {"ownConversations", "ownMessages"}


@dataclass(frozen=True)
class Stage:
    """An app; one broadcast, device and conversation of it."""

    team: Team
    broadcast: Broadcast
    device: Principal
    conversation_id: UUID
    workflow_id: UUID
    webhook_id: UUID


def test_every_list_is_counted() -> None:
    lists = {root.name for root in roots("query") if get_named_type(root.field.type).name.endswith("Connection")}
    assert set(LISTS) == lists


@pytest.mark.parametrize("name", LISTS)
async def test_a_long_list_costs_as_many_statements_as_a_short_one(name: str) -> None:
    short, long = await things(3), await things(25)
    few, many = await statements(name, short, rows=3), await statements(name, long, rows=25)
    assert len(many) == len(few), many


async def test_a_long_thread_costs_as_many_statements_as_a_short_one() -> None:
    few, many = [await statements("messages", await things(count), rows=count) for count in (3, 25)]
    assert len(many) == len(few), many


async def things(count: int) -> Stage:
    """An app with as many of each: contacts with devices, broadcasts, recipients of one, members, invitations."""
    team = await factories.team()
    await factories.contacts(team.app_id, count)
    made = {"created_by_id": team.user_id, "status": BroadcastStatus.SENDING, "sent_at": now()}
    rows = [await factories.broadcast(team, **made) for _ in range(count)]
    key = {"app_id": team.app_id, "created_by_id": team.user_id, "name": "Shop", "mode": "LIVE", "prefix": "-"}
    async with transaction() as session:
        session.add_all([ApiKey(secret_hash=str(new_id()), scopes=[], **key) for _ in range(count)])
        done = {"app_id": team.app_id, "actor": f"user:{team.user_id}", "action": "test.made", "entity": "Test"}
        session.add_all([AuditEntry(**done) for _ in range(count)])
        chosen = {"app_id": team.app_id, "created_by_id": team.user_id, "conditions": {}}
        session.add_all([Segment(name=f"Segment {no}", **chosen) for no in range(count)])
        people = [AdminUser(id=new_id(), email=str(new_id()), name="Bob", password_hash="-") for _ in range(count - 1)]
        session.add_all(people)
        await session.flush()
        session.add_all([Membership(app_id=team.app_id, user_id=one.id, role=Role.AGENT) for one in people])
        sent = {"app_id": team.app_id, "invited_by_id": team.user_id, "role": Role.AGENT, "expires_at": now()}
        session.add_all([Invitation(email=str(no), token_hash=str(new_id()), **sent) for no in range(count)])
        stop = {"app_id": team.app_id, "channel": ChannelKind.EMAIL, "reason": SuppressionReason.MANUAL}
        session.add_all([Suppression(address_hash=str(no), **stop) for no in range(count)])
        await expansion.expand_slice(session, rows[0].id)
    talked = await talks(team, count)
    return Stage(team, rows[0], *talked, await workflows(team, count), await webhooks(team, count))


async def webhooks(team: Team, count: int) -> UUID:
    """As many webhooks, and as many deliveries of the first."""
    made = [(await factories.webhook(team))[0] for _ in range(count)]
    for _ in range(count):
        await factories.webhook_delivery(team, made[0].id)
    return made[0].id


async def workflows(team: Team, count: int) -> UUID:
    """As many workflows, and as many versions of the first."""
    by = {"app_id": team.app_id, "definition": factories.WORKFLOW}
    made = [Workflow(id=new_id(), name="Hello", created_by_id=team.user_id, **by) for _ in range(count)]
    async with transaction() as session:
        session.add_all(made)
        await session.flush()
        for no in range(1, count + 1):
            number = {"workflow_id": made[0].id, "number": no, "published_by_id": team.user_id}
            version = WorkflowVersion(id=new_id(), **by, **number)
            session.add(version)
            made[no - 1].active_version_id = version.id
            await session.flush()
            of_first = {"app_id": team.app_id, "workflow_id": made[0].id, "workflow_version_id": version.id}
            by_her = {"key": str(no), "audience": "EVERYBODY", "created_by_id": team.user_id}
            session.add(WorkflowEnrolment(**of_first, **by_her))
    async with transaction() as session:
        ids = list(await session.scalars(sa.select(Contact.id).where(Contact.app_id == team.app_id)))
    for contact_id in ids:
        await factories.execution(team, contact_id, made[0])
    return made[0].id


async def talks(team: Team, count: int) -> tuple[Principal, UUID]:
    """A conversation of each contact; the first has as many, and the newest of these as many messages. And labels."""
    async with transaction() as session:
        own = sa.select(Device).where(Device.app_id == team.app_id).order_by(Device.id)
        devices = (await session.scalars(own)).all()
        session.add_all([Label(app_id=team.app_id, name=str(no), colour="#000000") for no in range(count)])
        for device in devices:
            past = [
                Conversation(app_id=team.app_id, contact_id=device.contact_id, channel="IN_APP", status="RESOLVED")
                for _ in range(count - 1 if device is devices[0] else 0)
            ]
            session.add_all(past)
            await session.flush()
            one = {"app_id": team.app_id, "contact_id": device.contact_id, "channel": "IN_APP"}
            previous = past[0].id if past else None
            talk = Conversation(
                id=new_id(), assignee_id=team.user_id, last_inbound_at=now(), previous_id=previous, **one
            )
            session.add(talk)
            await session.flush()
            said = [
                Message(
                    id=new_id(),
                    app_id=team.app_id,
                    conversation_id=talk.id,
                    channel="IN_APP",
                    body=str(no),
                    direction="OUTBOUND",
                    author_kind="USER",
                    author_id=team.user_id,
                    status="SENT",
                    edited_at=now(),
                    mentioned_ids=[team.user_id],
                )
                for no in range(count if device is devices[0] else 1)
            ]
            session.add_all(said)
            talk.last_message_id = said[-1].id
            about = {"entity_id": talk.id, "conversation_id": talk.id, "message_id": said[-1].id, "last_at": now()}
            own = {"app_id": team.app_id, "user_id": team.user_id, "actor": "system"}
            session.add(Notification(type=NotificationType.NEW_MESSAGE, **about, **own))
            if device is devices[0]:
                first = talk.id
    label = await inbox.label(team)
    async with transaction() as session:
        await session.execute(sa.delete(Label).where(Label.app_id == team.app_id, Label.name == "0"))
        ids = await session.scalars(sa.select(Conversation.id).where(Conversation.app_id == team.app_id))
        for id_ in list(ids):
            await labels.put_on(session, factories.principal(team), id_, label.id)
    return inbox.device(team, devices[0].id), first


async def statements(name: str, stage: Stage, rows: int) -> list[str]:
    """What goes to the database for a list of `rows` rows."""
    ids = {"id": str(stage.broadcast.id), "conversation": str(stage.conversation_id)}
    ids |= {"workflow": str(stage.workflow_id), "webhook": str(stage.webhook_id)}
    query = LISTS.get(name, THREAD)
    variables = {variable: id_ for variable, id_ in ids.items() if f"${variable}:" in query}
    context = Context(principal=stage.device if name in DEVICES else factories.principal(stage.team))
    with recorded() as seen:
        result = await schema().execute(query, variables, context_value=context)
    assert result.errors is None
    found = (result.data.get("conversation") or result.data)["list"]
    assert (found["totalCount"], len(found["nodes"])) == (rows, rows)
    return seen
