"""Notifications: one's own, read, put away, and how one is told."""

from collections.abc import AsyncGenerator, Container, Sequence
from typing import Annotated

import strawberry

from core.database import transaction
from domain.notifications import own, preferences, telling
from domain.notifications.preferences import Preferences
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.streams.moments import Moment
from models.facts import FactKind
from models.notifications import Notification as NotificationRow
from resolvers.live import events
from schema.context import Info
from schema.mutations import mutation
from schema.notifications import (
    Counts,
    MarkAllNotificationsReadInput,
    MarkAllNotificationsReadPayload,
    Notification,
    NotificationAdded,
    NotificationChanged,
    NotificationCounts,
    NotificationFilterInput,
    NotificationPreferences,
    NotificationPreferencesPayload,
    NotificationsInput,
    NotificationsPayload,
    SetNotificationDigestInput,
    SetNotificationPreferenceInput,
)
from schema.pagination import After as Behind
from schema.pagination import Before, Connection, First, Last
from schema.permissions import requires
from schema.streams import After, subscription

OWN = Permission.OWN_MEMBERSHIP
Chosen = Annotated[
    NotificationFilterInput | None,
    strawberry.argument(description="Which; all that are not put away when left out."),
]


def _told(info: Info, after: str | None, kinds: Container[FactKind]) -> AsyncGenerator[Moment, None]:
    """The events of these kinds of the asker's own notifications, after the newest of these."""
    asker = info.context.asker()

    async def newest() -> Sequence[NotificationRow]:
        async with transaction() as session:
            return (await own.listed(session, asker, own.Filter(), PageRequest())).rows

    return events(info, telling.stream(asker.person()), after, kinds=kinds, snapshot=newest)


@strawberry.type
class Query:
    """Read one's own notifications."""

    @strawberry.field(
        description="Your notifications in this app, the newest first.",
        graphql_type=Connection[Notification] | None,
        extensions=requires(OWN),
    )
    async def notifications(
        self,
        info: Info,
        filter: Chosen = None,
        first: First = None,
        after: Behind = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[NotificationRow]:
        """A page."""
        wanted, request = filter.wanted() if filter else own.Filter(), PageRequest(first, after, last, before)
        async with transaction() as session:
            return await own.listed(session, info.context.asker(), wanted, request)

    @strawberry.field(
        description="How many notifications you have in this app.",
        graphql_type=NotificationCounts | None,
        extensions=requires(OWN),
    )
    async def notification_counts(self, info: Info) -> Counts:
        """Counts."""
        return Counts(await info.context.loaders.unread_notifications.load(info.context.asker()))

    @strawberry.field(
        description="How you are told in this app: of what, in the app and by e-mail.",
        graphql_type=NotificationPreferences | None,
        extensions=requires(OWN),
    )
    async def notification_preferences(self, info: Info) -> Preferences:
        """Of the asker."""
        async with transaction() as session:
            return await preferences.look(session, info.context.asker())


@strawberry.type
class Mutation:
    """Read notifications, put them away, say how to be told."""

    @mutation(OWN, NotificationsPayload, "Mark notifications as read. Repeatable.")
    async def mark_notifications_read(self, info: Info, input: NotificationsInput) -> Sequence[NotificationRow]:
        """Mark as read."""
        async with transaction() as session:
            return await own.mark_read(session, info.context.asker(), input.parsed())

    @mutation(
        OWN,
        NotificationsPayload,
        "Make notifications unread again, also those that you have put away. What happens next is told by another one.",
    )
    async def mark_notifications_unread(self, info: Info, input: NotificationsInput) -> Sequence[NotificationRow]:
        """Make unread."""
        async with transaction() as session:
            return await own.mark_unread(session, info.context.asker(), input.parsed())

    @mutation(OWN, MarkAllNotificationsReadPayload, "Mark all your notifications in this app as read. Repeatable.")
    async def mark_all_notifications_read(self, info: Info, input: MarkAllNotificationsReadInput) -> int:
        """Mark all as read."""
        async with transaction() as session:
            return await own.mark_all_read(session, info.context.asker(), input.until)

    @mutation(OWN, NotificationsPayload, "Mark notifications as read and put them away. Repeatable.")
    async def archive_notifications(self, info: Info, input: NotificationsInput) -> Sequence[NotificationRow]:
        """Put away."""
        async with transaction() as session:
            return await own.archive(session, info.context.asker(), input.parsed())

    @mutation(OWN, NotificationPreferencesPayload, "Say how you want to be told of a type of things.")
    async def set_notification_preference(self, info: Info, input: SetNotificationPreferenceInput) -> Preferences:
        """Set."""
        async with transaction() as session:
            return await preferences.set_preference(
                session, info.context.asker(), input.type, in_app=input.in_app, email=input.email
            )

    @mutation(OWN, NotificationPreferencesPayload, "Say when you want digests.")
    async def set_notification_digest(self, info: Info, input: SetNotificationDigestInput) -> Preferences:
        """Set."""
        async with transaction() as session:
            return await preferences.set_digest(session, info.context.asker(), **input.given())


@strawberry.type
class Subscription:
    """Be told."""

    @subscription(OWN, NotificationAdded, "Your new notifications in this app, and what is counted in unread ones.")
    async def notification_added(self, info: Info, after: After = None) -> AsyncGenerator[Moment, None]:
        """What comes."""
        return _told(info, after, {FactKind.NOTIFICATION_ADDED})

    @subscription(
        OWN, NotificationChanged, "Your notifications that are read, made unread or put away, wherever that is done."
    )
    async def notification_changed(self, info: Info, after: After = None) -> AsyncGenerator[Moment, None]:
        """What changes."""
        return _told(info, after, {FactKind.NOTIFICATION_CHANGED})
