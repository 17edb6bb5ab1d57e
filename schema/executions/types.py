"""Executions of workflows: where a contact stands, what each step did, and the numbers of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.executions import analytics
from models.contacts import Contact as ContactRow
from models.executions import EndReason, ExecutionStatus, StepStatus
from models.executions import WorkflowExecution as ExecutionRow
from models.executions import WorkflowStep as StepRow
from models.workflows import Workflow as WorkflowRow
from schema.contacts import Contact
from schema.context import Info
from schema.views import described, plain, view
from schema.workflows.stats import WorkflowStats
from schema.workflows.types import Workflow

described(
    ExecutionStatus,
    "Where an execution stands.",
    RUNNING="It goes on, or waits.",
    COMPLETED="It has come to its end.",
    EXITED="It has ended before its end, as it was meant to; `reason` says why.",
    FAILED="A node has failed, and no branch says what then. It can be retried.",
    CANCELLED="Somebody has cancelled it, or the contact was erased; `reason` says which.",
)
described(
    EndReason,
    "Why an execution ended before its end.",
    GOAL="The contact has reached the goal.",
    CONDITION="The contact fits the exit condition.",
    NODE="It came to an exit node.",
    OPERATOR="Somebody of the team has cancelled it.",
    CONTACT_ERASED="The contact was erased.",
)
described(
    StepStatus,
    "Where a step stands.",
    PENDING="It is to act: now, or at `dueAt` when it is tried again.",
    RUNNING="A worker has it.",
    WAITING="It waits until `dueAt`, or for an event.",
    COMPLETED="It has acted.",
    FAILED="It could not act.",
    SKIPPED="The execution ended before it had.",
)


@dataclass(frozen=True)
class Failure:
    """What went wrong, and where."""

    node_id: str
    code: str
    message: str | None


@view(Failure, description="Why a node has failed.")
class WorkflowExecutionError:
    """An error."""

    node_id: str = plain("At which node.")
    code: str = plain("Stable, for programs: e.g. SERVER_ERROR, UNREACHABLE, MISSING_VARIABLE.")
    message: str | None = plain("For people; null when the contact was erased.")


@view(StepRow, description="A node that an execution has reached; it reaches each once.")
class WorkflowStep:
    """A step."""

    id: strawberry.ID = plain("UUID. Webhooks get it as Idempotency-Key.")
    node_id: str = plain("The node.")
    status: StepStatus = plain("Where it stands.")
    input: JSON | None = plain("What was sent or asked, with the variables put in; without the values of headers.")
    output: JSON | None = plain("What came of it: later nodes may name it.")
    attempts: int = plain("How often a worker has taken it up.")
    failures: int = plain("How often it has failed.")
    started_at: datetime | None = plain("When a worker first took it up.")
    ended_at: datetime | None = plain("When it ended; null while it is open.")

    @strawberry.field(description="The kind of the node, such as send_message or wait.")
    def action(row: strawberry.Parent[StepRow]) -> str:
        """The kind."""
        return row.kind

    @strawberry.field(description="When the execution came to it.")
    def reached_at(row: strawberry.Parent[StepRow]) -> datetime:
        """The instant."""
        return row.created_at

    @strawberry.field(description="While it is open: when it is looked at next, as a wait ends or it is tried again.")
    def due_at(row: strawberry.Parent[StepRow]) -> datetime | None:
        """The instant."""
        return None if row.ended_at else row.due_at

    @strawberry.field(description="The branch by which it was left: `next` by plain edges; null while it is open.")
    def branch(row: strawberry.Parent[StepRow]) -> str | None:
        """The way."""
        return row.branch

    @strawberry.field(
        description="What last went wrong, also when it was tried again; null when nothing did.",
        graphql_type=WorkflowExecutionError | None,
    )
    def error(row: strawberry.Parent[StepRow]) -> Failure | None:
        """The error."""
        return Failure(row.node_id, row.error_code, row.error_message) if row.error_code else None


@view(ExecutionRow, description="A contact's way through a version of a workflow.")
class WorkflowExecution:
    """An execution."""

    id: strawberry.ID = plain("UUID.")
    status: ExecutionStatus = plain("Where it stands.")
    reason: EndReason | None = plain("Why it ended before its end; null when it did not.")
    ended_at: datetime | None = plain("When it ended; null while it runs.")
    converted_at: datetime | None = plain("When the goal was reached, before or after the end; null when it was not.")
    context: JSON = plain("What let the contact in, for variables: `event` or `message`.")

    @strawberry.field(description="When the contact came in.")
    def started_at(row: strawberry.Parent[ExecutionRow]) -> datetime:
        """The instant."""
        return row.created_at

    @strawberry.field(description="Seconds from coming in to the end; null while it runs.")
    def duration(row: strawberry.Parent[ExecutionRow]) -> float | None:
        """Seconds."""
        return (row.ended_at - row.created_at).total_seconds() if row.ended_at else None

    @strawberry.field(description="Of which workflow.", graphql_type=Workflow | None)
    async def workflow(row: strawberry.Parent[ExecutionRow], info: Info) -> WorkflowRow | None:
        """The workflow."""
        return await info.context.loaders.workflow.load(row.workflow_id)

    @strawberry.field(description="The number of the version that it follows to its end.")
    async def version(row: strawberry.Parent[ExecutionRow], info: Info) -> int | None:
        """The number."""
        version = await info.context.loaders.workflow_version.load(row.workflow_version_id)
        return version.number if version else None

    @strawberry.field(description="Whose; null when they were erased.", graphql_type=Contact | None)
    async def contact(row: strawberry.Parent[ExecutionRow], info: Info) -> ContactRow | None:
        """The contact."""
        return await info.context.loaders.contact.load(row.contact_id) if row.contact_id else None

    @strawberry.field(description="The nodes at which it is: several on parallel ways, none when it has ended.")
    async def current_node_ids(row: strawberry.Parent[ExecutionRow], info: Info) -> list[str]:
        """The nodes."""
        return list(await info.context.loaders.nodes_of_execution.load(row.id))

    @strawberry.field(
        description="Why it has failed; null when it has not.", graphql_type=WorkflowExecutionError | None
    )
    def error(row: strawberry.Parent[ExecutionRow]) -> Failure | None:
        """The error."""
        if row.error_node_id is None or row.error_code is None:
            return None
        return Failure(row.error_node_id, row.error_code, row.error_message)

    @strawberry.field(
        description="The nodes that it has reached, in their order: 200 at most.", graphql_type=list[WorkflowStep]
    )
    async def steps(row: strawberry.Parent[ExecutionRow], info: Info) -> Sequence[StepRow]:
        """The steps."""
        return await info.context.loaders.steps_of_execution.load(row.id)


@view(analytics.NodeNumbers, description="What has become of those who reached a node.")
class WorkflowNodeActivity:
    """The counts of a node."""

    node_id: str = plain("The node.")
    entered: int = plain("Executions that ever reached it.")
    passed: int = plain("Those that went on.")
    in_progress: int = plain("Those that are here now, at work or waiting.")
    failed: int = plain("Those that failed here.")
    exited: int = plain("Those that ended while they were here: by the goal, a condition, or a failure elsewhere.")
    cancelled: int = plain("Those that were cancelled while they were here.")
    drop_off: int = plain("Those that ended here without going on: entered, less passed and in progress.")


@view(analytics.NodeNumbers, description="What has become of those who reached a node, and how long they took.")
class WorkflowNodeAnalytics(WorkflowNodeActivity):
    """The numbers of a node."""

    median_seconds: float | None = plain(
        "The median of the seconds from reaching it to going on, of its newest 10,000 passes in each version; null"
        " before the first."
    )
    p95_seconds: float | None = plain("The 95th percentile of the same.")


@view(analytics.DayCount, description="How many executions began on a day.")
class WorkflowDayCount:
    """A day."""

    date: str = plain("As 2026-01-31, in the time zone asked for.")
    count: int = plain("How many; 0 where none did.")


@view(analytics.Activity, description="The counts of a workflow and of its nodes at one moment.")
class WorkflowActivity:
    """Counts."""

    stats: WorkflowStats = plain("Of whole executions.")
    nodes: list[WorkflowNodeActivity] = plain("By node, in the order of the definition.")


@view(analytics.Analytics, description="The numbers of a workflow, of one version or of all. Counts are exact.")
class WorkflowAnalytics:
    """All numbers."""

    stats: WorkflowStats = plain("Of whole executions.")
    nodes: list[WorkflowNodeAnalytics] = plain("By node, in the order of the definition; then those of older versions.")
    time_zone: str = plain("The time zone of the days.")
    executions_by_day: list[WorkflowDayCount] = plain("Executions that began on each day, today the last.")

    @strawberry.field(description="`dropOff` of each node as a JSON object by the id of the node.")
    def dropoff_by_node(row: strawberry.Parent[analytics.Analytics]) -> JSON:
        """The map."""
        return JSON({node.node_id: node.drop_off for node in row.nodes})
