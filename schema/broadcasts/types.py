"""Broadcasts, their recipients, their progress."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.broadcasts import recipients
from domain.broadcasts.audience import Reach
from domain.broadcasts.options import Goal, Variant
from domain.broadcasts.progress import BroadcastLimiter, Progress, Stats
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient as BroadcastRecipientRow
from models.broadcasts import BroadcastStatus, QuietPolicy, RecipientStatus, TargetType, WinnerMetric
from models.channels import ChannelKind
from models.contacts import Contact as ContactRow
from models.devices import Device as DeviceRow
from models.devices import Platform
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.contacts import Contact
from schema.context import Info
from schema.devices import Device
from schema.scalars import LocalDateTime
from schema.views import described, plain, view

described(
    TargetType,
    "Whom a broadcast is for.",
    ALL_USERS="Every contact of the app.",
    SEGMENT="The contacts that a segment holds when the sending begins.",
    SPECIFIC_USERS="The contacts named.",
)
described(
    BroadcastStatus,
    "Where a broadcast stands.",
    DRAFT="Being written.",
    SCHEDULED="Will start by itself at `scheduledAt`.",
    SENDING="On its way.",
    PAUSED="Held by somebody; can be resumed.",
    SENT="Every recipient has a result.",
    FAILED="Nobody was reached; see `errorMessage`.",
    CANCELLED="Stopped for good.",
)
described(
    RecipientStatus,
    "Where one recipient stands. It only moves forward.",
    PENDING="Waits its turn.",
    DEFERRED="Is sent at `deferredUntil`; `errorCode` says why not now.",
    SENDING="Is being handed to its channel just now.",
    UNCERTAIN="Nobody knows whether it was sent: the provider gave no answer. Never sent again by itself.",
    SENT="Handed to the channel.",
    DELIVERED="Arrived on the device.",
    OPENED="Opened by the person.",
    CLICKED="Followed by the person.",
    SKIPPED="Was not to get it; `errorCode` says why, e.g. OPTED_OUT, SUPPRESSED, QUIET_HOURS, FREQUENCY_CAP.",
    FAILED="Will not arrive; see `errorCode`.",
)
described(
    QuietPolicy,
    "What becomes of recipients in whose time zone the app's quiet hours are.",
    DEFER="They get it when the quiet hours are over.",
    SKIP="They do not get it.",
    IGNORE="They get it all the same.",
)
described(
    WinnerMetric,
    "By what variants are compared, among those to whom they were delivered.",
    OPENED="By how many opened it.",
    CLICKED="By how many followed it.",
)
described(
    BroadcastLimiter,
    "What holds a sending back at the moment.",
    EXPANSION="The recipients are being written; nothing is sent before all are.",
    WORKERS="No worker is free.",
    PAUSE="Somebody paused it.",
    SPEED="Its own speed limit.",
    TIME="All that are left wait: for their local time, the end of quiet hours, another try, or the winner.",
)


@view(Stats, description="The counts of a broadcast, exact. Who opened it is counted as delivered too.")
class BroadcastStats:
    """Counts."""

    total_recipients: int = plain("Devices it goes to.")
    total_sent: int = plain("Handed to a channel.")
    total_failed: int = plain("Will not arrive.")
    total_delivered: int = plain("Arrived.")
    total_opened: int = plain("Opened.")
    total_clicked: int = plain("Followed.")
    total_skipped: int = plain("Were not to get it, e.g. as they opted out.")
    total_uncertain: int = plain("Nobody knows whether they got it.")
    total_machine_opened: int = plain("Mails whose pictures a mail program loaded by itself; no openings.")
    open_rate: float | None = plain("Opened over delivered, 0 to 1; null where nothing was delivered.")
    click_rate: float | None = plain("Clicked over delivered, 0 to 1; null where nothing was delivered.")


@view(Variant, description="One of the texts of a broadcast that are compared.")
class BroadcastVariant:
    """A variant."""

    name: str = plain("Its name.")
    title: str = plain("Its headline.")
    body: str = plain("What it says.")
    weight: int = plain("Its share among all.")


@view(Goal, description="The event that counts as success.")
class BroadcastGoal:
    """A goal."""

    event_name: str = plain("What the contact does.")
    within_hours: int = plain("For how many hours after it was sent to them it counts.")


@view(BroadcastRow, description="A message to many.")
class Broadcast:
    """A message to many."""

    id: strawberry.ID = plain("UUID.")
    title: str = plain("Its headline.")
    body: str = plain("What it says.")
    data: JSON | None = plain("For the app's code on the device, e.g. action and url: an object.")
    target_type: TargetType = plain("Whom it is for.")
    status: BroadcastStatus = plain("Where it stands.")
    scheduled_at: datetime | None = plain("When it starts by itself.")
    sent_at: datetime | None = plain("When sending started.")
    completed_at: datetime | None = plain("When it ended, in whatever way.")
    total_recipients: int = plain("Devices and mailboxes it goes to; grows while they are being written.")
    channels: list[ChannelKind] = plain("By which ways it may go, the preferred one first.")
    segment_id: strawberry.ID | None = plain("The saved segment it is for, with SEGMENT.")
    segment_query: JSON | None = plain(
        "The conditions it is for, with SEGMENT; taken anew from the segment when it starts."
    )
    exclude_segment_id: strawberry.ID | None = plain("The saved segment that is left out.")
    exclude_query: JSON | None = plain("The conditions of those that are left out.")
    time_zone: str = plain("The time zone of recipients who have none, and of `cron`.")
    local_at: LocalDateTime | None = plain(
        "At what time each recipient gets it in their own time zone, when so scheduled."
    )
    cron: str | None = plain("When it repeats: minute, hour, day, month, weekday.")
    repeats_id: strawberry.ID | None = plain("The repeating broadcast that this is one time of.")
    quiet_policy: QuietPolicy = plain("What becomes of recipients in whose time zone it is quiet.")
    ignores_cap: bool = plain("Whether it goes out beyond the app's frequency cap.")
    speed: int | None = plain("Recipients a second at most; null is no limit.")
    test_share: int = plain("Per cent of the recipients that get a variant before the winner is known.")
    winner_metric: WinnerMetric = plain("By what the winner is chosen.")
    winner_after_minutes: int = plain("How long after the start the winner is chosen.")
    winner: int | None = plain("Index of the winning variant; null until it is chosen.")
    error_message: str | None = plain("Why it failed.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When it was last changed.")

    @strawberry.field(description="Its variants; none when all get the same.", graphql_type=list[BroadcastVariant])
    def variants(row: strawberry.Parent[BroadcastRow]) -> list[Variant]:
        """What the JSON of the row says."""
        return [Variant(**one) for one in row.variants]

    @strawberry.field(
        description="The event that counts as success; null when there is none.", graphql_type=BroadcastGoal | None
    )
    def goal(row: strawberry.Parent[BroadcastRow]) -> Goal | None:
        """The goal."""
        name, hours = row.goal_event_name, row.goal_within_hours
        return Goal(name, hours) if name is not None and hours is not None else None

    @strawberry.field(description="Its counts.", graphql_type=BroadcastStats)
    async def stats(row: strawberry.Parent[BroadcastRow], info: Info) -> Stats:
        """Counts, loaded for a whole list at once."""
        return await info.context.loaders.broadcast_stats.load(row)

    @strawberry.field(
        description="Who created it; null when they are gone, and when it was a program.", graphql_type=AdminUser | None
    )
    async def created_by(row: strawberry.Parent[BroadcastRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@view(BroadcastRecipientRow, description="One device that a broadcast goes to, as it was when the sending began.")
class BroadcastRecipient:
    """One recipient."""

    seq: int = plain("Number within the broadcast, from 1.")
    platform: Platform | None = plain("Of the device; null when it goes by e-mail.")
    country: str | None = plain("Of the device, or else of the contact.")
    time_zone: str | None = plain("Of the contact.")
    sent_at: datetime | None = plain("When it was handed to the channel.")
    delivered_at: datetime | None = plain("When it arrived.")
    opened_at: datetime | None = plain("When it was opened.")
    clicked_at: datetime | None = plain("When it was followed.")
    converted_at: datetime | None = plain("When the contact reached the goal of the broadcast.")
    error_code: str | None = plain("Why it is DEFERRED, UNCERTAIN, SKIPPED or FAILED, e.g. UNREGISTERED.")
    channel: ChannelKind | None = plain("By which way it went; null until then.")
    variant: int | None = plain(
        "Index of the variant it gets; null when there is none, or while it waits for the winner."
    )
    deferred_until: datetime | None = plain("When it is sent, while DEFERRED.")
    attempts: int = plain("How often its provider has said: later.")

    @strawberry.field(description="Where it stands.", graphql_type=RecipientStatus)
    async def status(row: strawberry.Parent[BroadcastRecipientRow], info: Info) -> RecipientStatus:
        """What is stored, or what its worker is at."""
        return recipients.standing(row, await info.context.loaders.on_their_way.load(row.broadcast_id))

    @strawberry.field(description="The person; null when they were erased.", graphql_type=Contact | None)
    async def contact(row: strawberry.Parent[BroadcastRecipientRow], info: Info) -> ContactRow | None:
        """The contact."""
        return await info.context.loaders.contact.load(row.contact_id)

    @strawberry.field(description="The device; null when it was removed, and by e-mail.", graphql_type=Device | None)
    async def device(row: strawberry.Parent[BroadcastRecipientRow], info: Info) -> DeviceRow | None:
        """The device."""
        return await info.context.loaders.device.load(row.device_id) if row.device_id else None


@view(Progress, description="A broadcast at one moment.")
class BroadcastProgress:
    """A broadcast at one moment."""

    id: strawberry.ID = plain("The broadcast.")
    status: BroadcastStatus = plain("Where it stands.")
    stats: BroadcastStats = plain("Its counts.")
    pending: int = plain("Recipients without a result.")
    rate: float | None = plain("Recipients a second, lately; of the whole when it has ended; null when it stands.")
    eta: datetime | None = plain("When the last one should be sent, at this rate; null when it is not moving.")
    limiter: BroadcastLimiter | None = plain("What holds it back; null when nothing does.")
    ended: bool = plain("Whether nothing more will be sent.")
    at: datetime = plain("The moment.")


@view(Reach, description="How many a target reaches at this moment.")
class AudiencePreview:
    """A count."""

    contacts: int = plain("People.")
    devices: int = plain("Their devices that in-app messages or push reach.")
    mailboxes: int = plain("People reached by e-mail, as no device of theirs is.")
