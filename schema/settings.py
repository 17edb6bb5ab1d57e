"""The settings of an app."""

from typing import Annotated

import strawberry

from domain import features
from domain.features import Feature, FeatureState
from domain.settings import hours
from domain.settings.changing import SettingsFields
from domain.streams.moments import Snapshot
from models.apps import App as AppRow
from models.streams import StreamEvent as StreamEventRow
from schema.business_hours import BusinessHours, BusinessHoursInput
from schema.context import Info
from schema.features import AppFeature
from schema.mutations import Payload
from schema.streams import Resync, StreamChange, StreamEvent, moment
from schema.views import optional, plain, view


@view(AppRow, description="How the app looks.")
class AppBranding:
    """Branding."""

    logo_url: str | None = plain("Where its logo lies, by https. The server never fetches it.")
    primary_colour: str = plain("As #RRGGBB, upper-cased.")


@view(AppRow, description="What the team is told by e-mail, unless one of them says otherwise.")
class AppNotifications:
    """Defaults of notifications."""

    email_on_new_message: bool = plain("When a contact writes in a conversation.")
    email_on_new_conversation: bool = plain("When a contact begins a conversation.")


@view(AppRow, description="The settings of the app.")
class AppSettings:
    """Settings."""

    id: strawberry.ID = plain("That of the app.")
    version: int = plain(
        "Grows with every change of these, of the sending and rate limits, of assignment and of the second factor."
    )
    name: str = plain("As the team and the contacts call the app.")
    time_zone: str = plain("IANA name; `App.sendingLimits` shows the same one.")

    @strawberry.field(description="How it looks.", graphql_type=AppBranding)
    def branding(row: strawberry.Parent[AppRow]) -> AppRow:
        """The app itself has it."""
        return row

    @strawberry.field(description="What the team is told by e-mail.", graphql_type=AppNotifications)
    def notifications(row: strawberry.Parent[AppRow]) -> AppRow:
        """The app itself has them."""
        return row

    @strawberry.field(description="When it is open.", graphql_type=BusinessHours)
    def business_hours(row: strawberry.Parent[AppRow]) -> hours.BusinessHours:
        """As they are stored."""
        return hours.read(row.business_hours, row.time_zone)

    @strawberry.field(description="Its feature flags, all that there are.", graphql_type=list[AppFeature])
    def features(row: strawberry.Parent[AppRow]) -> list[FeatureState]:
        """As the app has said, else as they are at first."""
        return features.states(row.features)


@strawberry.input(description="Branding that changes. What is left out stays.")
class AppBrandingInput:
    """Branding."""

    logo_url: strawberry.Maybe[str | None] = plain("https, 2,000 characters at most; null: there is none.")
    primary_colour: strawberry.Maybe[str | None] = plain("As #RRGGBB; null: the default, #DC2626.")


@strawberry.input(description="Defaults of notifications that change. What is left out stays.")
class AppNotificationsInput:
    """Notifications."""

    email_on_new_message: bool | None = optional("When a contact writes in a conversation.")
    email_on_new_conversation: bool | None = optional("When a contact begins a conversation.")


@strawberry.input(description="A feature that is switched.")
class AppFeatureInput:
    """A flag."""

    feature: Feature = plain("Which.")
    is_enabled: bool = plain("On or off.")


@strawberry.input(description="Settings of the app that change. What is left out stays.")
class UpdateAppSettingsInput:
    """Settings that change."""

    expected_version: int | None = optional("The `version` you have; CONFLICT when somebody has changed it since.")
    name: str | None = optional("1 to 100 characters.")
    branding: AppBrandingInput | None = optional("How it looks.")
    notifications: AppNotificationsInput | None = optional("What the team is told by e-mail.")
    time_zone: str | None = optional("IANA name, e.g. Europe/Berlin. That of `updateSendingLimits` is the same.")
    business_hours: BusinessHoursInput | None = optional("When it is open.")
    features: list[AppFeatureInput] | None = optional("Features that are switched, each once; the others stay.")

    def given(self) -> SettingsFields:
        """The settings that the client wrote."""
        given: SettingsFields = {}
        if self.name is not None:
            given["name"] = self.name
        if self.time_zone is not None:
            given["time_zone"] = self.time_zone
        if self.features is not None:
            given["features"] = [(one.feature, one.is_enabled) for one in self.features]
        if self.business_hours is not None:
            given |= self.business_hours.given()
        return given | self._branding() | self._notifications()

    def _branding(self) -> SettingsFields:
        given: SettingsFields = {}
        if self.branding and self.branding.logo_url:
            given["logo_url"] = self.branding.logo_url.value
        if self.branding and self.branding.primary_colour:
            given["primary_colour"] = self.branding.primary_colour.value
        return given

    def _notifications(self) -> SettingsFields:
        given: SettingsFields = {}
        said = self.notifications
        if said and said.email_on_new_message is not None:
            given["email_on_new_message"] = said.email_on_new_message
        if said and said.email_on_new_conversation is not None:
            given["email_on_new_conversation"] = said.email_on_new_conversation
        return given


@strawberry.type(description="The settings as they are since; with a CONFLICT, as somebody else has made them.")
class AppSettingsPayload(Payload):
    """Settings."""

    settings: AppSettings | None = plain("The settings.")


@moment(StreamEventRow, "Settings of the app have changed.")
class SettingsChange(StreamChange):
    """An event of the settings."""

    @strawberry.field(
        description="The settings as they are now; null when the app is gone.", graphql_type=AppSettings | None
    )
    async def settings(row: strawberry.Parent[StreamEventRow], info: Info) -> AppRow | None:
        """The app, which has them."""
        return await info.context.loaders.app.load(row.entity_id)


@moment(Snapshot, "The settings as they stand; a change that is in them may follow all the same.")
class SettingsSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The settings; null when the app is gone.", graphql_type=AppSettings | None)
    def settings(row: strawberry.Parent[Snapshot]) -> AppRow | None:
        """The app, which has them."""
        return next(iter(row.rows), None)


SettingsChanged = Annotated[
    SettingsChange | SettingsSnapshot | Resync,
    strawberry.union("SettingsChanged", description="What `settingsChanged` tells."),
]
