"""Watching broadcasts."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.broadcasts import progress, queries
from domain.broadcasts.progress import Progress
from domain.pages import PageRequest
from domain.permissions import Permission
from domain.streams.moments import Moment
from models.broadcasts import Broadcast
from resolvers.live import events, snapshots
from schema.broadcasts.changes import BroadcastChanged
from schema.broadcasts.types import BroadcastProgress
from schema.context import Info
from schema.permissions import Requires
from schema.streams import After, Shared, subscription


@strawberry.type
class Subscription:
    """Watch broadcasts."""

    @strawberry.subscription(
        description="A broadcast on its way: its state now, then up to 4 times a second, ending with its final state.",
        graphql_type=BroadcastProgress,
        extensions=[Requires(Permission.VIEW_BROADCASTS), Shared(resumes=False, by_viewer=False)],
    )
    async def broadcast_progress(
        self,
        info: Info,
        broadcast_id: Annotated[strawberry.ID, strawberry.argument(description="The broadcast.")],
        follow: Annotated[
            bool,
            strawberry.argument(description="Go on after the end, as people open it, until you unsubscribe."),
        ] = False,
    ) -> AsyncGenerator[Progress, None]:
        """Frames of progress."""
        app_id, id_ = info.context.asker().app_id, parse_id(broadcast_id, "broadcastId")

        pace = progress.Pace()

        async def read() -> Progress:
            async with transaction() as session:
                return pace.of(await progress.read(session, app_id, id_))

        async with aclosing(snapshots(queries.topic(id_), read)) as frames:
            async for frame in frames:
                yield frame
                if frame.ended and not follow:
                    return

    @subscription(
        Permission.VIEW_BROADCASTS,
        BroadcastChanged,
        "What happens to the app's broadcasts, as a list on the screen needs it: the newest ones, then each change.",
        by_viewer=False,
    )
    async def broadcast_changed(self, info: Info, after: After = None) -> AsyncGenerator[Moment, None]:
        """Every change."""
        app_id = info.context.asker().app_id

        async def newest() -> Sequence[Broadcast]:
            async with transaction() as session:
                return (await queries.listed(session, app_id, PageRequest())).rows

        return events(info, queries.stream(app_id), after, snapshot=newest)
