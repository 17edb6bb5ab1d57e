"""Segments."""

from typing import Annotated
from uuid import UUID

import strawberry

from core.clock import now
from core.database import transaction
from core.ids import parse_id
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.segments import conditions, previews, saved
from domain.segments.previews import Preview
from domain.segments.saved import SegmentFields
from models.segments import Segment as SegmentRow
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires
from schema.segments import (
    CreateSegmentInput,
    DeleteSegmentInput,
    DeleteSegmentPayload,
    Segment,
    SegmentPayload,
    SegmentPreview,
    SegmentPreviewInput,
    UpdateSegmentInput,
)

VIEW, EDIT = Permission.VIEW_CONTACTS, Permission.EDIT_CONTACTS
Chosen = Annotated[SegmentPreviewInput, strawberry.argument(description="Whom: a segment, or a condition.")]


def _changes(input: UpdateSegmentInput) -> SegmentFields:
    """The fields that the client wrote."""
    changes = SegmentFields()
    if input.name:
        changes["name"] = input.name.value
    if input.description:
        changes["description"] = input.description.value
    if input.conditions:
        changes["conditions"] = input.conditions.value.tree()
    return changes


@strawberry.type
class Query:
    """Read segments."""

    @strawberry.field(description="A segment.", graphql_type=Segment | None, extensions=requires(VIEW))
    async def segment(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The segment.")]
    ) -> SegmentRow:
        """One segment."""
        async with transaction() as session:
            return await saved.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The segments of the app, newest first.",
        graphql_type=Connection[Segment] | None,
        extensions=requires(VIEW),
    )
    async def segments(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Page[SegmentRow]:
        """A page of segments."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await saved.listed(session, info.context.asker().app_id, request)

    @strawberry.field(
        description="How many contacts fit a condition at this moment, and some of them.",
        graphql_type=SegmentPreview | None,
        extensions=requires(VIEW),
    )
    async def preview_segment(self, info: Info, segment: Chosen) -> Preview:
        """Count, and look at some."""
        app_id = info.context.asker().app_id
        # behind the wall PostgreSQL searches without its indexes (docs/decisions/0007)
        async with transaction(across_apps=True) as session:
            if segment.segment_id:
                id_ = parse_id(segment.segment_id.value, "segment.segmentId")
                row = await saved.get(session, app_id, id_, field="segment.segmentId")
                condition = conditions.parse(row.conditions)
            else:
                tree = segment.conditions.value.tree() if segment.conditions else None
                condition = await saved.understood(session, app_id, tree, "segment.conditions")
            return await previews.preview(session, app_id, condition, now())


@strawberry.type
class Mutation:
    """Change segments."""

    @mutation(EDIT, SegmentPayload, "Save a condition on contacts under a name.")
    async def create_segment(self, info: Info, input: CreateSegmentInput) -> SegmentRow:
        """Create."""
        fields = SegmentFields(name=input.name, description=input.description, conditions=input.conditions.tree())
        async with transaction() as session:
            return await saved.create(session, info.context.asker(), fields, input.idempotency_key)

    @mutation(EDIT, SegmentPayload, "Change the given fields of a segment. Who is in it follows at once.")
    async def update_segment(self, info: Info, input: UpdateSegmentInput) -> SegmentRow:
        """Change."""
        async with transaction() as session:
            return await saved.update(session, info.context.asker(), parse_id(input.id), _changes(input))

    @mutation(EDIT, DeleteSegmentPayload, "Delete a segment, not the contacts in it.")
    async def delete_segment(self, info: Info, input: DeleteSegmentInput) -> UUID:
        """Delete."""
        async with transaction() as session:
            return (await saved.delete(session, info.context.asker(), parse_id(input.id))).id
