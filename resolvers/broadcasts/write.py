"""Writing, sending and holding broadcasts."""

from typing import cast
from uuid import UUID

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import control, drafts, redoing, starting, trial
from domain.broadcasts.drafts import Content
from domain.permissions import Permission
from models.broadcasts import Broadcast as BroadcastRow
from schema.broadcasts.inputs import (
    BroadcastInput,
    BroadcastPayload,
    CreateBroadcastInput,
    DeleteBroadcastPayload,
    DuplicateBroadcastInput,
    RetryBroadcastInput,
    ScheduleBroadcastInput,
    SendBroadcastInput,
    SendTestBroadcastInput,
    SendTestBroadcastPayload,
    UpdateBroadcastInput,
)
from schema.context import Info
from schema.mutations import mutation

SEND = Permission.SEND_BROADCASTS


def _changes(input: UpdateBroadcastInput) -> Content:
    """The content that the client wrote."""
    written = {"title": input.title, "body": input.body, "data": input.data}
    options = input.options.value.options() if input.options else {}
    return cast("Content", {name: some.value for name, some in written.items() if some is not None} | options)


@strawberry.type
class Mutation:
    """Change broadcasts."""

    @mutation(Permission.CREATE_BROADCASTS, BroadcastPayload, "Draft a broadcast.")
    async def create_broadcast(self, info: Info, input: CreateBroadcastInput) -> BroadcastRow:
        """Draft."""
        options = input.options.options() if input.options else {}
        content = Content(title=input.title, body=input.body, data=input.data, **options)  # type: ignore[typeddict-item]
        target = input.target.target()
        async with transaction() as session:
            return await drafts.create(session, info.context.asker(), content, target, input.idempotency_key)

    @mutation(Permission.EDIT_BROADCASTS, BroadcastPayload, "Change a broadcast that is DRAFT or SCHEDULED.")
    async def update_broadcast(self, info: Info, input: UpdateBroadcastInput) -> BroadcastRow:
        """Change."""
        target = input.target.value.target() if input.target else None
        async with transaction() as session:
            return await drafts.update(session, info.context.asker(), parse_id(input.id), _changes(input), target)

    @mutation(Permission.CREATE_BROADCASTS, BroadcastPayload, "Draft a copy of a broadcast, whatever its status.")
    async def duplicate_broadcast(self, info: Info, input: DuplicateBroadcastInput) -> BroadcastRow:
        """Copy."""
        async with transaction() as session:
            return await drafts.duplicate(session, info.context.asker(), parse_id(input.id), input.idempotency_key)

    @mutation(Permission.DELETE_BROADCASTS, DeleteBroadcastPayload, "Delete a broadcast that is DRAFT.")
    async def delete_broadcast(self, info: Info, input: BroadcastInput) -> UUID:
        """Delete."""
        async with transaction() as session:
            return (await drafts.delete(session, info.context.asker(), parse_id(input.id))).id

    @mutation(SEND, BroadcastPayload, "Send a broadcast that is DRAFT or SCHEDULED now.")
    async def send_broadcast(self, info: Info, input: SendBroadcastInput) -> BroadcastRow:
        """Send."""
        async with transaction() as session:
            return await starting.send(session, info.context.asker(), parse_id(input.id), input.idempotency_key)

    @mutation(SEND, SendTestBroadcastPayload, "Send a broadcast as it stands to a few contacts; it is counted nowhere.")
    async def send_test_broadcast(self, info: Info, input: SendTestBroadcastInput) -> int:
        """Test."""
        ids = [parse_id(one, f"contactIds.{at}") for at, one in enumerate(input.contact_ids)]
        async with transaction() as session:
            return await trial.send_test(session, info.context.asker(), parse_id(input.id), ids, input.idempotency_key)

    @mutation(SEND, BroadcastPayload, "Let a broadcast start by itself; doing it again moves it.")
    async def schedule_broadcast(self, info: Info, input: ScheduleBroadcastInput) -> BroadcastRow:
        """Schedule."""
        async with transaction() as session:
            return await starting.schedule(session, info.context.asker(), parse_id(input.id), input.schedule())

    @mutation(SEND, BroadcastPayload, "Stop a broadcast that is SCHEDULED, SENDING or PAUSED, for good.")
    async def cancel_broadcast(self, info: Info, input: BroadcastInput) -> BroadcastRow:
        """Cancel."""
        async with transaction() as session:
            return await control.cancel(session, info.context.asker(), parse_id(input.id))

    @mutation(SEND, BroadcastPayload, "Hold a broadcast that is SENDING; within two seconds nothing more goes out.")
    async def pause_broadcast(self, info: Info, input: BroadcastInput) -> BroadcastRow:
        """Pause."""
        async with transaction() as session:
            return await control.pause(session, info.context.asker(), parse_id(input.id))

    @mutation(SEND, BroadcastPayload, "Go on with a broadcast that is PAUSED, with those who have not got it.")
    async def resume_broadcast(self, info: Info, input: BroadcastInput) -> BroadcastRow:
        """Resume."""
        async with transaction() as session:
            return await control.resume(session, info.context.asker(), parse_id(input.id))

    @mutation(SEND, BroadcastPayload, "Send again to those who failed, or settle those of whom nobody knows.")
    async def retry_broadcast(self, info: Info, input: RetryBroadcastInput) -> BroadcastRow:
        """Retry."""
        async with transaction() as session:
            return await redoing.ask(session, info.context.asker(), parse_id(input.id), input.what)

    @mutation(SEND, BroadcastPayload, "Send a broadcast that is SENT to those who have come into its target since.")
    async def extend_broadcast(self, info: Info, input: BroadcastInput) -> BroadcastRow:
        """Extend."""
        async with transaction() as session:
            return await starting.extend(session, info.context.asker(), parse_id(input.id))
