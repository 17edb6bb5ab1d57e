"""Executions of workflows."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id, parse_optional_id
from domain.executions import analytics, control, queries, retrying, starting, telling
from domain.executions.analytics import Activity, Analytics
from domain.executions.queries import Seen
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.executions import WorkflowExecution as ExecutionRow
from models.workflows import Workflow as WorkflowRow
from resolvers.live import snapshots
from schema.context import Info
from schema.executions.inputs import (
    CancelWorkflowExecutionsInput,
    CancelWorkflowExecutionsPayload,
    StartWorkflowInput,
    WorkflowExecutionFilterInput,
    WorkflowExecutionInput,
    WorkflowExecutionPayload,
    filter_of,
)
from schema.executions.types import WorkflowActivity, WorkflowAnalytics, WorkflowExecution
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import Requires, requires
from schema.streams import Shared

VIEW, RUN = Permission.VIEW_WORKFLOWS, Permission.RUN_WORKFLOWS
ExecutionId = Annotated[strawberry.ID, strawberry.argument(description="The execution.")]
WorkflowId = Annotated[strawberry.ID, strawberry.argument(description="The workflow.")]
OfWorkflow = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Those of this workflow. It may be left out when `filter` names a contact."),
]
Chosen = Annotated[WorkflowExecutionFilterInput | None, strawberry.argument(description="Which of them.")]
Version = Annotated[int | None, strawberry.argument(description="The number of a version; all, when left out.")]
Days = Annotated[int, strawberry.argument(description="How many days `executionsByDay` has: 1 to 365.")]
TimeZone = Annotated[str, strawberry.argument(description="Whose days they are: an IANA name like Europe/Berlin.")]


@strawberry.type
class Query:
    """Read executions and their numbers."""

    @strawberry.field(description="An execution.", graphql_type=WorkflowExecution | None, extensions=requires(VIEW))
    async def workflow_execution(self, info: Info, id: ExecutionId) -> ExecutionRow:
        """One execution."""
        async with transaction() as session:
            return await queries.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The executions of a workflow or of a contact, newest first. Ended ones are kept for 365 days.",
        graphql_type=Connection[WorkflowExecution] | None,
        extensions=requires(VIEW),
    )
    async def workflow_executions(
        self,
        info: Info,
        workflow_id: OfWorkflow = None,
        filter: Chosen = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[ExecutionRow]:
        """A page of executions."""
        app_id, request = info.context.asker().app_id, PageRequest(first, after, last, before)
        id_ = parse_optional_id(workflow_id, "workflowId")
        async with transaction() as session:
            return await queries.listed(session, app_id, id_, filter_of(filter), request)

    @strawberry.field(
        description="The numbers of a workflow: what has become of those who came in, node by node.",
        graphql_type=WorkflowAnalytics | None,
        extensions=requires(VIEW),
    )
    async def workflow_analytics(
        self, info: Info, workflow_id: WorkflowId, version: Version = None, days: Days = 30, time_zone: TimeZone = "UTC"
    ) -> Analytics:
        """All numbers."""
        app_id, id_ = info.context.asker().app_id, parse_id(workflow_id, "workflowId")
        async with transaction() as session:
            return await analytics.read(session, app_id, id_, number=version, days=days, zone=time_zone)


@strawberry.type
class Mutation:
    """Start, cancel, retry, continue."""

    @mutation(RUN, WorkflowExecutionPayload, "Let a contact into a workflow whose trigger is `manual`.")
    async def start_workflow(self, info: Info, input: StartWorkflowInput) -> ExecutionRow:
        """Start."""
        async with transaction() as session:
            return await starting.start(session, info.context.asker(), input.asked())

    @mutation(
        RUN,
        WorkflowExecutionPayload,
        "End an execution here. What it has done stays done; a call that is on its way is not taken back.",
    )
    async def cancel_workflow_execution(self, info: Info, input: WorkflowExecutionInput) -> ExecutionRow:
        """Cancel one."""
        async with transaction() as session:
            return await control.cancel(session, info.context.asker(), parse_id(input.id))

    @mutation(
        RUN,
        CancelWorkflowExecutionsPayload,
        "Cancel all executions of a workflow that run now. None begins a step any more; they end within moments.",
    )
    async def cancel_workflow_executions(self, info: Info, input: CancelWorkflowExecutionsInput) -> WorkflowRow:
        """Cancel all."""
        id_ = parse_id(input.workflow_id, "workflowId")
        async with transaction() as session:
            return await control.cancel_all(session, info.context.asker(), id_)

    @mutation(
        RUN,
        WorkflowExecutionPayload,
        "Let a FAILED execution go on from the step that has failed. Waits end when they would have ended.",
    )
    async def retry_workflow_execution(self, info: Info, input: WorkflowExecutionInput) -> ExecutionRow:
        """Retry."""
        async with transaction() as session:
            return await retrying.retry(session, info.context.asker(), parse_id(input.id))

    @mutation(
        RUN,
        WorkflowExecutionPayload,
        "Have all waits of an execution end now, as if their time had come; waits for events go on by `timeout`.",
    )
    async def continue_workflow_execution(self, info: Info, input: WorkflowExecutionInput) -> ExecutionRow:
        """Continue."""
        async with transaction() as session:
            return await control.continue_now(session, info.context.asker(), parse_id(input.id))


@strawberry.type
class Subscription:
    """Watch executions."""

    @strawberry.subscription(
        description="An execution on its way: as it stands now, then up to 4 times a second when something has moved.",
        graphql_type=WorkflowExecution,
        extensions=[Requires(VIEW), Shared(resumes=False, by_viewer=False)],
    )
    async def workflow_execution_updated(
        self, info: Info, execution_id: ExecutionId
    ) -> AsyncGenerator[ExecutionRow, None]:
        """The execution again and again."""
        app_id, id_ = info.context.asker().app_id, parse_id(execution_id, "executionId")

        async def read() -> Seen:
            async with transaction() as session:
                return await queries.seen(session, app_id, id_)

        async with aclosing(snapshots(telling.execution_topic(id_), read)) as frames:
            async for frame in frames:
                yield frame.row

    @strawberry.subscription(
        description="How many contacts are at each node of a workflow: now, then up to 4 times a second as they move.",
        graphql_type=WorkflowActivity,
        extensions=[Requires(VIEW), Shared(resumes=False, by_viewer=False)],
    )
    async def workflow_activity(
        self, info: Info, workflow_id: WorkflowId, version: Version = None
    ) -> AsyncGenerator[Activity, None]:
        """The counts again and again."""
        app_id, id_ = info.context.asker().app_id, parse_id(workflow_id, "workflowId")

        async def read() -> Activity:
            async with transaction() as session:
                return await analytics.activity(session, app_id, id_, version)

        async with aclosing(snapshots(telling.workflow_topic(id_), read)) as frames:
            async for frame in frames:
                yield frame
