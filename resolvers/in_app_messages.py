"""In-app messages: what a device receives and reports."""

import random
from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from core import presence
from core.database import transaction
from core.errors import Invalid
from core.ids import parse_id
from core.pubsub import Subscription as Ticks
from core.pubsub import hub
from domain import checks, devices, in_app_messages, reports
from domain.broadcasts.receipts import PushReport
from domain.in_app_messages import Position, Report
from domain.permissions import Permission
from domain.reports import Told
from models.in_app_messages import InAppMessage as InAppMessageRow
from schema.context import Info
from schema.in_app_messages import InAppMessage, ReceiptInput, ReportReceiptsInput, ReportReceiptsPayload
from schema.mutations import mutation
from schema.permissions import requires

REPORTS_MOST = 100
KEY_MOST = 100
LOOK_SECONDS = 30.0


async def _tick(ticks: Ticks) -> None:
    """Wait for a tick, half a minute or so at the longest: one that got lost must not hold a message back for ever."""
    await ticks.hear(random.uniform(0.5, 1.0) * LOOK_SECONDS)  # noqa: S311  spreads the load


def _reports(device_id: UUID, given: list[ReceiptInput]) -> list[Told]:
    if not 1 <= len(given) <= REPORTS_MOST:
        raise Invalid(f"Give 1 to {REPORTS_MOST} receipts.", field="receipts")
    return [_report(device_id, one, f"receipts.{at}") for at, one in enumerate(given)]


def _report(device_id: UUID, given: ReceiptInput, field: str) -> Told:
    if (given.message_id is None) == (given.key is None):
        raise Invalid("Give either messageId, or the key of a push.", field=field)
    if given.key is not None:
        return PushReport(device_id, checks.text(given.key, f"{field}.key", most=KEY_MOST), given.kind)
    return Report(device_id, parse_id(given.message_id or "", f"{field}.messageId"), given.kind)


@strawberry.type
class Mutation:
    """Reports of a device."""

    @mutation(
        Permission.RECEIVE_MESSAGES, ReportReceiptsPayload, "Report what this device did with its messages. Repeatable."
    )
    async def report_receipts(self, info: Info, input: ReportReceiptsInput) -> int:
        """Take reports."""
        return await reports.taken.ask(_reports(info.context.asker().device(), input.receipts))


@strawberry.type
class Subscription:
    """Messages as they come."""

    @strawberry.subscription(
        description="This device's messages: first those it has missed, then each as it is sent. Report each as"
        " DELIVERED; what is not reported comes again at the next connection.",
        graphql_type=InAppMessage,
        extensions=requires(Permission.RECEIVE_MESSAGES),
    )
    async def in_app_message_received(
        self,
        info: Info,
        after: Annotated[
            int, strawberry.argument(description="The last `sequence` this device has: nothing up to it is repeated.")
        ] = 0,
    ) -> AsyncGenerator[InAppMessageRow, None]:
        """Attach to the ticks first, then read: nothing falls between."""
        device_id = info.context.asker().device()
        async with presence.present(device_id), hub().subscribe(in_app_messages.topic(device_id)) as ticks:
            async with transaction() as session:
                await devices.seen(session, device_id)
            while True:
                ticks.drain()
                rows = await in_app_messages.waiting.ask(Position(device_id, after))
                for row in rows:
                    after = row.sequence
                    yield row
                if not rows:
                    await _tick(ticks)
