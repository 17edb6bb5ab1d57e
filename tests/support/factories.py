"""Things to test with: made by the product's rules where one is under test, inserted in bulk where many are needed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core import security
from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import apps, devices, sessions, suppressions
from domain.api_keys import control as api_keys
from domain.api_keys.control import ApiKeyFields, NewApiKey
from domain.broadcasts import expansion
from domain.enrolments import control as enrolments
from domain.enrolments.control import Audience
from domain.permissions import SCOPES, Permission
from domain.principals import SYSTEM, Caller, Principal
from domain.webhooks import signing, standing
from domain.workflows import drafts, versions
from domain.workflows.drafts import WorkflowFields
from models.api_keys import ApiKey, ApiKeyMode
from models.attachments import Attachment, AttachmentKind
from models.broadcasts import Broadcast, BroadcastStatus, TargetType
from models.channel_accounts import ChannelAccount
from models.channels import ChannelKind
from models.contacts import Contact
from models.conversations import Conversation
from models.devices import Device, Platform
from models.executions import ExecutionStatus, StepStatus, WorkflowExecution, WorkflowStep, WorkflowWait
from models.frequency_marks import FrequencyMark
from models.invitations import Invitation
from models.mails import Mail
from models.notifications import (
    DigestPeriod,
    EmailMode,
    Notification,
    NotificationDigest,
    NotificationMailing,
    NotificationPreference,
    NotificationType,
)
from models.opt_outs import OptOut, OptOutReason
from models.password_resets import PasswordReset
from models.segment_watches import SegmentMember
from models.segments import Segment
from models.suppressions import SuppressionReason
from models.team import AdminUser, Membership, Role
from models.two_factors import BackupCode, TwoFactor
from models.webhooks import (
    DeliveryFailure,
    DeliveryStatus,
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookEventType,
)
from models.workflow_signals import WorkflowSignal
from models.workflow_tallies import WorkflowMove, WorkflowTally
from models.workflows import TriggerKind, Workflow, WorkflowStatus

PASSWORD = "correct horse battery"
_hashes: list[str] = []
SUPPRESSED = "bounced@example.com"


@dataclass(frozen=True)
class Team:
    """An app with one person in it, signed in."""

    app_id: UUID
    user_id: UUID
    email: str
    token: str


async def team(role: Role = Role.OWNER, app_id: UUID | None = None) -> Team:
    """A person with `role` in an app, a new one unless given."""
    email = f"{new_id()}@example.com"
    async with transaction() as session:
        if app_id is None:
            hashed = await _password_hash()
            member = await apps.add(session, name="Acme", email=email, password_hash=hashed, owner_name="Ada")
            member.role = role
        else:
            user = AdminUser(id=new_id(), email=email, name="Bob", password_hash="-")
            session.add(user)
            await session.flush()
            member = Membership(app_id=app_id, user_id=user.id, role=role)
            session.add(member)
            await session.flush()
        signed_in = await sessions.start(session, member, Caller("127.0.0.1", "tests"))
    return Team(member.app_id, member.user_id, email, signed_in.access_token)


async def _password_hash() -> str:
    """Of PASSWORD; hashed once, as that is what takes longest of a team."""
    if not _hashes:
        _hashes.append(await security.hash_password(PASSWORD))
    return _hashes[0]


async def joined(member: Team, role: Role = Role.AGENT) -> UUID:
    """A further app that the person of `member` belongs to."""
    app_id = (await team()).app_id
    async with transaction() as session:
        session.add(Membership(app_id=app_id, user_id=member.user_id, role=role))
    return app_id


async def password_reset(member: Team) -> str:
    """The token of a reset that the person of `member` may use."""
    token = security.random_token()
    async with transaction() as session:
        hashed, end = security.token_hash(token), now() + timedelta(hours=1)
        session.add(PasswordReset(user_id=member.user_id, token_hash=hashed, expires_at=end))
    return token


async def contacts(app_id: UUID, count: int, platform: Platform = Platform.IOS) -> list[UUID]:
    """`count` contacts with one device each; the devices' ids, in order."""
    people = [new_id() for _ in range(count)]
    reached = [new_id() for _ in range(count)]
    at = now()
    async with transaction() as session:
        await session.execute(
            sa.insert(Contact),
            [
                {"id": one, "app_id": app_id, "external_id": f"user-{no}", "name": f"User {no}", "created_at": at}
                for no, one in enumerate(people)
            ],
        )
        await session.execute(
            sa.insert(Device),
            [
                {"id": device, "app_id": app_id, "contact_id": person, "platform": platform, "country": "DE"}
                for device, person in zip(reached, people, strict=True)
            ],
        )
    return reached


async def devices_of(app_id: UUID, contact_id: str, count: int) -> None:
    """`count` devices of one contact."""
    one = {"app_id": app_id, "contact_id": UUID(contact_id), "platform": Platform.WEB}
    async with transaction() as session:
        await session.execute(sa.insert(Device), [{"id": new_id(), **one} for _ in range(count)])


async def device_token(device_id: UUID) -> str:
    """A token of a device."""
    async with transaction() as session:
        return devices.token((await session.scalars(sa.select(Device).where(Device.id == device_id))).one())


def principal(team: Team) -> Principal:
    """The person of `team`, as the rules see them."""
    return Principal(
        app_id=team.app_id,
        permissions=frozenset(Permission),
        expires_at=now() + timedelta(hours=1),
        user_id=team.user_id,
    )


async def account(team: Team) -> dict[str, UUID]:
    """A key, an invitation, a mail, and a second factor that is being set up; a channel account; ids by kind."""
    key, invitation, channel, at = new_id(), new_id(), new_id(), now() + timedelta(days=7)
    of_app, of_user = {"app_id": team.app_id}, {"user_id": team.user_id}
    async with transaction() as session:
        session.add_all(
            [
                ApiKey(id=key, name="Shop", mode="LIVE", prefix="-", secret_hash=str(key), scopes=[], **of_app),
                Invitation(
                    id=invitation,
                    email=f"{invitation}@example.com",
                    role=Role.AGENT,
                    token_hash=security.token_hash(str(invitation)),
                    invited_by_id=team.user_id,
                    expires_at=at,
                    **of_app,
                ),
                Mail(recipient=team.email, subject="Hello", **of_app),
                TwoFactor(secret="-", **of_user),
                BackupCode(slot=0, code_hash="-", **of_user),
                PasswordReset(token_hash=str(new_id()), expires_at=at, **of_user),
                ChannelAccount(id=channel, provider="SMTP", settings={}, credentials="-", **of_app),
            ]
        )
    return {"key": key, "invitation": invitation, "channelAccount": channel}


async def person(app_id: UUID, **fields: Any) -> Contact:
    """A contact without a device."""
    row = Contact(id=new_id(), app_id=app_id, **fields)
    async with transaction() as session:
        session.add(row)
    return row


async def refusals(app_id: UUID, contact_id: UUID) -> None:
    """An opt-out of a contact, a suppressed address, a mark of the frequency cap."""
    own, at = {"app_id": app_id, "contact_id": contact_id}, now()
    async with transaction() as session:
        session.add(OptOut(channel=ChannelKind.EMAIL, reason=OptOutReason.MANUAL, **own))
        key = f"f{contact_id}"
        session.add(FrequencyMark(key=key, channel=ChannelKind.EMAIL, at=at, expires_at=at + timedelta(days=1), **own))
        bounced = SuppressionReason.HARD_BOUNCE
        await suppressions.suppress(session, app_id, SYSTEM, ChannelKind.EMAIL, SUPPRESSED, bounced)


async def api_key(team: Team, *scopes: Permission, **fields: Any) -> NewApiKey:
    """A key of an app, made by the person of `team`; with all scopes unless some are named."""
    asked = ApiKeyFields(name="Shop", mode=ApiKeyMode.LIVE, scopes=scopes or SCOPES, expires_at=None)
    async with transaction() as session:
        return await api_keys.create(session, principal(team), asked | fields)


async def conversation(app_id: UUID, contact_id: UUID, **fields: Any) -> Conversation:
    """An open conversation, without messages."""
    row = Conversation(**{"id": new_id(), "app_id": app_id, "contact_id": contact_id, "channel": "IN_APP"} | fields)
    async with transaction() as session:
        session.add(row)
    return row


async def notification(team: Team, **fields: Any) -> Notification:
    """Something unread that the person of `team` was told of; a broadcast that was sent unless it is said otherwise."""
    said = {"type": NotificationType.BROADCAST_SENT, "entity_id": new_id(), "actor": "system", "last_at": now()}
    row = Notification(**{"id": new_id(), "app_id": team.app_id, "user_id": team.user_id} | said | fields)
    async with transaction() as session:
        session.add(row)
    return row


async def told_by_mail(team: Team) -> None:
    """What the person of `team` wants to be told, and a mail that is due to them some day."""
    own, mode = {"app_id": team.app_id, "user_id": team.user_id}, EmailMode.DIGEST
    async with transaction() as session:
        session.add_all(
            [
                NotificationPreference(type=NotificationType.MENTION, in_app=True, email=mode, **own),
                NotificationDigest(period=DigestPeriod.DAILY, hour=8, time_zone="UTC", **own),
                NotificationMailing(mode=mode, due_at=now() + timedelta(days=1), **own),
            ]
        )


async def attachment(team: Team, **fields: Any) -> Attachment:
    """A picture that the person of `team` has uploaded, without an object."""
    said = {"kind": AttachmentKind.IMAGE, "content_type": "image/png", "size": 68, "sha256": "0" * 64}
    said |= {"file_name": "cat.png", "uploader": f"user:{team.user_id}", "stored_at": now()}
    row = Attachment(**{"id": new_id(), "app_id": team.app_id, "storage_key": f"{team.app_id}/none"} | said | fields)
    async with transaction() as session:
        session.add(row)
    return row


async def segment(team: Team, **fields: Any) -> Segment:
    """A segment of those on the plan "free"."""
    said = {"name": "Free", "conditions": {"field": "plan", "operator": "eq", "value": "free"}} | fields
    row = Segment(app_id=team.app_id, created_by_id=team.user_id, **said)
    async with transaction() as session:
        session.add(row)
    return row


WORKFLOW = {
    "trigger": {"type": "event", "event_name": "user_signup"},
    "nodes": [
        {"id": "greet", "type": "send_message", "config": {"body": "Hello {{ contact.name }}"}},
        {"id": "wait", "type": "wait", "config": {"duration": "3d"}},
    ],
    "edges": [{"from": "greet", "to": "wait"}],
}
"""A definition with nothing wrong."""


MANUAL = WORKFLOW | {"trigger": {"type": "manual"}}
"""The same, for whom somebody lets in."""


async def workflow(
    team: Team, definition: object = WORKFLOW, status: WorkflowStatus = WorkflowStatus.ACTIVE
) -> Workflow:
    """A workflow; with its first version when it is ACTIVE."""
    said = WorkflowFields(name="Welcome", definition=definition)
    async with transaction() as session:
        row = await drafts.create(session, principal(team), said)
        if status is WorkflowStatus.ACTIVE:
            await versions.activate(session, principal(team), row.id)
    return row


async def execution(team: Team, contact_id: UUID, workflow: Workflow, **fields: Any) -> WorkflowExecution:
    """A contact who waits in a workflow for an event until long from now, and for its goal; counted, and a signal."""
    assert workflow.active_version_id
    of_app, at = {"app_id": team.app_id}, now() + timedelta(days=300)
    of_version = {"workflow_id": workflow.id, "workflow_version_id": workflow.active_version_id} | of_app
    made = {"id": new_id(), "contact_id": contact_id, "trigger_key": f"test:{new_id()}", "open_steps": 1}
    row = WorkflowExecution(**of_version | made | fields)
    open_ = {"status": StepStatus.WAITING, "goes_by": "next"} if row.open_steps else {"status": StepStatus.FAILED}
    if not row.open_steps:
        open_ |= {"ended_at": now(), "error_code": "SERVER_ERROR"}
    step = WorkflowStep(id=new_id(), execution_id=row.id, node_id="wait", kind="wait", due_at=at, **of_version | open_)
    awaited = {"execution_id": row.id, "contact_id": contact_id, "event_name": "order_placed", "expires_at": at}
    async with transaction() as session:
        session.add(row)
        await session.flush()
        session.add(step)
        await session.flush()
        session.add(WorkflowWait(step_id=step.id, **awaited | of_app))
        signal = {"contact_id": contact_id, "kind": TriggerKind.EVENT, "keys": ["order_placed"], "due_at": None}
        session.add(WorkflowSignal(**signal | of_app))
        entered = {"node_id": "", "entered": 1, **of_version}
        await session.merge(WorkflowTally(**entered))
        session.add(WorkflowMove(**entered | {"node_id": "wait"}))
    return row


async def failed_execution(team: Team, contact_id: UUID, workflow: Workflow) -> WorkflowExecution:
    """A contact whose wait has failed, whatever that may be."""
    error = {"error_node_id": "wait", "error_code": "SERVER_ERROR", "error_message": "The server answered 500."}
    ended = {"status": ExecutionStatus.FAILED, "ended_at": now(), "open_steps": 0}
    return await execution(team, contact_id, workflow, **ended | error)


async def ways_in(team: Team, contact_id: UUID) -> dict[str, UUID]:
    """A watched segment with a member, a workflow that goes by the clock, one that goes by hand and an enrolment."""
    watched = await segment(team, name="Watched")
    await workflow(team, {**WORKFLOW, "trigger": {"type": "segment_entered", "segment_id": str(watched.id)}})
    await workflow(team, {**WORKFLOW, "trigger": {"type": "schedule", "cron": "0 0 1 1 *"}})
    manual = await workflow(team, MANUAL)
    async with transaction() as session:
        own = {"app_id": team.app_id, "contact_id": contact_id}
        session.add(SegmentMember(segment_id=watched.id, entered_at=now(), **own))
        begun = await enrolments.enrol(session, principal(team), manual.id, Audience(segment_id=watched.id))
        begun.due_at = now() + timedelta(days=1)
    return {"manualWorkflow": manual.id, "enrolment": begun.id}


async def broadcast(team: Team, **fields: Any) -> Broadcast:
    """A draft to everybody."""
    said = {"title": "Hello", "body": "World"} | fields
    row = Broadcast(id=new_id(), app_id=team.app_id, target_type=TargetType.ALL_USERS, **said)
    async with transaction() as session:
        session.add(row)
    return row


async def sending(team: Team, recipients: int, **fields: Any) -> Broadcast:
    """A broadcast whose recipients are written and whose chunks wait; no worker knows of it."""
    await contacts(team.app_id, recipients)
    return await expanded(team, **fields)


async def expanded(team: Team, **fields: Any) -> Broadcast:
    """A broadcast to the contacts there are, with its recipients written and its chunks waiting."""
    row = await broadcast(team, status=BroadcastStatus.SENDING, sent_at=now(), **fields)
    more = True
    while more:
        async with transaction() as session:
            more = await expansion.expand_slice(session, row.id)
    return row


HOOKS_URL = "https://hooks.invalid/replyhq"
"""A name that never leads anywhere."""


async def webhook(team: Team, url: str = HOOKS_URL, *types: WebhookEventType, **fields: Any) -> tuple[Webhook, str]:
    """A webhook, of all kinds of events unless some are named, and its secret. Any URL will do."""
    id_, secret = new_id(), signing.new_secret()
    told = [one.value for one in types or WebhookEventType]
    row = Webhook(id=id_, app_id=team.app_id, url=url, event_types=told, **fields)
    row.secret = standing.close(row, "secret", secret)
    async with transaction() as session:
        session.add(row)
    return row, secret


async def webhook_delivery(team: Team, webhook_id: UUID, **fields: Any) -> WebhookDelivery:
    """A delivery that was tried once, and is given up."""
    event = WebhookEvent(id=new_id(), app_id=team.app_id, event_type="contact.created", entity_id=new_id())
    event.sequence, event.body = 1, "{}"
    said = {"status": DeliveryStatus.FAILED, "failure": DeliveryFailure.NO_ANSWER, "attempt_count": 1, "tries": 1}
    of = {"app_id": team.app_id, "webhook_id": webhook_id, "event_id": event.id, "event_type": event.event_type}
    row = WebhookDelivery(**{"id": new_id()} | of | said | fields)
    tried = {"number": 1, "url": HOOKS_URL, "milliseconds": 3, "failure": DeliveryFailure.NO_ANSWER}
    attempt = WebhookAttempt(app_id=team.app_id, delivery_id=row.id, request_headers={}, response_headers={}, **tried)
    async with transaction() as session:
        session.add(event)
        await session.flush()
        session.add(row)
        await session.flush()
        session.add(attempt)
    return row
