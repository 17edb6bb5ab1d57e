"""Changing the settings of an app."""

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from core.addresses import parse_url
from core.errors import Conflict, Invalid
from domain import checks, proofs, timing
from domain.features import Feature
from domain.principals import Principal
from domain.settings import hours, standing
from domain.settings.hours import Holiday, OpenDay
from models.apps import PRIMARY_COLOUR, App

NAME_MOST = 100
URL_MOST = 2_000
HOURS = "businessHours"
LOCKED_OUT = (
    "This app requires a second factor of its owners and admins, who could set up none any more. Have it require none"
    " first, with updateAppSecurity."
)


class Outdated(Conflict):
    """Somebody else has changed the settings since. `found` has them as they are."""

    def __init__(self, row: App) -> None:
        super().__init__("Somebody else has changed the settings; read them again.", field="expectedVersion")
        self.found = {"settings": row}


class SettingsFields(TypedDict, total=False):
    """What changes of the settings; a key that is absent is left as it is.

    `logo_url` and `weekly` may be None, which is to have none; `primary_colour` too, which is the default.
    """

    name: str
    logo_url: str | None
    primary_colour: str | None
    email_on_new_message: bool
    email_on_new_conversation: bool
    time_zone: str
    weekly: Sequence[OpenDay] | None
    holidays: Sequence[Holiday]
    features: Sequence[tuple[Feature, bool]]


async def update(
    session: AsyncSession, principal: Principal, fields: SettingsFields, expected_version: int | None = None
) -> App:
    """Change the given settings of the asker's app. What changes nothing is told to nobody.

    Args:
        session: the transaction.
        principal: who asks.
        fields: what is changed.
        expected_version: of the settings as the asker has them; any, when None.

    Raises:
        Outdated: somebody else has changed them since.
        Conflict: the second factor is to be switched off where it is required.
        Invalid: a field breaks its rule.
    """
    row = await standing.get(session, principal.app_id, lock=True)
    if expected_version not in {None, row.version}:
        session.expunge(row)
        raise Outdated(row)
    _fill(row, fields)
    if session.is_modified(row):
        if "features" in fields:
            proofs.outdated(session)
        standing.tell(session, principal.author, row)
        await session.flush()
    return row


def _fill(row: App, fields: SettingsFields) -> None:
    if "name" in fields:
        row.name = checks.text(fields["name"], "name", most=NAME_MOST)
    if "time_zone" in fields:
        row.time_zone = timing.zone(fields["time_zone"], "timeZone")
    row.email_on_new_message = fields.get("email_on_new_message", row.email_on_new_message)
    row.email_on_new_conversation = fields.get("email_on_new_conversation", row.email_on_new_conversation)
    _fill_branding(row, fields)
    _fill_hours(row, fields)
    if "features" in fields:
        _switch(row, fields["features"])


def _fill_branding(row: App, fields: SettingsFields) -> None:
    if "logo_url" in fields:
        row.logo_url = _logo(fields["logo_url"], "branding.logoUrl")
    if "primary_colour" in fields:
        row.primary_colour = checks.colour(fields["primary_colour"] or PRIMARY_COLOUR, "branding.primaryColour")


def _logo(value: str | None, field: str) -> str | None:
    """Where a picture lies. Only those who show it fetch it: the server does not."""
    if not (address := checks.optional_text(value, field, most=URL_MOST)):
        return None
    try:
        parse_url(address, allow_loopback=False)
    except ValueError as error:
        raise Invalid(f"{field} {error}.", field=field) from None
    return address


def _fill_hours(row: App, fields: SettingsFields) -> None:
    told = dict(row.business_hours)
    if "weekly" in fields:
        days = fields["weekly"]
        told["weekly"] = None if days is None else hours.write_weekly(days, f"{HOURS}.weekly")
    if "holidays" in fields:
        told["holidays"] = hours.write_holidays(fields["holidays"], f"{HOURS}.holidays")
    row.business_hours = {name: value for name, value in told.items() if value not in (None, [])}


def _switch(row: App, wanted: Sequence[tuple[Feature, bool]]) -> None:
    checks.at_most(list(wanted), "features", len(Feature))
    said = [feature for feature, _ in wanted]
    for no, feature in enumerate(said):
        if feature in said[:no]:
            raise Invalid(f"{feature.value} is there twice.", field=f"features.{no}.feature")
        if feature is Feature.TWO_FACTOR_AUTH and not wanted[no][1] and row.requires_two_factor:
            raise Conflict(LOCKED_OUT, field=f"features.{no}.isEnabled")
    row.features = row.features | {feature.value: on for feature, on in wanted}
