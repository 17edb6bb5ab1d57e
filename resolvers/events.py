"""Events."""

import strawberry

from core.database import transaction
from domain import events
from domain.events import Tracked
from domain.permissions import Permission
from models.events import Event as EventRow
from schema.context import Info
from schema.events import TrackEventInput, TrackEventPayload, TrackEventsInput, TrackEventsPayload
from schema.mutations import mutation


@strawberry.type
class Mutation:
    """Track events."""

    @mutation(Permission.TRACK_EVENTS, TrackEventPayload, "Keep what a contact did.")
    async def track_event(self, info: Info, input: TrackEventInput) -> EventRow:
        """Keep one."""
        async with transaction() as session:
            return await events.track(session, info.context.asker(), input.fields())

    @mutation(Permission.TRACK_EVENTS, TrackEventsPayload, "Keep up to 1000 events at once.")
    async def track_events(self, info: Info, input: TrackEventsInput) -> Tracked:
        """Keep several."""
        several = [one.fields(f"events.{no}.") for no, one in enumerate(input.events)]
        async with transaction() as session:
            return await events.track_all(session, info.context.asker(), several)
