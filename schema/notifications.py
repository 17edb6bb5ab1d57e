"""What a person of the team is told of, and how they want to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from core.ids import parse_id
from domain.notifications import preferences
from domain.notifications.own import Filter
from domain.streams.moments import Snapshot
from models.broadcasts import Broadcast as BroadcastRow
from models.conversations import Conversation as ConversationRow
from models.messages import Message as MessageRow
from models.notifications import DigestPeriod, EmailMode, NotificationType
from models.notifications import Notification as NotificationRow
from models.streams import StreamEvent as StreamEventRow
from models.workflows import Workflow as WorkflowRow
from schema.broadcasts.types import Broadcast
from schema.context import Info
from schema.conversations import Conversation
from schema.messages import Message
from schema.mutations import Payload
from schema.streams import Resync, StreamChange, StreamEvent, moment
from schema.views import described, optional, plain, view
from schema.workflows.types import Workflow

described(
    NotificationType,
    "What a notification tells of.",
    NEW_MESSAGE="A contact wrote in a conversation that you answer.",
    UNASSIGNED_MESSAGE="A contact wrote in a conversation that nobody answers.",
    CONVERSATION_ASSIGNED="A conversation was given to you.",
    MENTION="A private note mentions you.",
    BROADCAST_SENT="A broadcast that you made was sent. When you are out of the team, its owners are told.",
    BROADCAST_FAILED="A broadcast that you made has failed. When you are out of the team, its owners are told.",
    WORKFLOW_FAILED="A run of a workflow that you made has failed. When you are out of the team, its owners are told.",
    WEBHOOK_DISABLED="A webhook was disabled, as its server is gone or has failed for too long. Owners are told.",
)
described(
    EmailMode,
    "Whether notifications of a type go by e-mail too. What is read before is left out.",
    OFF="Not by e-mail.",
    AT_ONCE="Two minutes after it happened; of the same thing once an hour at most.",
    DIGEST="Gathered, at most one e-mail a period.",
)
described(
    DigestPeriod,
    "How often digests come.",
    HOURLY="At every full hour.",
    DAILY="Once a day, at your hour.",
)


@view(NotificationRow, description="Something that you are told of. What happens to it while it is unread is counted.")
class Notification:
    """A notification."""

    id: strawberry.ID = plain("UUID.")
    type: NotificationType = plain("What it tells of.")
    entity_id: strawberry.ID = plain("The conversation, broadcast, workflow or webhook that it is about.")
    count: int = plain("How often it happened, e.g. how many messages came, while the notification was unread.")
    actor: str = plain("Who did the newest: user:<id>, key:<id>, device:<id>, contact:<id>, workflow:<id> or system.")
    created_at: datetime = plain("When it was made.")
    last_at: datetime = plain("When it happened last.")
    read_at: datetime | None = plain("When you read it, or the thing elsewhere; null while it is unread.")
    archived: bool = plain("Whether you have put it away.")

    @strawberry.field(
        description="The conversation, when it is about one or about a message.", graphql_type=Conversation | None
    )
    async def conversation(row: strawberry.Parent[NotificationRow], info: Info) -> ConversationRow | None:
        """The conversation."""
        id_ = row.conversation_id
        return await info.context.loaders.conversation.load(id_) if id_ else None

    @strawberry.field(description="The newest message or note that it is about.", graphql_type=Message | None)
    async def message(row: strawberry.Parent[NotificationRow], info: Info) -> MessageRow | None:
        """The message."""
        return await info.context.loaders.message.load(row.message_id) if row.message_id else None

    @strawberry.field(description="The broadcast, when it is about one that is there.", graphql_type=Broadcast | None)
    async def broadcast(row: strawberry.Parent[NotificationRow], info: Info) -> BroadcastRow | None:
        """The broadcast."""
        is_one = row.type in {NotificationType.BROADCAST_SENT, NotificationType.BROADCAST_FAILED}
        return await info.context.loaders.broadcast.load(row.entity_id) if is_one else None

    @strawberry.field(description="The workflow, when it is about one that is there.", graphql_type=Workflow | None)
    async def workflow(row: strawberry.Parent[NotificationRow], info: Info) -> WorkflowRow | None:
        """The workflow."""
        is_one = row.type is NotificationType.WORKFLOW_FAILED
        return await info.context.loaders.workflow.load(row.entity_id) if is_one else None


async def _unread_count(info: Info) -> int:
    return await info.context.loaders.unread_notifications.load(info.context.asker())


@dataclass(frozen=True)
class Counts:
    """Of one person."""

    unread: int


@view(Counts, description="How many notifications you have.")
class NotificationCounts:
    """Counts."""

    unread: int = plain("Unread ones; 100 says that there are 100 or more.")


@view(preferences.Preference, description="How you are told of one type.")
class NotificationPreference:
    """A preference."""

    type: NotificationType = plain("Of what.")
    in_app: bool = plain("Whether such notifications are listed, counted and told live.")
    email: EmailMode = plain("Whether they go by e-mail.")


@view(preferences.Digest, description="When your digests come.")
class NotificationDigest:
    """A time."""

    period: DigestPeriod = plain("How often.")
    hour: int = plain("Of the day, 0 to 23: for DAILY.")
    time_zone: str = plain("IANA name of the zone of `hour`.")


@view(preferences.Preferences, description="How you are told in this app.")
class NotificationPreferences:
    """Preferences."""

    types: list[NotificationPreference] = plain("Of each type that you may be told of.")
    digest: NotificationDigest = plain("When digests come.")


@strawberry.input(description="Which notifications.")
class NotificationFilterInput:
    """A filter."""

    types: list[NotificationType] | None = optional("Of these types; all when left out.")
    unread: bool | None = optional("Unread or read ones; both when left out.")
    archived: bool = strawberry.field(default=False, description="Those that you have put away, instead of the others.")

    def wanted(self) -> Filter:
        """The filter."""
        return Filter(types=self.types or (), unread=self.unread, archived=self.archived)


@strawberry.input(description="Notifications of yours, 100 at most.")
class NotificationsInput:
    """Notifications."""

    ids: list[strawberry.ID] = plain("Which.")

    def parsed(self) -> list[UUID]:
        """Their ids.

        Raises:
            Invalid: one is none.
        """
        return [parse_id(id_, "ids") for id_ in self.ids]


@strawberry.input(description="Up to when to mark notifications as read.")
class MarkAllNotificationsReadInput:
    """An instant."""

    until: datetime | None = optional("Leave unread what happened after it: `lastAt` of the newest one you have seen.")


@strawberry.input(description="How you want to be told of a type. What is left out stays.")
class SetNotificationPreferenceInput:
    """A preference that changes."""

    type: NotificationType = plain("Of what.")
    in_app: bool | None = optional("Whether to list, count and tell it live.")
    email: EmailMode | None = optional("Whether to send e-mails.")


@strawberry.input(description="When you want digests. What is left out stays.")
class SetNotificationDigestInput:
    """A time that changes."""

    period: DigestPeriod | None = optional("How often.")
    hour: int | None = optional("Of the day, 0 to 23: for DAILY.")
    time_zone: str | None = optional("IANA name, like Europe/Berlin.")

    def given(self) -> dict[str, Any]:
        """What the client wrote."""
        said = {"period": self.period, "hour": self.hour, "time_zone": self.time_zone}
        return {name: value for name, value in said.items() if value is not None}


@strawberry.type(description="The notifications as they are since.")
class NotificationsPayload(Payload):
    """Notifications."""

    notifications: list[Notification] | None = plain("Those that were named, in that order.")


@strawberry.type(description="What was marked as read.")
class MarkAllNotificationsReadPayload(Payload):
    """A number."""

    count: int | None = plain("How many were unread before.")


@strawberry.type(description="How you are told since.")
class NotificationPreferencesPayload(Payload):
    """Preferences."""

    preferences: NotificationPreferences | None = plain("Of all types.")


@moment(StreamEventRow, "A notification is new, or something more has happened of which an unread one tells.")
class NotificationArrival(StreamChange):
    """A notification that has come."""

    @strawberry.field(
        description="The notification as it is now; null when it is gone.", graphql_type=Notification | None
    )
    async def notification(row: strawberry.Parent[StreamEventRow], info: Info) -> NotificationRow | None:
        """The notification."""
        return await info.context.loaders.notification.load(row.entity_id)

    @strawberry.field(description="How many are unread now; 100 says that there are 100 or more.")
    async def unread_count(row: strawberry.Parent[StreamEventRow], info: Info) -> int:
        """Count."""
        return await _unread_count(info)


@moment(StreamEventRow, "Notifications were read, here or as the thing was handled elsewhere, made unread, put away.")
class NotificationsChange(StreamChange):
    """Notifications that have changed."""

    @strawberry.field(description="They as they are now, 100 at most.", graphql_type=list[Notification])
    async def notifications(row: strawberry.Parent[StreamEventRow], info: Info) -> Sequence[NotificationRow]:
        """Those that are still there."""
        ids = [UUID(one) for one in row.data["notificationIds"]]
        return [one for one in await info.context.loaders.notification.load_many(ids) if one]

    @strawberry.field(description="How many have changed; when it is more than are shown, read the list anew.")
    def count(row: strawberry.Parent[StreamEventRow]) -> int:
        """The number."""
        return int(row.data["count"])

    @strawberry.field(description="How many are unread now; 100 says that there are 100 or more.")
    async def unread_count(row: strawberry.Parent[StreamEventRow], info: Info) -> int:
        """Count."""
        return await _unread_count(info)


@moment(Snapshot, "Your notifications as they stand; a change that is in them may follow all the same.")
class NotificationsSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The 50 newest that are not put away.", graphql_type=list[Notification])
    def notifications(row: strawberry.Parent[Snapshot]) -> Sequence[NotificationRow]:
        """The notifications."""
        return row.rows

    @strawberry.field(description="How many are unread now; 100 says that there are 100 or more.")
    async def unread_count(row: strawberry.Parent[Snapshot], info: Info) -> int:
        """Count."""
        return await _unread_count(info)


NotificationAdded = Annotated[
    NotificationArrival | NotificationsSnapshot | Resync,
    strawberry.union("NotificationAdded", description="What `notificationAdded` tells."),
]
NotificationChanged = Annotated[
    NotificationsChange | NotificationsSnapshot | Resync,
    strawberry.union("NotificationChanged", description="What `notificationChanged` tells."),
]
