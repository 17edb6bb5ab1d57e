"""In-app messages: what a device receives and reports."""

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

import strawberry

from core.clock import now
from core.database import transaction
from core.ids import parse_id
from core.pubsub import hub
from domain import checks, devices, in_app_messages
from domain.broadcasts import receipts
from domain.in_app_messages import ReceiptKind
from domain.permissions import Permission
from models.in_app_messages import InAppMessage as InAppMessageRow
from schema.context import Info
from schema.in_app_messages import InAppMessage, ReceiptInput, ReportReceiptsInput, ReportReceiptsPayload
from schema.mutations import mutation
from schema.permissions import requires

REPORTS_MOST = 100


def _furthest(receipts: list[ReceiptInput]) -> dict[UUID, ReceiptKind]:
    """The furthest report about each message."""
    order = list(ReceiptKind)
    ranked = sorted(receipts, key=lambda receipt: order.index(receipt.kind))
    return {parse_id(receipt.message_id, "receipts.messageId"): receipt.kind for receipt in ranked}


@strawberry.type
class Mutation:
    """Reports of a device."""

    @mutation(
        Permission.RECEIVE_MESSAGES, ReportReceiptsPayload, "Report what this device did with its messages. Repeatable."
    )
    async def report_receipts(self, info: Info, input: ReportReceiptsInput) -> int:
        """Take reports."""
        checks.at_most(input.receipts, "receipts", REPORTS_MOST)
        async with transaction() as session:
            return await receipts.report(session, info.context.asker().device(), _furthest(input.receipts), now())


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
        async with hub().subscribe(in_app_messages.topic(device_id)) as ticks:
            async with transaction() as session:
                await devices.seen(session, device_id)
            while True:
                ticks.drain()
                async with transaction() as session:
                    rows = await in_app_messages.pending(session, device_id, after=after)
                for row in rows:
                    after = row.sequence
                    yield row
                if not rows:
                    await ticks.get()
