"""Enrolments: many contacts let into a workflow."""

from datetime import datetime

import strawberry

from core.errors import Invalid
from core.ids import parse_id
from domain.enrolments.control import Audience
from models.team import AdminUser as AdminUserRow
from models.workflow_enrolments import EnrolmentAudience, EnrolmentStatus
from models.workflow_enrolments import WorkflowEnrolment as WorkflowEnrolmentRow
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, idempotency_field, plain, view

described(
    EnrolmentStatus,
    "Where an enrolment stands.",
    RUNNING="Contacts are let in, slice by slice; while the workflow is paused or busy it waits.",
    COMPLETED="All have been looked at.",
    CANCELLED="Stopped: by somebody, as the workflow was archived, or as the segment of its schedule was gone.",
)
described(
    EnrolmentAudience,
    "Whom an enrolment is for.",
    EVERYBODY="All contacts of the app.",
    SEGMENT="The contacts of a segment.",
    CONTACTS="The contacts named.",
)


@view(WorkflowEnrolmentRow, description="Contacts who are let into a workflow, by hand or by its schedule.")
class WorkflowEnrolment:
    """An enrolment."""

    id: strawberry.ID = plain("UUID.")
    workflow_id: strawberry.ID = plain("The workflow.")
    status: EnrolmentStatus = plain("Where it stands.")
    audience: EnrolmentAudience = plain("Whom it is for.")
    segment_id: strawberry.ID | None = plain("The segment, with SEGMENT; its condition is as it was at the beginning.")
    entered: int = plain("How many have come in.")
    kept_out: int = plain("How many have not: they had been in before, or the trigger's conditions are not theirs.")
    created_at: datetime = plain("When it began.")
    ended_at: datetime | None = plain("When it ended, in whatever way.")

    @strawberry.field(
        description="Who asked for it; null when the clock or a program did, or they are gone.",
        graphql_type=AdminUser | None,
    )
    async def created_by(row: strawberry.Parent[WorkflowEnrolmentRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@strawberry.input(one_of=True, description="Who is let in: exactly one of these.")
class WorkflowEnrolmentAudienceInput:
    """An audience."""

    segment_id: strawberry.Maybe[strawberry.ID] = plain("The contacts of a segment, as it is now.")
    contact_ids: strawberry.Maybe[list[strawberry.ID]] = plain("1 to 1000 contacts.")
    everybody: strawberry.Maybe[bool] = plain("True: all contacts of the app.")

    def audience(self) -> Audience:
        """The audience as the rules take it.

        Raises:
            Invalid: an id is none, or `everybody` is false.
        """
        if self.segment_id:
            return Audience(segment_id=parse_id(self.segment_id.value, "audience.segmentId"))
        if self.contact_ids:
            named = enumerate(self.contact_ids.value)
            return Audience(contact_ids=[parse_id(one, f"audience.contactIds.{no}") for no, one in named])
        if not (self.everybody and self.everybody.value):
            raise Invalid("audience.everybody is true, or another one is given.", field="audience.everybody")
        return Audience()


@strawberry.input(description="Contacts to be let into a workflow.")
class EnrolContactsInput:
    """Contacts and a workflow."""

    workflow_id: strawberry.ID = plain("An ACTIVE workflow whose trigger is manual.")
    audience: WorkflowEnrolmentAudienceInput = plain("Who is let in.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Which enrolment is to be stopped.")
class CancelWorkflowEnrolmentInput:
    """An enrolment."""

    id: strawberry.ID = plain("The enrolment.")


@strawberry.type(description="The enrolment made or changed.")
class WorkflowEnrolmentPayload(Payload):
    """An enrolment."""

    enrolment: WorkflowEnrolment | None = plain("The enrolment.")
