"""Enrolments of contacts in workflows."""

from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.enrolments import control
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.workflow_enrolments import WorkflowEnrolment as WorkflowEnrolmentRow
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires
from schema.workflows.enrolments import (
    CancelWorkflowEnrolmentInput,
    EnrolContactsInput,
    WorkflowEnrolment,
    WorkflowEnrolmentPayload,
)

VIEW, RUN = Permission.VIEW_WORKFLOWS, Permission.RUN_WORKFLOWS
WorkflowId = Annotated[strawberry.ID, strawberry.argument(description="The workflow.")]


@strawberry.type
class Query:
    """Look at enrolments."""

    @strawberry.field(
        description="The enrolments of a workflow, newest first; those of its schedule too.",
        graphql_type=Connection[WorkflowEnrolment] | None,
        extensions=requires(VIEW),
    )
    async def workflow_enrolments(
        self,
        info: Info,
        workflow_id: WorkflowId,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[WorkflowEnrolmentRow]:
        """A page of enrolments."""
        request, id_ = PageRequest(first, after, last, before), parse_id(workflow_id, "workflowId")
        async with transaction() as session:
            return await control.listed(session, info.context.asker().app_id, id_, request)


@strawberry.type
class Mutation:
    """Let many contacts into a workflow."""

    @mutation(RUN, WorkflowEnrolmentPayload, "Let contacts into a workflow whose trigger is manual, in slices.")
    async def enrol_contacts(self, info: Info, input: EnrolContactsInput) -> WorkflowEnrolmentRow:
        """Enrol."""
        id_, audience = parse_id(input.workflow_id, "workflowId"), input.audience.audience()
        async with transaction() as session:
            return await control.enrol(session, info.context.asker(), id_, audience, input.idempotency_key)

    @mutation(RUN, WorkflowEnrolmentPayload, "Let nobody in any more by an enrolment. Who is in stays in.")
    async def cancel_workflow_enrolment(self, info: Info, input: CancelWorkflowEnrolmentInput) -> WorkflowEnrolmentRow:
        """Stop."""
        async with transaction() as session:
            return await control.cancel(session, info.context.asker(), parse_id(input.id))
