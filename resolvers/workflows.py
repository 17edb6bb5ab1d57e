"""Workflows."""

from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from core.clock import now
from core.database import transaction
from core.ids import parse_id
from domain.features import Feature
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from domain.workflows import checking, diffing, drafts, dry_run, versions
from domain.workflows.diffing import Diff
from domain.workflows.drafts import WorkflowFields
from domain.workflows.dry_run import DryRun, Pretence
from domain.workflows.versions import Published
from models.workflows import Workflow as WorkflowRow
from models.workflows import WorkflowStatus
from models.workflows import WorkflowVersion as WorkflowVersionRow
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires
from schema.workflows.inputs import (
    ActivateWorkflowInput,
    CreateWorkflowInput,
    DeleteWorkflowPayload,
    DuplicateWorkflowInput,
    ImportWorkflowInput,
    UpdateWorkflowInput,
    WorkflowInput,
    WorkflowOutcomeInput,
    WorkflowPayload,
    WorkflowValidationInput,
    WorkflowVersionPayload,
)
from schema.workflows.types import (
    Workflow,
    WorkflowDiff,
    WorkflowDryRun,
    WorkflowValidation,
    WorkflowVersion,
    validation_of,
)

BUILDER = Feature.WORKFLOW_BUILDER
VIEW, EDIT = Permission.VIEW_WORKFLOWS, Permission.EDIT_WORKFLOWS
Id = Annotated[strawberry.ID, strawberry.argument(description="The workflow.")]
Number = Annotated[int | None, strawberry.argument(description="The number of a version; the draft, when left out.")]
From = Annotated[int, strawberry.argument(name="from", description="The number of the version that was before.")]
To = Annotated[
    int | None, strawberry.argument(name="to", description="That of the version after; the draft, when left out.")
]
Status = Annotated[WorkflowStatus | None, strawberry.argument(description="Only those in this status.")]
Checked = Annotated[WorkflowValidationInput, strawberry.argument(description="What to check.")]
ContactId = Annotated[strawberry.ID, strawberry.argument(description="With whom.")]
Properties = Annotated[
    JSON | None, strawberry.argument(description="Properties of the event that lets them in, as a JSON object.")
]
Outcomes = Annotated[
    list[WorkflowOutcomeInput] | None,
    strawberry.argument(description="Branches by which nodes are left, instead of the likely ones."),
]


def _changes(input: UpdateWorkflowInput) -> WorkflowFields:
    """The fields that the client wrote."""
    changes = WorkflowFields()
    if input.name:
        changes["name"] = input.name.value
    if input.description:
        changes["description"] = input.description.value
    if input.definition:
        changes["definition"] = input.definition.value.tree()
    return changes


def _pretence(properties: Any, outcomes: list[WorkflowOutcomeInput] | None) -> Pretence:
    given = properties if isinstance(properties, dict) else {}
    return Pretence(given, {one.node_id: one.branch for one in outcomes or ()})


@strawberry.type
class Query:
    """Read, check and try workflows."""

    @strawberry.field(description="A workflow.", graphql_type=Workflow | None, extensions=requires(VIEW))
    async def workflow(self, info: Info, id: Id) -> WorkflowRow:
        """One workflow."""
        async with transaction() as session:
            return await drafts.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The workflows of the app, newest first.",
        graphql_type=Connection[Workflow] | None,
        extensions=requires(VIEW),
    )
    async def workflows(
        self,
        info: Info,
        status: Status = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[WorkflowRow]:
        """A page of workflows."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await drafts.listed(session, info.context.asker().app_id, status, request)

    @strawberry.field(
        description="The versions of a workflow, newest first.",
        graphql_type=Connection[WorkflowVersion] | None,
        extensions=requires(VIEW),
    )
    async def workflow_versions(
        self,
        info: Info,
        workflow_id: Id,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[WorkflowVersionRow]:
        """A page of versions."""
        request, id_ = PageRequest(first, after, last, before), parse_id(workflow_id, "workflowId")
        async with transaction() as session:
            return await versions.listed(session, info.context.asker().app_id, id_, request)

    @strawberry.field(
        description="What is different between two versions of a workflow, or a version and the draft.",
        graphql_type=WorkflowDiff | None,
        extensions=requires(VIEW),
    )
    async def workflow_diff(self, info: Info, workflow_id: Id, from_: From, to: To = None) -> Diff:
        """Compare."""
        app_id, id_ = info.context.asker().app_id, parse_id(workflow_id, "workflowId")
        async with transaction() as session:
            row = await drafts.get(session, app_id, id_, field="workflowId")
            before = await versions.drawn(session, row, from_, "from")
            return diffing.diff(before, await versions.drawn(session, row, to, "to"))

    @strawberry.field(
        description="All that keeps a workflow from being published, at the nodes where it is.",
        graphql_type=WorkflowValidation | None,
        extensions=requires(VIEW),
    )
    async def validate_workflow(self, info: Info, workflow: Checked) -> WorkflowValidation:
        """Check."""
        app_id = info.context.asker().app_id
        async with transaction() as session:
            if workflow.workflow_id:
                id_ = parse_id(workflow.workflow_id.value, "workflow.workflowId")
                json: Any = (await drafts.get(session, app_id, id_, field="workflow.workflowId")).definition
            else:
                json = workflow.definition.value.tree() if workflow.definition else None
            drawn, problems = checking.understood(json)
            return validation_of(problems if drawn is None else await checking.check(session, app_id, drawn))

    @strawberry.field(
        description="Which way a contact would take through a workflow, and why. Nothing is sent or changed.",
        graphql_type=WorkflowDryRun | None,
        extensions=requires(VIEW),
    )
    async def workflow_dry_run(
        self,
        info: Info,
        workflow_id: Id,
        contact_id: ContactId,
        number: Number = None,
        event_properties: Properties = None,
        outcomes: Outcomes = None,
    ) -> DryRun:
        """Try."""
        app_id, id_ = info.context.asker().app_id, parse_id(workflow_id, "workflowId")
        pretence = _pretence(event_properties, outcomes)
        async with transaction() as session:
            row = await drafts.get(session, app_id, id_, field="workflowId")
            drawn = await versions.drawn(session, row, number)
            return await dry_run.run(session, row, drawn, parse_id(contact_id, "contactId"), pretence, now())

    @strawberry.field(
        description="The draft of a workflow as a document, for importWorkflow of this app or another.",
        graphql_type=JSON | None,
        extensions=requires(VIEW),
    )
    async def export_workflow(self, info: Info, id: Id) -> dict[str, Any]:
        """Export."""
        async with transaction() as session:
            return drafts.exported(await drafts.get(session, info.context.asker().app_id, parse_id(id)))


@strawberry.type
class Mutation:
    """Draw workflows, publish them, let contacts in."""

    @mutation(EDIT, WorkflowPayload, "Make a draft.", feature=BUILDER)
    async def create_workflow(self, info: Info, input: CreateWorkflowInput) -> WorkflowRow:
        """Create."""
        fields = WorkflowFields(name=input.name, description=input.description)
        if input.definition:
            fields["definition"] = input.definition.tree()
        async with transaction() as session:
            return await drafts.create(session, info.context.asker(), fields, input.idempotency_key)

    @mutation(
        EDIT,
        WorkflowPayload,
        "Change the draft. What is published stays; publish to bring the changes in.",
        feature=BUILDER,
    )
    async def update_workflow(self, info: Info, input: UpdateWorkflowInput) -> WorkflowRow:
        """Change."""
        id_, expected = parse_id(input.id), input.expected_version
        async with transaction() as session:
            return await drafts.update(session, info.context.asker(), id_, _changes(input), expected)

    @mutation(EDIT, DeleteWorkflowPayload, "Delete a workflow that is still a DRAFT. Others are archived.")
    async def delete_workflow(self, info: Info, input: WorkflowInput) -> UUID:
        """Delete."""
        async with transaction() as session:
            return (await drafts.delete(session, info.context.asker(), parse_id(input.id))).id

    @mutation(
        EDIT,
        WorkflowVersionPayload,
        "Make a version of the draft. Contacts come in by it from now on.",
        feature=BUILDER,
    )
    async def publish_workflow(self, info: Info, input: WorkflowInput) -> Published:
        """Publish."""
        async with transaction() as session:
            return await versions.publish(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, WorkflowVersionPayload, "Let contacts in, by the newest version or another.", feature=BUILDER)
    async def activate_workflow(self, info: Info, input: ActivateWorkflowInput) -> Published:
        """Activate."""
        async with transaction() as session:
            return await versions.activate(session, info.context.asker(), parse_id(input.id), input.number)

    @mutation(EDIT, WorkflowPayload, "Let nobody in until it is activated again.")
    async def pause_workflow(self, info: Info, input: WorkflowInput) -> WorkflowRow:
        """Pause."""
        async with transaction() as session:
            return await versions.pause(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, WorkflowPayload, "Put a workflow away for good: it lets nobody in and is never changed again.")
    async def archive_workflow(self, info: Info, input: WorkflowInput) -> WorkflowRow:
        """Archive."""
        async with transaction() as session:
            return await versions.archive(session, info.context.asker(), parse_id(input.id))

    @mutation(EDIT, WorkflowPayload, "Make a new draft that does what the draft of another does.", feature=BUILDER)
    async def duplicate_workflow(self, info: Info, input: DuplicateWorkflowInput) -> WorkflowRow:
        """Copy."""
        async with transaction() as session:
            return await drafts.duplicate(session, info.context.asker(), parse_id(input.id), input.name)

    @mutation(
        EDIT,
        WorkflowPayload,
        "Make a draft from an exported workflow; validateWorkflow tells what it lacks here.",
        feature=BUILDER,
    )
    async def import_workflow(self, info: Info, input: ImportWorkflowInput) -> WorkflowRow:
        """Import."""
        async with transaction() as session:
            return await drafts.bring_in(session, info.context.asker(), input.document, input.idempotency_key)
