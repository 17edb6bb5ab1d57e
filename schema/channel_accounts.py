"""Accounts of an app at providers."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.channel_accounts import providers
from domain.channel_accounts.providers import Fields, SmtpSecurity
from models.channel_accounts import ChannelAccount as ChannelAccountRow
from models.channel_accounts import ChannelProvider
from schema.mutations import Payload
from schema.views import described, plain, view

BASE_URL = "Where a simulator listens, like http://127.0.0.1:9001; in development alone."

described(
    ChannelProvider,
    "Through whom messages go.",
    FCM="Firebase Cloud Messaging: pushes to Android devices.",
    APNS="Apple Push Notification service: pushes to iPhones and iPads.",
    WEB_PUSH="The push services of browsers, with a VAPID key of the app.",
    SMTP="A mail server: e-mails.",
)
described(
    SmtpSecurity,
    "How a connection to a mail server is encrypted.",
    TLS="From the start, on port 465 as a rule.",
    STARTTLS="From the command STARTTLS on, on port 587 as a rule.",
)


@view(ChannelAccountRow, description="An account of the app at a provider. Its secrets are never shown.")
class ChannelAccount:
    """An account."""

    id: strawberry.ID = plain("UUID.")
    provider: ChannelProvider = plain("Whose it is; an app has one at each.")
    fingerprint: str | None = plain(
        "SHA-256 of the public half of its key, in hexadecimal, to know it by; null where it has a password."
    )
    rate_per_second: int | None = plain("Most messages a second; null when there is no limit of our own.")
    enabled: bool = plain("Whether messages go through it.")
    created_at: datetime = plain("When it was set first.")
    updated_at: datetime = plain("When it was set last.")

    @strawberry.field(
        description="What else was set, without secrets. FCM: project_id, client_email. APNS: team_id, key_id, topic, "
        "sandbox. WEB_PUSH: subject, and public_key, which browsers subscribe with. SMTP: host, port, security, "
        "username, sender. base_url where a simulator is used."
    )
    def settings(row: strawberry.Parent[ChannelAccountRow]) -> JSON:
        """As they are kept."""
        return JSON(row.settings)


@strawberry.input(description="An account at Firebase Cloud Messaging.")
class FcmInput:
    """Firebase."""

    service_account: str | None = strawberry.field(
        default=None,
        description="The JSON key file of a service account, as text; left out: the one that was set stays.",
    )
    base_url: str | None = strawberry.field(default=None, description=BASE_URL)

    def fields(self) -> Fields:
        """As the rules take it."""
        return providers.FcmFields(self.service_account, self.base_url)


@strawberry.input(description="An account at Apple Push Notification service.")
class ApnsInput:
    """Apple."""

    team_id: str = plain("Of the developer account, 10 characters.")
    key_id: str = plain("Of the key, 10 characters.")
    topic: str = plain("Bundle id of the app.")
    private_key: str | None = strawberry.field(
        default=None, description="The .p8 file of the key, as text; left out: the one that was set stays."
    )
    sandbox: bool = strawberry.field(default=False, description="Whether devices run builds for development.")
    base_url: str | None = strawberry.field(default=None, description=BASE_URL)

    def fields(self) -> Fields:
        """As the rules take it."""
        return providers.ApnsFields(
            self.team_id, self.key_id, self.topic, self.private_key, self.sandbox, self.base_url
        )


@strawberry.input(description="A key by which the push services of browsers know the app (VAPID).")
class WebPushInput:
    """Web Push."""

    subject: str = plain("Where a push service writes when something is wrong: mailto: or https://.")
    private_key: str | None = strawberry.field(
        default=None,
        description="32 bytes of a P-256 key in base64url; left out: the one that was set stays, or one is made.",
    )

    def fields(self) -> Fields:
        """As the rules take it."""
        return providers.WebPushFields(self.subject, self.private_key)


@strawberry.input(description="An account at a mail server.")
class SmtpInput:
    """SMTP."""

    host: str = plain("Its public name, like smtp.example.com.")
    port: int | None = strawberry.field(default=None, description="465 for TLS and 587 for STARTTLS when left out.")
    security: SmtpSecurity = strawberry.field(default=SmtpSecurity.TLS, description="How it is encrypted.")
    username: str | None = strawberry.field(default=None, description="As whom to sign in; nobody when left out.")
    password: str | None = strawberry.field(
        default=None, description="With what; left out: the one that was set for this server and user stays."
    )
    from_address: str = plain("From which address e-mails come.")
    from_name: str | None = strawberry.field(default=None, description="From whom, as people read it.")

    def fields(self) -> Fields:
        """As the rules take it."""
        return providers.SmtpFields(
            self.host, self.port, self.security, self.username, self.password, self.from_address, self.from_name
        )


@strawberry.input(one_of=True, description="The account of one provider.")
class ProviderAccountInput:
    """One of the four."""

    fcm: FcmInput | None = strawberry.field(default=strawberry.UNSET, description="At Firebase Cloud Messaging.")
    apns: ApnsInput | None = strawberry.field(default=strawberry.UNSET, description="At Apple.")
    web_push: WebPushInput | None = strawberry.field(default=strawberry.UNSET, description="For browsers.")
    smtp: SmtpInput | None = strawberry.field(default=strawberry.UNSET, description="At a mail server.")

    def fields(self) -> Fields:
        """As the rules take it."""
        given = (self.fcm, self.apns, self.web_push, self.smtp)
        return next(one.fields() for one in given if one)


@strawberry.input(description="An account that messages are to go through.")
class SetChannelAccountInput:
    """An account."""

    account: ProviderAccountInput = plain("The account.")
    rate_per_second: int | None = strawberry.field(
        default=None, description="Most messages a second, 1 to 10000; no limit of our own when left out."
    )
    enabled: bool = strawberry.field(default=True, description="Whether messages go through it.")


@strawberry.input(description="Which account to forget.")
class RemoveChannelAccountInput:
    """An account."""

    id: strawberry.ID = plain("The account.")


@strawberry.type(description="The account that was set or removed.")
class ChannelAccountPayload(Payload):
    """An account."""

    channel_account: ChannelAccount | None = plain("The account.")
