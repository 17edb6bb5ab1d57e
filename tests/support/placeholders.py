"""What the placeholders in the variables of graphql-examples stand for: things made for one run of one example."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyotp
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain import in_app_messages, labels, sign_ins
from domain.conversations import control as conversations
from domain.in_app_messages import Draft
from domain.principals import Caller
from domain.sessions import SignedIn
from domain.sign_ins import Challenged
from domain.two_factors import control
from models.broadcasts import (
    Broadcast,
    BroadcastChunk,
    BroadcastRecipient,
    BroadcastStatus,
    ChunkStatus,
    RecipientStatus,
)
from models.contacts import Contact
from models.devices import Device
from models.sessions import UserSession
from models.team import Membership, Role
from models.webhooks import WebhookStop
from models.workflows import WorkflowStatus
from server.simulator.providers.credentials import b64
from tests.support import factories, inbox, second_factors
from tests.support.factories import PASSWORD, Team
from tests.support.inbox import Line

USER_ID = "customer-1"


@dataclass(frozen=True)
class Scene:
    """An app with two people, owners both, and one contact, who has one device, on which one message waits."""

    team: Team
    colleague: Team
    contact_id: UUID
    device_id: UUID
    message_id: UUID


Maker = Callable[[Scene], Awaitable[str]]


async def scene(team: Team) -> Scene:
    """The scene of one example."""
    (device_id,) = await factories.contacts(team.app_id, 1)
    key = f"t{new_id()}:{device_id}"
    async with transaction() as session:
        contact_id = await session.scalar(sa.select(Device.contact_id).where(Device.id == device_id))
        await session.execute(sa.update(Contact).where(Contact.id == contact_id).values(external_id=USER_ID))
        await in_app_messages.store(session, team.app_id, [Draft(key, device_id, "Hello", "World", None)])
    colleague = await factories.team(Role.OWNER, team.app_id)
    return Scene(team, colleague, contact_id, device_id, in_app_messages.message_id(key))


async def filled(value: Any, stage: Scene) -> Any:
    """`value` with what each placeholder in it stands for."""
    if isinstance(value, dict):
        return {name: await filled(one, stage) for name, one in value.items()}
    if isinstance(value, list):
        return [await filled(one, stage) for one in value]
    return await PLACEHOLDERS[value](stage) if value in placeholders(value) else value


def placeholders(value: Any) -> set[str]:
    """The placeholders in `value`."""
    if isinstance(value, dict):
        return placeholders(list(value.values()))
    if isinstance(value, list):
        return set().union(*map(placeholders, value))
    return {value} if isinstance(value, str) and value.startswith("$") else set()


async def _email(stage: Scene) -> str:
    return stage.team.email


async def _new_email(_stage: Scene) -> str:
    return f"{new_id()}@example.com"


async def _password(_stage: Scene) -> str:
    return PASSWORD


async def _refresh_token(stage: Scene) -> str:
    return (await _signed_in(stage)).refresh_token


async def _signed_in(stage: Scene) -> SignedIn | Challenged:
    caller = Caller("127.0.0.1", "tests")
    return await sign_ins.sign_in(caller, email=stage.team.email, password=PASSWORD)


async def _challenge(stage: Scene) -> str:
    await second_factors.confirmed(stage.team)
    return (await _signed_in(stage)).challenge


async def _first_code(stage: Scene) -> str:
    asker = factories.principal(stage.team)
    return pyotp.TOTP((await control.set_up(asker, PASSWORD)).secret).at(now())


async def _code(stage: Scene) -> str:
    totp = await second_factors.known(stage.team) or await second_factors.confirmed(stage.team)
    return totp.at(now())


async def _session_id(stage: Scene) -> str:
    async with transaction() as session:
        return str(await session.scalar(sa.select(UserSession.id).where(UserSession.user_id == stage.team.user_id)))


async def _member_id(stage: Scene) -> str:
    own = sa.select(Membership.id).where(Membership.user_id == stage.colleague.user_id)
    async with transaction() as session:
        return str(await session.scalar(own))


async def _invitation_id(stage: Scene) -> str:
    return str((await factories.account(stage.team))["invitation"])


async def _api_key_id(stage: Scene) -> str:
    return str((await factories.api_key(stage.team)).api_key.id)


async def _channel_account_id(stage: Scene) -> str:
    return str((await factories.account(stage.team))["channelAccount"])


async def _vapid_key(_stage: Scene) -> str:
    return b64(ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32, "big"))


async def _other_app_id(stage: Scene) -> str:
    return str(await factories.joined(stage.team))


async def _reset_token(stage: Scene) -> str:
    return await factories.password_reset(stage.team)


async def _contact_id(stage: Scene) -> str:
    return str(stage.contact_id)


async def _opted_out_contact_id(stage: Scene) -> str:
    await factories.refusals(stage.team.app_id, stage.contact_id)
    return str(stage.contact_id)


async def _suppressed_email(stage: Scene) -> str:
    await factories.refusals(stage.team.app_id, stage.contact_id)
    return factories.SUPPRESSED


async def _attachment_id(stage: Scene) -> str:
    return str((await factories.attachment(stage.team)).id)


async def _segment_id(stage: Scene) -> str:
    return str((await factories.segment(stage.team)).id)


async def _workflow(stage: Scene) -> str:
    return str((await factories.workflow(stage.team)).id)


async def _manual_workflow(stage: Scene) -> str:
    return str((await factories.workflow(stage.team, factories.MANUAL)).id)


async def _enrolment(stage: Scene) -> str:
    return str((await factories.ways_in(stage.team, stage.contact_id))["enrolment"])


async def _draft_workflow(stage: Scene) -> str:
    return str((await factories.workflow(stage.team, status=WorkflowStatus.DRAFT)).id)


async def _execution(stage: Scene) -> str:
    workflow = await factories.workflow(stage.team)
    return str((await factories.execution(stage.team, stage.contact_id, workflow)).id)


async def _failed_execution(stage: Scene) -> str:
    workflow = await factories.workflow(stage.team)
    return str((await factories.failed_execution(stage.team, stage.contact_id, workflow)).id)


async def _manual_workflow(stage: Scene) -> str:
    return str((await factories.workflow(stage.team, factories.MANUAL)).id)


async def _user_id(_stage: Scene) -> str:
    return USER_ID


async def _message_id(stage: Scene) -> str:
    return str(stage.message_id)


async def _instant(_stage: Scene) -> str:
    return (now() + timedelta(days=1)).isoformat()


async def _draft(stage: Scene) -> str:
    return str((await factories.broadcast(stage.team)).id)


async def _sending(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.SENDING, ChunkStatus.READY, RecipientStatus.PENDING)


async def _paused(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.PAUSED, ChunkStatus.READY, RecipientStatus.PENDING)


async def _sent(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.SENT, ChunkStatus.DONE, RecipientStatus.SENT)


async def _failed(stage: Scene) -> str:
    return await _started(stage, BroadcastStatus.FAILED, ChunkStatus.DONE, RecipientStatus.FAILED, failed=1)


async def _started(
    stage: Scene, status: BroadcastStatus, chunk: ChunkStatus, recipient: RecipientStatus, **counts: int
) -> str:
    """A broadcast to the device. No clock ever finds its chunk due, so it stays as it is until somebody acts."""
    made = {"status": status, "sent_at": now(), "expanded_at": now(), "total_recipients": 1}
    row = Broadcast(id=new_id(), app_id=stage.team.app_id, title="Hello", body="World", target_type="ALL_USERS", **made)
    to = {"contact_id": stage.contact_id, "device_id": stage.device_id, "platform": "IOS"}
    async with transaction() as session:
        session.add(row)
        await session.flush()
        session.add(BroadcastRecipient(broadcast_id=row.id, seq=1, status=recipient, **to))
        session.add(BroadcastChunk(broadcast_id=row.id, no=1, lo_seq=1, hi_seq=1, status=chunk, **counts))
    return str(row.id)


def _line(stage: Scene) -> Line:
    device = inbox.device(stage.team, stage.device_id)
    return Line(stage.team, factories.principal(stage.team), device, stage.contact_id)


async def _conversation(stage: Scene) -> str:
    """One with a question and an answer in it, the same for all placeholders of the scene."""
    line = _line(stage)
    said = await line.says("My printer is broken.", "question")
    await line.answers(said.conversation_id, "Which printer is it?", "answer")
    return str(said.conversation_id)


async def _resolved_conversation(stage: Scene) -> str:
    id_ = await _conversation(stage)
    async with transaction() as session:
        await conversations.resolve(session, factories.principal(stage.team), UUID(id_))
    return id_


async def _conversation_message(stage: Scene) -> str:
    id_ = UUID(await _conversation(stage))
    return str((await _line(stage).answers(id_, "Which printer is it?", "answer")).id)


async def _label(stage: Scene) -> str:
    return str((await inbox.label(stage.team)).id)


async def _used_label(stage: Scene) -> str:
    id_, asker = UUID(await _conversation(stage)), factories.principal(stage.team)
    label = await inbox.label(stage.team)
    async with transaction() as session:
        await labels.put_on(session, asker, id_, label.id)
    return str(label.id)


async def _webhook(stage: Scene) -> str:
    return str((await factories.webhook(stage.team))[0].id)


async def _webhook_delivery(stage: Scene) -> str:
    webhook, _ = await factories.webhook(stage.team)
    return str((await factories.webhook_delivery(stage.team, webhook.id)).id)


async def _watched_webhook(stage: Scene) -> str:
    webhook, _ = await factories.webhook(stage.team)
    await factories.webhook_delivery(stage.team, webhook.id)
    return str(webhook.id)


async def _disabled_webhook(stage: Scene) -> str:
    off = {"disabled_reason": WebhookStop.MANUAL, "disabled_at": now()}
    return str((await factories.webhook(stage.team, **off))[0].id)


async def _instant_before(_stage: Scene) -> str:
    return (now() - timedelta(days=1)).isoformat()


async def _team_user_id(stage: Scene) -> str:
    return str(stage.colleague.user_id)


async def _notification(stage: Scene) -> str:
    return str((await factories.notification(stage.team)).id)


PLACEHOLDERS: dict[str, Maker] = {
    "$email": _email,
    "$newEmail": _new_email,
    "$password": _password,
    "$challenge": _challenge,
    "$firstCode": _first_code,
    "$code": _code,
    "$refreshToken": _refresh_token,
    "$sessionId": _session_id,
    "$otherAppId": _other_app_id,
    "$resetToken": _reset_token,
    "$apiKeyId": _api_key_id,
    "$memberId": _member_id,
    "$invitationId": _invitation_id,
    "$invitationToken": _invitation_id,
    "$channelAccountId": _channel_account_id,
    "$vapidPrivateKey": _vapid_key,
    "$contactId": _contact_id,
    "$optedOutContactId": _opted_out_contact_id,
    "$suppressedEmail": _suppressed_email,
    "$attachmentId": _attachment_id,
    "$segmentId": _segment_id,
    "$workflowId": _workflow,
    "$draftWorkflowId": _draft_workflow,
    "$manualWorkflowId": _manual_workflow,
    "$executionId": _execution,
    "$failedExecutionId": _failed_execution,
    "$enrolmentId": _enrolment,
    "$userId": _user_id,
    "$messageId": _message_id,
    "$conversationId": _conversation,
    "$resolvedConversationId": _resolved_conversation,
    "$conversationMessageId": _conversation_message,
    "$labelId": _label,
    "$usedLabelId": _used_label,
    "$teamUserId": _team_user_id,
    "$webhookId": _webhook,
    "$watchedWebhookId": _watched_webhook,
    "$disabledWebhookId": _disabled_webhook,
    "$webhookDeliveryId": _webhook_delivery,
    "$instantInThePast": _instant_before,
    "$notificationId": _notification,
    "$instantInTheFuture": _instant,
    "$draftBroadcastId": _draft,
    "$sendingBroadcastId": _sending,
    "$pausedBroadcastId": _paused,
    "$sentBroadcastId": _sent,
    "$failedBroadcastId": _failed,
}
