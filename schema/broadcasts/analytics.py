"""The numbers of a broadcast, and why somebody got it or not."""

from domain.broadcasts import analytics, explaining
from domain.broadcasts.explaining import Verdict
from schema.broadcasts.types import BroadcastRecipient, BroadcastStats
from schema.views import described, plain, view

described(
    Verdict,
    "What becomes, or became, of a contact.",
    WILL_GET="They will get it, unless something changes before it is sent.",
    NOT_IN_TARGET="They are not in its target, or they are excluded from it.",
    UNREACHABLE="None of its channels reaches them.",
    OPTED_OUT="They have opted out.",
    SUPPRESSED="Their address must not be written to.",
    WAITING="It is being sent, and they have not got it yet.",
    GOT="They got it, on one device at least.",
    SKIPPED="They were not to get it; `errorCode` of the recipient says why.",
    FAILED="It could not be sent to them; `errorCode` of the recipient says why.",
    UNCERTAIN="Nobody knows whether they got it: the provider gave no answer.",
    CANCELLED="It was cancelled before their turn.",
    JOINED_LATER="They are in its target by now, and were not when it was sent.",
)


@view(analytics.HourShare, description="An hour of the day, and who opened the broadcast in it for the first time.")
class HourShare:
    """An hour."""

    hour: int = plain("0 to 23.")
    opened: int = plain("How many opened it in this hour.")
    rate: float | None = plain("Over all to whom it was delivered, 0 to 1; null where nothing was delivered.")


@view(analytics.Share, description="How many recipients have a value, and what they did.")
class RecipientShare:
    """A value."""

    value: str = plain("E.g. IOS or DE; empty where it is unknown.")
    recipients: int = plain("Recipients that have it.")
    delivered: int = plain("Of them, to whom it was delivered.")
    opened: int = plain("Of them, who opened it.")
    clicked: int = plain("Of them, who followed it.")


@view(analytics.CodeCount, description="How many recipients have one code.")
class CodeCount:
    """A code."""

    code: str = plain("E.g. OPTED_OUT or UNREGISTERED.")
    count: int = plain("How many.")


@view(analytics.VariantShare, description="What became of one variant.")
class VariantShare:
    """A variant."""

    name: str = plain("Its name.")
    is_winner: bool = plain("Whether the rest got it.")
    sent: int = plain("Handed to a channel.")
    delivered: int = plain("Arrived.")
    opened: int = plain("Opened.")
    clicked: int = plain("Followed.")
    open_rate: float | None = plain("Opened over delivered, 0 to 1; null where nothing was delivered.")
    click_rate: float | None = plain("Clicked over delivered, 0 to 1; null where nothing was delivered.")
    conversions: int = plain("Reached the goal.")
    conversion_rate: float | None = plain(
        "Conversions over delivered, 0 to 1; null where nothing was delivered, and without a goal."
    )


@view(analytics.Analytics, description="The numbers of a broadcast, exact.")
class BroadcastAnalytics:
    """All numbers."""

    stats: BroadcastStats = plain("Its counts.")
    time_zone: str = plain("The time zone of the hours.")
    open_rate_by_hour: list[HourShare] = plain("All 24 hours of the day.")
    device_breakdown: list[RecipientShare] = plain("By platform, the most frequent first; empty is e-mail.")
    country_breakdown: list[RecipientShare] = plain("By country, the most frequent first.")
    skipped_by_reason: list[CodeCount] = plain("Who was not to get it, by reason.")
    failed_by_code: list[CodeCount] = plain("To whom it could not be sent, by code.")
    variants: list[VariantShare] = plain("By variant, in their order; none when all get the same.")
    conversions: int = plain("Recipients who reached the goal in time; each counts once.")
    conversion_rate: float | None = plain(
        "Conversions over delivered, 0 to 1; null where nothing was delivered, and without a goal."
    )


@view(explaining.Explanation, description="Why a contact gets, or got, a broadcast or not.")
class BroadcastExplanation:
    """An answer."""

    verdict: Verdict = plain("The answer.")
    recipients: list[BroadcastRecipient] = plain("Their devices and mailbox as recipients; none before it is sent.")
