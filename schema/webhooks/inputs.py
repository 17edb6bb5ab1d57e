"""What mutations of webhooks take and answer."""

from datetime import datetime

import strawberry

from domain.webhooks.control import OVERLAP_HOURS
from domain.webhooks.fields import Header, WebhookFields
from models.webhooks import WebhookEventType
from schema.mutations import Payload
from schema.views import optional, plain
from schema.webhooks.types import Webhook, WebhookDelivery

URL = "https on port 443 or 8443, with a public address."
TYPES = "What it is told; one at least."
HEADERS = "Headers of your own that go along, 10 at most. All of them: what is not named here is taken away."


@strawberry.input(description="A header that goes along with each delivery.")
class WebhookHeaderInput:
    """A header."""

    name: str = plain("Its name; not one that the request needs itself.")
    value: str | None = optional("Its value, visible ASCII, kept encrypted. Left out: the value that it has stays.")

    def header(self) -> Header:
        """As the rules take it."""
        return Header(self.name, self.value)


@strawberry.input(description="A new webhook.")
class CreateWebhookInput:
    """A webhook."""

    url: str = plain(URL)
    event_types: list[WebhookEventType] = plain(TYPES)
    description: str | None = optional("What the team says of it, 500 characters at most.")
    headers: list[WebhookHeaderInput] | None = optional(HEADERS)

    def fields(self) -> WebhookFields:
        """As the rules take it."""
        return {
            "url": self.url,
            "event_types": self.event_types,
            "description": self.description,
            "headers": [one.header() for one in self.headers or ()],
        }


@strawberry.input(description="Changes of a webhook; what is left out stays as it is.")
class UpdateWebhookInput:
    """Changes."""

    id: strawberry.ID = plain("The webhook.")
    url: str | None = optional(URL)
    event_types: list[WebhookEventType] | None = optional(TYPES)
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="What the team says of it, 500 characters at most; null takes it away."
    )
    headers: list[WebhookHeaderInput] | None = optional(HEADERS)

    def fields(self) -> WebhookFields:
        """As the rules take it."""
        given: WebhookFields = {}
        if self.url is not None:
            given["url"] = self.url
        if self.event_types is not None:
            given["event_types"] = self.event_types
        if self.description is not strawberry.UNSET:
            given["description"] = self.description
        if self.headers is not None:
            given["headers"] = [one.header() for one in self.headers]
        return given


@strawberry.input(description="Which webhook.")
class WebhookInput:
    """A webhook."""

    id: strawberry.ID = plain("The webhook.")


@strawberry.input(description="Which webhook gets another secret.")
class RotateWebhookSecretInput:
    """A webhook."""

    id: strawberry.ID = plain("The webhook.")
    overlap_hours: int = strawberry.field(
        default=OVERLAP_HOURS,
        description="For how many hours deliveries are signed with the secret before, too: 0 to 168; 0 when it leaked.",
    )


@strawberry.input(description="Which webhook to try out, and with what.")
class TestWebhookInput:
    """A test."""

    id: strawberry.ID = plain("The webhook.")
    event_type: WebhookEventType | None = optional("Whose example is sent; the first that it is told when left out.")


@strawberry.input(description="Which deliveries to try again.")
class ReplayWebhookDeliveriesInput:
    """Deliveries."""

    ids: list[strawberry.ID] = plain("The deliveries, 1 to 100.")


@strawberry.input(description="Since when what has failed is tried again.")
class ReplayFailedWebhookDeliveriesInput:
    """Deliveries of a while."""

    webhook_id: strawberry.ID = plain("The webhook.")
    since: datetime = plain("Events from this instant on.")


@strawberry.type(description="The webhook that was changed.")
class WebhookPayload(Payload):
    """A webhook."""

    webhook: Webhook | None = plain("The webhook.")


@strawberry.type(description="A webhook with its new secret.")
class WebhookSecretPayload(Payload):
    """A webhook and its secret."""

    webhook: Webhook | None = plain("The webhook.")
    secret: str | None = plain("What deliveries are signed with, shown this once: `whsec_` and 32 bytes in base64.")


@strawberry.type(description="The delivery that was tried out.")
class WebhookDeliveryPayload(Payload):
    """A delivery."""

    webhook_delivery: WebhookDelivery | None = plain(
        "The delivery with the receiver's answer; PENDING when none has come within six seconds."
    )


@strawberry.type(description="The deliveries that are tried again.")
class WebhookDeliveriesPayload(Payload):
    """Deliveries."""

    webhook_deliveries: list[WebhookDelivery] | None = plain("The deliveries.")


@strawberry.type(description="How many deliveries are tried again.")
class ReplayedWebhookDeliveriesPayload(Payload):
    """A number."""

    count: int | None = plain("How many: 10,000 at most. Ask again for the others, once these have been tried.")
