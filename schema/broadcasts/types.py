"""Broadcasts, their recipients, their progress."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.broadcasts.progress import BroadcastLimiter, Progress, Stats
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient as BroadcastRecipientRow
from models.broadcasts import BroadcastStatus, RecipientStatus, TargetType
from models.contacts import Contact as ContactRow
from models.devices import Device as DeviceRow
from models.devices import Platform
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.contacts import Contact
from schema.context import Info
from schema.devices import Device
from schema.views import described, plain, view

described(
    TargetType,
    "Whom a broadcast is for.",
    ALL_USERS="Every contact of the app.",
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
    SENT="Handed to the channel.",
    DELIVERED="Arrived on the device.",
    OPENED="Opened by the person.",
    CLICKED="Followed by the person.",
    FAILED="Will not arrive; see `errorCode`.",
)
described(
    BroadcastLimiter,
    "What holds a sending back at the moment.",
    EXPANSION="The recipients are being written; nothing is sent before all are.",
    WORKERS="No worker is free.",
    PAUSE="Somebody paused it.",
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
    open_rate: float | None = plain("Opened over delivered, 0 to 1; null where nothing was delivered.")
    click_rate: float | None = plain("Clicked over delivered, 0 to 1; null where nothing was delivered.")


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
    total_recipients: int = plain("Devices it goes to; grows while they are being written.")
    error_message: str | None = plain("Why it failed.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When it was last changed.")

    @strawberry.field(description="Its counts.", graphql_type=BroadcastStats)
    async def stats(row: strawberry.Parent[BroadcastRow], info: Info) -> Stats:
        """Counts, loaded for a whole list at once."""
        return await info.context.loaders.broadcast_stats.load(row)

    @strawberry.field(description="Who created it; null when they are gone.", graphql_type=AdminUser | None)
    async def created_by(row: strawberry.Parent[BroadcastRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@view(BroadcastRecipientRow, description="One device that a broadcast goes to, as it was when the sending began.")
class BroadcastRecipient:
    """One recipient."""

    seq: int = plain("Number within the broadcast, from 1.")
    status: RecipientStatus = plain("Where it stands.")
    platform: Platform = plain("Of the device.")
    country: str | None = plain("Of the device.")
    time_zone: str | None = plain("Of the contact.")
    sent_at: datetime | None = plain("When it was handed to the channel.")
    delivered_at: datetime | None = plain("When it arrived.")
    opened_at: datetime | None = plain("When it was opened.")
    clicked_at: datetime | None = plain("When it was followed.")
    error_code: str | None = plain("Why it failed, e.g. DEVICE_GONE.")

    @strawberry.field(description="The person; null when they were erased.", graphql_type=Contact | None)
    async def contact(row: strawberry.Parent[BroadcastRecipientRow], info: Info) -> ContactRow | None:
        """The contact."""
        return await info.context.loaders.contact.load(row.contact_id)

    @strawberry.field(description="The device; null when it was removed.", graphql_type=Device | None)
    async def device(row: strawberry.Parent[BroadcastRecipientRow], info: Info) -> DeviceRow | None:
        """The device."""
        return await info.context.loaders.device.load(row.device_id)


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


@strawberry.type(description="How many a target reaches at this moment.")
class AudiencePreview:
    """A count."""

    contacts: int = plain("People.")
    devices: int = plain("Their devices: the recipients a broadcast would have.")
