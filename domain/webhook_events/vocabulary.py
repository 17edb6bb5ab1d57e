"""Which facts are told to the outside, and how: a line each.

Another kind is told by a line here, and one in `models.webhooks.WebhookEventType`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from core.json import encode
from domain.webhook_events import examples, payloads
from domain.webhook_events.payloads import Data, Told, instant
from models.broadcasts import Broadcast, BroadcastStatus
from models.contacts import Contact
from models.conversations import Conversation, ConversationStatus
from models.devices import Device
from models.events import Event
from models.messages import Message
from models.webhooks import WebhookEventType


class EventKind(NamedTuple):
    """How a kind of event is told.

    Attributes:
        description: when it happens.
        row: what it happens to.
        data: makes `data` of the payload.
        example: what the example is made from.
        version: of `data`.
    """

    description: str
    row: type[Any]
    data: Callable[[Told], Data]
    example: Told
    version: int = 1


E, B, C = WebhookEventType, BroadcastStatus, ConversationStatus
EVENTS: dict[WebhookEventType, EventKind] = {
    E.CONTACT_CREATED: EventKind("A contact was created.", Contact, payloads.contact, examples.contact),
    E.CONTACT_UPDATED: EventKind("A contact was changed.", Contact, payloads.contact, examples.contact),
    E.CONTACT_DELETED: EventKind("A contact was erased.", Contact, payloads.erased_contact, examples.contact),
    E.CONTACT_OPTED_OUT: EventKind("A contact opted out.", Contact, payloads.opted, examples.opted),
    E.CONTACT_OPTED_IN: EventKind("An opt-out was taken back.", Contact, payloads.opted, examples.opted),
    E.DEVICE_REGISTERED: EventKind("A device was registered.", Device, payloads.device, examples.device),
    E.EVENT_TRACKED: EventKind("A contact did something.", Event, payloads.event, examples.event),
    E.BROADCAST_SCHEDULED: EventKind(
        "A broadcast was scheduled.", Broadcast, payloads.broadcast, examples.broadcast(B.SCHEDULED)
    ),
    E.BROADCAST_STARTED: EventKind(
        "The sending of a broadcast began.", Broadcast, payloads.broadcast, examples.broadcast(B.SENDING)
    ),
    E.BROADCAST_PAUSED: EventKind(
        "A broadcast was paused.", Broadcast, payloads.broadcast, examples.broadcast(B.PAUSED)
    ),
    E.BROADCAST_RESUMED: EventKind(
        "A paused broadcast goes on.", Broadcast, payloads.broadcast, examples.broadcast(B.SENDING)
    ),
    E.BROADCAST_CANCELLED: EventKind(
        "A broadcast was cancelled.", Broadcast, payloads.broadcast, examples.broadcast(B.CANCELLED)
    ),
    E.BROADCAST_SENT: EventKind("A broadcast is through.", Broadcast, payloads.broadcast, examples.broadcast(B.SENT)),
    E.BROADCAST_FAILED: EventKind(
        "A broadcast ended without reaching anybody.", Broadcast, payloads.broadcast, examples.broadcast(B.FAILED)
    ),
    E.CONVERSATION_OPENED: EventKind(
        "A conversation began.", Conversation, payloads.conversation, examples.conversation(assignee=None)
    ),
    E.CONVERSATION_UPDATED: EventKind(
        "A conversation got another priority, or was marked as pending or spam.",
        Conversation,
        payloads.conversation,
        examples.conversation(C.PENDING),
    ),
    E.CONVERSATION_ASSIGNED: EventKind(
        "Somebody was given a conversation.", Conversation, payloads.conversation, examples.conversation()
    ),
    E.CONVERSATION_UNASSIGNED: EventKind(
        "A conversation was taken from its assignee.",
        Conversation,
        payloads.conversation,
        examples.conversation(assignee=None),
    ),
    E.CONVERSATION_SNOOZED: EventKind(
        "A conversation was put aside.", Conversation, payloads.conversation, examples.conversation(C.SNOOZED)
    ),
    E.CONVERSATION_REOPENED: EventKind(
        "A conversation is open again.", Conversation, payloads.conversation, examples.conversation()
    ),
    E.CONVERSATION_RESOLVED: EventKind(
        "A conversation was resolved.", Conversation, payloads.conversation, examples.conversation(C.RESOLVED)
    ),
    E.CONVERSATION_LABELLED: EventKind(
        "A conversation got a label.", Conversation, payloads.labelled, examples.labelled
    ),
    E.CONVERSATION_UNLABELLED: EventKind(
        "A conversation lost a label.", Conversation, payloads.labelled, examples.labelled
    ),
    E.CONVERSATION_DELETED: EventKind(
        "A conversation is gone, as its contact was erased.",
        Conversation,
        payloads.gone_conversation,
        examples.conversation(),
    ),
    E.MESSAGE_CREATED: EventKind(
        "A contact or the team wrote a message, or the team a private note.",
        Message,
        payloads.message,
        examples.message,
    ),
    E.MESSAGE_UPDATED: EventKind("A message was edited.", Message, payloads.message, examples.message),
    E.MESSAGE_DELETED: EventKind("A message was deleted.", Message, payloads.gone_message, examples.message),
    E.MESSAGE_RECEIPT_CHANGED: EventKind(
        "Messages of the team were sent, delivered or read, or failed.", Message, payloads.receipts, examples.receipts
    ),
}


@dataclass(frozen=True)
class Envelope:
    """What is told of every event."""

    id: UUID
    event_type: WebhookEventType
    app_id: UUID
    at: datetime
    sequence: int
    actor: str
    is_test: bool = False


def message_id(event_id: UUID) -> str:
    """What the receiver knows an event by, however often it comes."""
    return f"msg_{event_id.hex}"


def body(envelope: Envelope, told: Told) -> str:
    """Exactly what is sent."""
    kind = EVENTS[envelope.event_type]
    said = {
        "id": message_id(envelope.id),
        "type": envelope.event_type.value,
        "version": kind.version,
        "timestamp": instant(envelope.at),
        "sequence": envelope.sequence,
        "appId": str(envelope.app_id),
        "actor": envelope.actor,
        **({"test": True} if envelope.is_test else {}),
        "data": kind.data(told),
    }
    return encode(said).decode()


def example(event_type: WebhookEventType) -> str:
    """A payload as it may be, the same each time."""
    envelope = Envelope(examples.TOLD, event_type, examples.APP, examples.AT, 17, f"user:{examples.USER}")
    return body(envelope, EVENTS[event_type].example)


_VALUES = {one.value: one for one in WebhookEventType}


def told_kind(kind: str) -> WebhookEventType | None:
    """The kind of event that a kind of fact is; None when it is not told."""
    return _VALUES.get(kind)
