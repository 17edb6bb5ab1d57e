"""How things are shown to the outside: `data` of what a webhook is told. Names as in the API, times in RFC 3339.

A field may be added at any time. One that is taken away, or gets another meaning, makes another version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from models.broadcasts import Broadcast
from models.contacts import Contact
from models.conversations import Conversation
from models.devices import Device
from models.events import Event
from models.messages import Message

Data = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One thing that is told.

    Attributes:
        row: what it happened to, as it is at the end of the transaction.
        facts: what the fact says besides.
        contact_ids: of conversations, by their ids.
    """

    row: Any
    facts: Data = field(default_factory=dict)
    contact_ids: Mapping[UUID, UUID] = field(default_factory=dict)


def instant(at: datetime | None) -> str | None:
    """An instant as JSON has it, like 2026-01-24T10:00:00.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def contact(told: Told) -> Data:
    """A contact."""
    return {"contact": _contact(told.row)}


def _contact(row: Contact) -> Data:
    return {
        "id": str(row.id),
        "externalId": row.external_id,
        "name": row.name,
        "emails": row.emails,
        "phones": row.phones,
        "locale": row.locale,
        "timeZone": row.time_zone,
        "country": row.country,
        "plan": row.plan,
        "tags": row.tags,
        "attributes": row.attributes,
        "createdAt": instant(row.created_at),
        "updatedAt": instant(row.updated_at),
    }


def erased_contact(told: Told) -> Data:
    """Who is erased is named, and nothing else of them is told."""
    return {"contact": {"id": str(told.row.id), "externalId": told.row.external_id}}


def opted(told: Told) -> Data:
    """A contact, and the channel that they want or do not want; null is every one."""
    return {"contact": _contact(told.row), "channel": told.facts.get("channel")}


def device(told: Told) -> Data:
    """A device, without the token that pushes go to."""
    row: Device = told.row
    said = {"id": str(row.id), "contactId": str(row.contact_id), "platform": row.platform.value}
    return {"device": said | {"appVersion": row.app_version, "country": row.country}}


def event(told: Told) -> Data:
    """Something that a contact did."""
    row: Event = told.row
    said = {"id": str(row.id), "contactId": str(row.contact_id), "name": row.name, "properties": row.properties}
    return {"event": said | {"occurredAt": instant(row.occurred_at)}}


def broadcast(told: Told) -> Data:
    """A broadcast."""
    row: Broadcast = told.row
    return {
        "broadcast": {
            "id": str(row.id),
            "title": row.title,
            "status": row.status.value,
            "targetType": row.target_type.value,
            "channels": row.channels,
            "totalRecipients": row.total_recipients,
            "scheduledAt": instant(row.scheduled_at),
            "sentAt": instant(row.sent_at),
            "completedAt": instant(row.completed_at),
            "errorMessage": row.error_message,
        }
    }


def conversation(told: Told) -> Data:
    """A conversation."""
    row: Conversation = told.row
    return {
        "conversation": {
            "id": str(row.id),
            "contactId": str(row.contact_id),
            "channel": row.channel.value,
            "status": row.status.value,
            "priority": row.priority.value,
            "assigneeId": _id(row.assignee_id),
            "snoozedUntil": instant(row.snoozed_until),
            "firstResponseAt": instant(row.first_response_at),
            "resolvedAt": instant(row.resolved_at),
            "lastActivityAt": instant(row.last_activity_at),
            "messageCount": row.message_count,
            "version": row.version,
            "createdAt": instant(row.created_at),
        }
    }


def labelled(told: Told) -> Data:
    """A conversation, and the label."""
    return conversation(told) | {"labelId": told.facts.get("labelId")}


def gone_conversation(told: Told) -> Data:
    """Which conversation is gone."""
    return {"conversation": {"id": str(told.row.id), "contactId": str(told.row.contact_id)}}


def message(told: Told) -> Data:
    """A message or a private note, with its text."""
    row: Message = told.row
    return {
        "message": _placed(told)
        | {
            "channel": row.channel.value,
            "direction": row.direction.value,
            "isNote": row.is_note,
            "authorKind": row.author_kind.value,
            "authorId": _id(row.author_id),
            "body": row.body,
            "status": row.status.value,
            "createdAt": instant(row.created_at),
            "editedAt": instant(row.edited_at),
        }
    }


def gone_message(told: Told) -> Data:
    """Which message is gone; what it said is told no more."""
    return {"message": _placed(told) | {"deletedAt": instant(told.row.deleted_at)}}


def _placed(told: Told) -> Data:
    of = told.row.conversation_id
    return {"id": str(told.row.id), "conversationId": str(of), "contactId": _id(told.contact_ids.get(of))}


def receipts(told: Told) -> Data:
    """How far messages of one conversation have come."""
    of = told.row.conversation_id
    placed = {"conversationId": str(of), "contactId": _id(told.contact_ids.get(of))}
    return placed | {"status": told.facts.get("status"), "messageIds": told.facts.get("messageIds")}
