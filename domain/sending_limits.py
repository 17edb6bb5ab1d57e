"""When and how often an app writes to one contact at most: quiet hours, frequency cap, and the zone of the app."""

from datetime import time
from typing import TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain import timing
from domain.principals import Principal
from domain.settings import standing
from models.apps import App

COUNT_MOST = 100
HOURS_MOST = 30 * 24
PAIRS = (("quiet_start", "quiet_end"), ("frequency_cap_count", "frequency_cap_hours"))


class SendingLimits(TypedDict, total=False):
    """What changes of the limits; a key that is absent is left as it is, None clears."""

    time_zone: str | None
    quiet_start: time | None
    quiet_end: time | None
    frequency_cap_count: int | None
    frequency_cap_hours: int | None


async def update(session: AsyncSession, principal: Principal, limits: SendingLimits) -> App:
    """Change the given limits of the app. What is sent from then on keeps them.

    Raises:
        Invalid: there is no such zone, a number is out of its range, or one of a pair is there without the other.
    """
    app = await standing.get(session, principal.app_id, lock=True)
    for name, value in _clean(limits).items():
        setattr(app, name, value)
    for pair in PAIRS:
        _refuse_half(app, *pair)
    standing.tell(session, principal.author, app)
    await session.flush()
    return app


def _clean(limits: SendingLimits) -> SendingLimits:
    cleaned = limits.copy()
    if "time_zone" in limits:
        cleaned["time_zone"] = timing.zone(limits["time_zone"] or "UTC", "timeZone")
    _check(limits.get("frequency_cap_count"), "frequencyCapCount", COUNT_MOST)
    _check(limits.get("frequency_cap_hours"), "frequencyCapHours", HOURS_MOST)
    return cleaned


def _check(number: int | None, field: str, most: int) -> None:
    if number is not None and not 1 <= number <= most:
        raise Invalid(f"{field} must be from 1 to {most}, or null for no cap.", field=field)


def _refuse_half(app: App, one: str, other: str) -> None:
    missing = [name for name in (one, other) if getattr(app, name) is None]
    if len(missing) == 1:
        first, *rest = missing[0].split("_")
        field = first + "".join(map(str.capitalize, rest))
        raise Invalid(f"{field} is missing: both are given, or both are null.", field=field)
