"""Webhooks, what they were told, and what came of it."""

from collections.abc import Sequence
from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.webhook_events import vocabulary
from domain.webhook_events.vocabulary import EVENTS
from domain.webhooks import deliveries, standing
from domain.webhooks.standing import WebhookStatus
from models.team import AdminUser as AdminUserRow
from models.webhooks import DeliveryFailure, DeliveryStatus, WebhookEventType, WebhookStop
from models.webhooks import Webhook as WebhookRow
from models.webhooks import WebhookAttempt as WebhookAttemptRow
from models.webhooks import WebhookDelivery as WebhookDeliveryRow
from schema.auth import AdminUser
from schema.context import Info
from schema.views import described, plain, view

MASK = "•••"
described(
    WebhookEventType,
    "What a webhook can be told. On the wire the value is written like `message.created`.",
    **{one.name: kind.description for one, kind in EVENTS.items()},
)
described(
    WebhookStatus,
    "Whether a webhook is told what happens.",
    ENABLED="It is, and takes it.",
    FAILING="It is, and the last try has failed.",
    DISABLED="It is told nothing until it is enabled again; what waits is kept.",
)
described(
    WebhookStop,
    "Why a webhook is told nothing.",
    MANUAL="Somebody has disabled it.",
    GONE="It has answered 410: it does not want to be told any more.",
    FAILING="It has taken nothing for five days.",
)
described(
    DeliveryStatus,
    "Where a delivery stands.",
    PENDING="It is on its way, or waits for its next try.",
    DELIVERED="The receiver has taken it: it has answered with a status of 200 to 299.",
    FAILED="It is given up. It can be replayed.",
)
described(
    DeliveryFailure,
    "What went wrong with a try.",
    BLOCKED_URL="The address is none that requests may go to, or its name leads to one that is not public.",
    NOT_CONNECTED="No connection was made within three seconds.",
    NO_ANSWER="No answer came within ten seconds; the receiver may have got it.",
    REDIRECTED="The receiver has answered with a redirect; none is followed.",
    GONE="The receiver has answered 410.",
    REFUSED="The receiver has answered with another status that is not 200 to 299.",
    WORKER_DIED="At each try the worker died before it could say what came of it.",
)


@strawberry.type(description="A kind of event that webhooks can be told.")
class WebhookEventKind:
    """The row behind it is a `WebhookEventType`."""

    @strawberry.field(description="The kind.")
    def event_type(kind: strawberry.Parent[WebhookEventType]) -> WebhookEventType:
        """Itself."""
        return kind

    @strawberry.field(description="As it stands in `type` of the payload, e.g. `message.created`.")
    def name(kind: strawberry.Parent[WebhookEventType]) -> str:
        """Its value."""
        return kind.value

    @strawberry.field(description="When it happens.")
    def description(kind: strawberry.Parent[WebhookEventType]) -> str:
        """In a sentence."""
        return EVENTS[kind].description

    @strawberry.field(description="Version of `data`; fields may be added to a version, none is taken away.")
    def version(kind: strawberry.Parent[WebhookEventType]) -> int:
        """The version."""
        return EVENTS[kind].version

    @strawberry.field(description="A payload as it may be sent.")
    def example(kind: strawberry.Parent[WebhookEventType]) -> str:
        """An example."""
        return vocabulary.example(kind)


@strawberry.type(description="A header that goes along with each delivery. Its value is never shown.")
class WebhookHeader:
    """A header; the row behind it is its name."""

    @strawberry.field(description="Its name.")
    def name(row: strawberry.Parent[str]) -> str:
        """Itself."""
        return row

    @strawberry.field(description="Three dots.")
    def value(row: strawberry.Parent[str]) -> str:
        """A mask."""
        return MASK


@view(WebhookRow, description="An address that is told what happens in the app.")
class Webhook:
    """A webhook."""

    id: strawberry.ID = plain("UUID.")
    url: str = plain("Where deliveries are posted to.")
    description: str | None = plain("What the team says of it.")
    disabled_reason: WebhookStop | None = plain("Why it is told nothing; null when it is told.")
    disabled_at: datetime | None = plain("Since when it is told nothing.")
    failing_since: datetime | None = plain("When a try failed first after the last that was taken; null when none did.")
    paused_until: datetime | None = plain(
        "Nothing is tried before: it does not answer at present, or has asked to wait. What waits loses no try."
    )
    previous_secret_expires_at: datetime | None = plain("Until when deliveries are signed with the secret before, too.")
    secret_rotated_at: datetime = plain("When its secret was made.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When somebody changed it last.")

    @strawberry.field(description="Whether it is told what happens.")
    def status(row: strawberry.Parent[WebhookRow]) -> WebhookStatus:
        """Where it stands."""
        return standing.status(row)

    @strawberry.field(description="What it is told.")
    def event_types(row: strawberry.Parent[WebhookRow]) -> list[WebhookEventType]:
        """The kinds."""
        return [WebhookEventType(one) for one in row.event_types]

    @strawberry.field(description="Headers of your own that go along.", graphql_type=list[WebhookHeader])
    def headers(row: strawberry.Parent[WebhookRow]) -> list[str]:
        """Their names."""
        return row.header_names

    @strawberry.field(
        description="Who created it; null when it was a program, or they are gone.", graphql_type=AdminUser | None
    )
    async def created_by(row: strawberry.Parent[WebhookRow], info: Info) -> AdminUserRow | None:
        """A person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@view(WebhookAttemptRow, description="One try of a delivery, and what the receiver has answered.")
class WebhookAttempt:
    """A try."""

    id: strawberry.ID = plain("UUID.")
    number: int = plain("From 1; a number is missing when the worker died before it could say what came of it.")
    created_at: datetime = plain("When it was sent.")
    milliseconds: int = plain("How long it took.")
    url: str = plain("Where it was sent.")
    status_code: int | None = plain("What the receiver answered; null when it did not.")
    failure: DeliveryFailure | None = plain("What went wrong; null when it was taken.")
    response_body: str | None = plain("The first 4,096 characters of the answer, secrets masked; null without one.")

    @strawberry.field(description="The headers that were sent, as an object; those of your own are masked.")
    def request_headers(row: strawberry.Parent[WebhookAttemptRow]) -> JSON:
        """As they are kept."""
        return JSON(row.request_headers)

    @strawberry.field(description="The headers of the answer, as an object: the first 30, each cut.")
    def response_headers(row: strawberry.Parent[WebhookAttemptRow]) -> JSON:
        """As they are kept."""
        return JSON(row.response_headers)


@view(WebhookDeliveryRow, description="An event on its way to a webhook. Kept for 30 days.")
class WebhookDelivery:
    """A delivery."""

    id: strawberry.ID = plain("UUID.")
    webhook_id: strawberry.ID = plain("To which webhook.")
    event_type: WebhookEventType = plain("What is told.")
    status: DeliveryStatus = plain("Where it stands.")
    is_test: bool = plain("Whether it was sent by testWebhook.")
    attempt_count: int = plain("How often it was tried, replays included.")
    created_at: datetime = plain("When the event happened.")
    delivered_at: datetime | None = plain("When the receiver took it.")
    status_code: int | None = plain("What the receiver answered the last time.")
    failure: DeliveryFailure | None = plain("What went wrong the last time.")

    @strawberry.field(description="`webhook-id`: the same at every try and every replay, so receivers know a repeat.")
    def message_id(row: strawberry.Parent[WebhookDeliveryRow]) -> str:
        """Of the event."""
        return vocabulary.message_id(row.event_id)

    @strawberry.field(description="When it is tried next; null when it is in hand or through.")
    def next_retry_at(row: strawberry.Parent[WebhookDeliveryRow]) -> datetime | None:
        """When it is due."""
        return deliveries.next_try(row)

    @strawberry.field(description="The body, exactly as it is sent; null when the event is not kept any more.")
    async def payload(row: strawberry.Parent[WebhookDeliveryRow], info: Info) -> str | None:
        """Of the event."""
        event = await info.context.loaders.webhook_event.load(row.event_id)
        return event.body if event else None

    @strawberry.field(description="Its tries, oldest first.", graphql_type=list[WebhookAttempt])
    async def attempts(row: strawberry.Parent[WebhookDeliveryRow], info: Info) -> Sequence[WebhookAttemptRow]:
        """All of them."""
        return await info.context.loaders.attempts_of_delivery.load(row.id)
