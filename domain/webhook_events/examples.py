"""Things of an app that does not exist, from which the examples of payloads are made."""

from datetime import datetime, timedelta
from uuid import UUID

from domain.webhook_events.payloads import Told
from models.broadcasts import Broadcast, BroadcastStatus, TargetType
from models.channels import ChannelKind
from models.contacts import Contact
from models.conversations import Conversation, ConversationStatus, Direction, Priority
from models.devices import Device, Platform
from models.events import Event
from models.messages import AuthorKind, Message, MessageStatus

AT = datetime.fromisoformat("2026-01-24T10:00:00+00:00")
LATER = AT + timedelta(minutes=5)


def example_id(number: int) -> UUID:
    """An id to show, the same each time."""
    return UUID(f"019bef00-0000-7000-8000-{number:012d}")


APP, CONTACT, DEVICE, CONVERSATION, MESSAGE, BROADCAST, USER, LABEL, EVENT, TOLD = map(example_id, range(1, 11))
OF_CONTACT = {CONVERSATION: CONTACT}

_contact = Contact(
    id=CONTACT,
    external_id="user-17",
    name="Ada",
    emails=["ada@example.com"],
    phones=["+491701234567"],
    locale="de",
    time_zone="Europe/Berlin",
    country="DE",
    plan="pro",
    tags=["beta"],
    attributes={"seats": 5},
    created_at=AT,
    updated_at=LATER,
)
_device = Device(id=DEVICE, contact_id=CONTACT, platform=Platform.IOS, app_version="4.2.0", country="DE")
_event = Event(id=EVENT, contact_id=CONTACT, name="order_placed", properties={"total": 42.5}, occurred_at=AT)


def _broadcast(status: BroadcastStatus) -> Broadcast:
    began = status not in {BroadcastStatus.DRAFT, BroadcastStatus.SCHEDULED}
    ended = status in {BroadcastStatus.SENT, BroadcastStatus.FAILED, BroadcastStatus.CANCELLED}
    return Broadcast(
        id=BROADCAST,
        title="Spring news",
        status=status,
        target_type=TargetType.ALL_USERS,
        channels=["PUSH", "IN_APP"],
        total_recipients=1200 if began else 0,
        scheduled_at=AT,
        sent_at=AT if began else None,
        completed_at=LATER if ended else None,
        error_message="Nobody is left to send to." if status is BroadcastStatus.FAILED else None,
    )


def _conversation(status: ConversationStatus, assignee: UUID | None = USER) -> Conversation:
    return Conversation(
        id=CONVERSATION,
        contact_id=CONTACT,
        channel=ChannelKind.IN_APP,
        status=status,
        priority=Priority.HIGH,
        assignee_id=assignee,
        snoozed_until=LATER if status is ConversationStatus.SNOOZED else None,
        resolved_at=LATER if status is ConversationStatus.RESOLVED else None,
        last_activity_at=LATER,
        message_count=2,
        version=3,
        created_at=AT,
    )


_message = Message(
    id=MESSAGE,
    conversation_id=CONVERSATION,
    channel=ChannelKind.IN_APP,
    direction=Direction.INBOUND,
    is_note=False,
    author_kind=AuthorKind.DEVICE,
    author_id=DEVICE,
    body="My printer is broken.",
    status=MessageStatus.SENT,
    created_at=AT,
    deleted_at=LATER,
)
contact, device, event = Told(_contact), Told(_device), Told(_event)
opted = Told(_contact, {"channel": "EMAIL"})
message = Told(_message, contact_ids=OF_CONTACT)
receipts = Told(_message, {"status": "READ", "messageIds": [str(MESSAGE)]}, OF_CONTACT)
labelled = Told(_conversation(ConversationStatus.OPEN), {"labelId": str(LABEL)})


def broadcast(status: BroadcastStatus) -> Told:
    """A broadcast in a status."""
    return Told(_broadcast(status))


def conversation(status: ConversationStatus = ConversationStatus.OPEN, assignee: UUID | None = USER) -> Told:
    """A conversation in a status."""
    return Told(_conversation(status, assignee))
