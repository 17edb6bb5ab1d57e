"""What happens to the broadcasts of an app."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from domain.streams.moments import Snapshot
from models.broadcasts import Broadcast as BroadcastRow
from models.streams import StreamEvent as StreamEventRow
from schema.broadcasts.types import Broadcast
from schema.context import Info
from schema.streams import Resync, StreamChange, StreamEvent, moment


@moment(StreamEventRow, "Something happened to a broadcast.")
class BroadcastChange(StreamChange):
    """An event."""

    @strawberry.field(description="The broadcast as it is now; null when it is gone.", graphql_type=Broadcast | None)
    async def broadcast(row: strawberry.Parent[StreamEventRow], info: Info) -> BroadcastRow | None:
        """The broadcast."""
        return await info.context.loaders.broadcast.load(row.entity_id)


@moment(Snapshot, "The broadcasts as they stand; a change that is in it may follow all the same.")
class BroadcastsSnapshot(StreamEvent):
    """The state."""

    @strawberry.field(description="The 50 newest, newest first.", graphql_type=list[Broadcast])
    def broadcasts(row: strawberry.Parent[Snapshot]) -> Sequence[BroadcastRow]:
        """The broadcasts."""
        return row.rows


BroadcastChanged = Annotated[
    BroadcastChange | BroadcastsSnapshot | Resync,
    strawberry.union("BroadcastChanged", description="What `broadcastChanged` tells."),
]
