"""Workflows as they are shown."""

from collections.abc import Sequence
from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.executions.analytics import Stats
from domain.workflows import configs, definition, triggers
from domain.workflows.configs import Config
from domain.workflows.definition import Definition as DefinitionRow
from domain.workflows.definition import Edge as EdgeRow
from domain.workflows.definition import Node as NodeRow
from domain.workflows.definition import Position as PositionRow
from domain.workflows.definition import Reentry
from domain.workflows.diffing import Diff as DiffRow
from domain.workflows.diffing import NodeChange as NodeChangeRow
from domain.workflows.dry_run import DryRun as DryRunRow
from domain.workflows.dry_run import Step as StepRow
from domain.workflows.goals import Goal as GoalRow
from domain.workflows.nodes.table import KINDS
from domain.workflows.problems import Problem as ProblemRow
from domain.workflows.problems import ProblemCode
from models.team import AdminUser as AdminUserRow
from models.workflows import Workflow as WorkflowRow
from models.workflows import WorkflowStatus
from models.workflows import WorkflowVersion as WorkflowVersionRow
from schema.auth import AdminUser
from schema.context import Info
from schema.views import described, plain, view
from schema.workflows.configs import WorkflowNodeConfig, WorkflowTrigger, type_of
from schema.workflows.stats import WorkflowStats

described(
    WorkflowStatus,
    "Where a workflow stands.",
    DRAFT="It has never let anybody in.",
    ACTIVE="It lets contacts in.",
    PAUSED="It lets nobody in until it is activated again.",
    ARCHIVED="It is put away for good.",
)
described(
    Reentry,
    "Whether a contact who has been in a workflow may come in again.",
    ONCE="Never.",
    AFTER_END="Once they are through.",
    ALWAYS="Each time, also while they are in it.",
)
described(
    ProblemCode,
    "What is wrong with a definition. Stable, for programs.",
    MALFORMED="It has not the shape of a definition.",
    TOO_LARGE="It has more than 200 nodes, 1000 edges, or 100 KiB.",
    TRIGGER_MISSING="Nothing lets anybody in.",
    NODES_MISSING="It has no node.",
    KIND_UNKNOWN="There is no such kind of node or trigger.",
    ID_TWICE="Several nodes have the same id.",
    EDGE_TWICE="Two nodes are joined by several edges.",
    EDGE_DANGLING="An edge or a branch leads to or from a node that there is not.",
    BRANCH_MISSING="A branch says neither where it leads nor that it ends.",
    BRANCH_UNKNOWN="A node of this kind has no such branch.",
    EDGE_NOT_ALLOWED="A node of this kind is left by branches only, or by nothing.",
    CYCLE="The node is part of a circle.",
    ENTRY_SEVERAL="Runs begin at one node: another has nothing before it either.",
    UNREACHABLE="The node can never be reached.",
    CONFIG_MISSING="Something that must be set is not.",
    CONFIG_INVALID="Something is set to what it cannot be.",
    CONFIG_UNKNOWN="Something is set that means nothing here.",
    ADDRESS_BLOCKED="Requests may not go to this address.",
    VARIABLE_UNKNOWN="A text or a comparison names a variable that there is not at this node.",
    REFERENCE_MISSING="Something is named that the app has not.",
)
WorkflowGoal = type_of(GoalRow, "WorkflowGoal", "The event that counts as success; it ends the run.")


@view(ProblemRow, description="Something that is wrong with a definition.")
class WorkflowProblem:
    """A problem."""

    code: ProblemCode = plain("Stable, for programs.")
    message: str = plain("For people; says the way out.")
    node_id: str | None = plain("At which node; null when it is the trigger, the goal, or the whole.")
    field: str | None = plain("Dotted path inside the node, or inside the definition when there is no node.")


@view(PositionRow, description="Where a node stands in a visual builder.")
class WorkflowPosition:
    """A place."""

    x: float = plain("To the right.")
    y: float = plain("Down.")


@strawberry.type(description="A way out of a node that depends on what came of it.")
class WorkflowBranch:
    """A branch."""

    name: str = plain("What came of the node, such as true, timeout or failed.")
    to: str | None = plain("The id of the node that it leads to; null when the way ends.")


@view(NodeRow, description="A step of a workflow.")
class WorkflowNode:
    """A node."""

    id: str = plain("Unique in its definition.")
    type: str = plain("Its kind, such as send_message.")
    name: str | None = plain("What people call it.")
    position: WorkflowPosition | None = plain("Where it stands in the builder.")

    @strawberry.field(
        description="What it does, and how; null while it is not complete.", graphql_type=WorkflowNodeConfig | None
    )
    def config(row: strawberry.Parent[NodeRow]) -> Config | None:
        """The config."""
        kind = KINDS.get(row.type)
        return configs.read(kind.config, row.config, "config")[0] if kind else None

    @strawberry.field(description="The same as JSON, complete or not.")
    def config_json(row: strawberry.Parent[NodeRow]) -> JSON:
        """The config as it is kept."""
        return JSON(row.config)

    @strawberry.field(description="Where its branches lead.")
    def branches(row: strawberry.Parent[NodeRow]) -> list[WorkflowBranch]:
        """The branches."""
        return [WorkflowBranch(name=name, to=to) for name, to in row.branches.items()]


@view(EdgeRow, description="What comes after what, whatever came of it. Several that leave one node are all followed.")
class WorkflowGraphEdge:
    """An edge."""

    source: str = strawberry.field(name="from", description="The id of the node that it leaves.")
    target: str = strawberry.field(name="to", description="The id of the node that it leads to.")


@view(DefinitionRow, description="What a workflow does.")
class WorkflowDefinition:
    """A definition."""

    nodes: list[WorkflowNode] = plain("Its steps: 200 at most.")
    edges: list[WorkflowGraphEdge] = plain("What comes after what: 1000 at most.")
    reentry: Reentry = plain("Whether contacts may come in again.")
    exit: JSON | None = plain("A condition on contacts, as of segments: who fits it before a step leaves.")

    @strawberry.field(
        description="What lets contacts in; null while it is not complete.", graphql_type=WorkflowTrigger | None
    )
    def trigger(row: strawberry.Parent[DefinitionRow]) -> Config | None:
        """The trigger."""
        return triggers.read(row.trigger.type, row.trigger.config)[0] if row.trigger else None

    @strawberry.field(
        description="The event that counts as success; null when there is none, or it is not complete.",
        graphql_type=WorkflowGoal | None,
    )
    def goal(row: strawberry.Parent[DefinitionRow]) -> Config | None:
        """The goal."""
        return configs.read(GoalRow, row.goal, "goal")[0] if row.goal else None


@view(WorkflowVersionRow, description="A published definition. It never changes.")
class WorkflowVersion:
    """A version."""

    id: strawberry.ID = plain("UUID.")
    number: int = plain("1, 2, 3, … of its workflow.")
    published_at: datetime = plain("When it was published.")

    @strawberry.field(description="What it does.", graphql_type=WorkflowDefinition)
    def definition(row: strawberry.Parent[WorkflowVersionRow]) -> DefinitionRow:
        """The definition."""
        return definition.parse(row.definition)

    @strawberry.field(description="The same as JSON, in the form of the visual builder.")
    def definition_json(row: strawberry.Parent[WorkflowVersionRow]) -> JSON:
        """The definition as it is kept."""
        return JSON(row.definition)

    @strawberry.field(
        description="Who published it; null when a program did, or they are gone.", graphql_type=AdminUser | None
    )
    async def published_by(row: strawberry.Parent[WorkflowVersionRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.published_by_id) if row.published_by_id else None


@view(WorkflowRow, description="What happens to contacts after something has happened, as a graph of steps.")
class Workflow:
    """A workflow."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("What it is called.")
    description: str | None = plain("What it is for.")
    status: WorkflowStatus = plain("Where it stands.")
    version: int = plain("Grows with every change, for expectedVersion.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When it was last changed.")

    @strawberry.field(description="The draft: what it does once it is published.", graphql_type=WorkflowDefinition)
    def definition(row: strawberry.Parent[WorkflowRow]) -> DefinitionRow:
        """The draft."""
        return definition.parse(row.definition)

    @strawberry.field(description="The draft as JSON, in the form of the visual builder: trigger, nodes, edges.")
    def definition_json(row: strawberry.Parent[WorkflowRow]) -> JSON:
        """The draft as it is kept."""
        return JSON(row.definition)

    @strawberry.field(
        description="The version by which contacts come in while it is ACTIVE; null before the first is published.",
        graphql_type=WorkflowVersion | None,
    )
    async def active_version(row: strawberry.Parent[WorkflowRow], info: Info) -> WorkflowVersionRow | None:
        """The version."""
        id_ = row.active_version_id
        return await info.context.loaders.workflow_version.load(id_) if id_ else None

    @strawberry.field(description="What has become of those who came in.", graphql_type=WorkflowStats)
    async def stats(row: strawberry.Parent[WorkflowRow], info: Info) -> Stats:
        """The counts."""
        return await info.context.loaders.workflow_stats.load(row.id)

    @strawberry.field(
        description="Who created it; null when a program did, or they are gone.", graphql_type=AdminUser | None
    )
    async def created_by(row: strawberry.Parent[WorkflowRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@strawberry.type(description="Whether a definition can be published.")
class WorkflowValidation:
    """What a check has found."""

    problems: list[WorkflowProblem] = plain("All that is wrong, in the order of the nodes: 500 at most.")

    @strawberry.field(description="Whether nothing is wrong.")
    def is_valid(row: strawberry.Parent["WorkflowValidation"]) -> bool:
        """No problems."""
        return not row.problems


@view(NodeChangeRow, description="A node that is in both definitions, and not the same.")
class WorkflowNodeChange:
    """A changed node."""

    node_id: str = plain("Its id.")
    before: WorkflowNode = plain("As it was.")
    after: WorkflowNode = plain("As it is.")
    changed: list[str] = plain("What is different: type, name, branches, or fields of its config like config.body.")


@view(DiffRow, description="What is different between two definitions. Where nodes stand does not count.")
class WorkflowDiff:
    """A difference."""

    added: list[WorkflowNode] = plain("Nodes that are new.")
    removed: list[WorkflowNode] = plain("Nodes that are gone.")
    changed: list[WorkflowNodeChange] = plain("Nodes that are not the same.")
    added_edges: list[WorkflowGraphEdge] = plain("Edges that are new.")
    removed_edges: list[WorkflowGraphEdge] = plain("Edges that are gone.")
    settings: list[str] = plain("Which of trigger, reentry, goal and exit are not the same.")


@view(StepRow, description="A node on the way of a dry run.")
class WorkflowDryRunStep:
    """A step."""

    node: WorkflowNode = plain("The node.")
    at: datetime = plain("When it would be reached.")
    branch: str | None = plain("The branch by which it would be left; null for plain edges.")
    reason: str = plain("Why.")
    config: JSON = plain("What it is set to, with the variables put in that are known before a real run.")


@view(DryRunRow, description="Which way a contact would take. Nothing was sent or changed.")
class WorkflowDryRun:
    """A dry run."""

    enters: bool = plain("Whether the trigger would let the contact in.")
    reason: str = plain("Why.")
    steps: list[WorkflowDryRunStep] = plain("The way, in the order of time; empty when they do not come in.")
    problems: list[WorkflowProblem] = plain("What is wrong with the definition; then there is no way.")


def validation_of(problems: Sequence[ProblemRow]) -> WorkflowValidation:
    """The answer to a check."""
    return WorkflowValidation(problems=list(problems))  # type: ignore[arg-type]  # rows flow out
