"""What comes in for workflows, and what mutations answer."""

from typing import Any

import strawberry
from strawberry.scalars import JSON

from domain.workflows.definition import Reentry
from domain.workflows.goals import Goal
from schema.mutations import Payload
from schema.segments import SegmentConditionInput
from schema.views import idempotency_field, optional, plain
from schema.workflows.configs import WorkflowNodeConfigInput, WorkflowTriggerInput, chosen, input_of, tree
from schema.workflows.types import Workflow, WorkflowProblem, WorkflowVersion

WorkflowGoalInput = input_of(Goal)


@strawberry.input(description="Where a node stands in a visual builder.")
class WorkflowPositionInput:
    """A place."""

    x: float = plain("To the right; a million at most, on either side of 0.")
    y: float = plain("Down; as x.")


@strawberry.input(description="Where a branch of a node leads.")
class WorkflowBranchInput:
    """A branch."""

    name: str = plain("What came of the node, such as true, timeout or failed.")
    to: str | None = optional("The id of the node that it leads to; left out where the way ends.")


@strawberry.input(description="A step.")
class WorkflowNodeInput:
    """A node."""

    id: str = plain("Unique in the definition: 1 to 64 letters, digits, _ or -.")
    config: WorkflowNodeConfigInput = plain("What it does, and how.")  # type: ignore[valid-type]
    branches: list[WorkflowBranchInput] = strawberry.field(
        default_factory=list, description="Where it leads, depending on what came of it: 10 at most."
    )
    name: str | None = optional("What people call it: to 100 characters.")
    position: WorkflowPositionInput | None = optional("Where it stands in the builder.")

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        type_, config = chosen(self.config)
        branches = {one.name: one.to for one in self.branches}
        place = {"x": self.position.x, "y": self.position.y} if self.position else None
        rest = {"branches": branches, "name": self.name, "position": place}
        return {"id": self.id, "type": type_, "config": config, **{name: one for name, one in rest.items() if one}}


@strawberry.input(description="What comes after what, whatever came of it.")
class WorkflowGraphEdgeInput:
    """An edge."""

    source: str = strawberry.field(name="from", description="The id of the node that it leaves.")
    target: str = strawberry.field(name="to", description="The id of the node that it leads to.")

    def tree(self) -> dict[str, str]:
        """As JSON."""
        return {"from": self.source, "to": self.target}


@strawberry.input(description="What a workflow does.")
class WorkflowGraphInput:
    """A definition."""

    trigger: WorkflowTriggerInput | None = optional("What lets contacts in.")  # type: ignore[valid-type]
    nodes: list[WorkflowNodeInput] = plain("The steps: 200 at most.")
    edges: list[WorkflowGraphEdgeInput] = strawberry.field(
        default_factory=list, description="What comes after what: 1000 at most. Several that leave a node are followed."
    )
    reentry: Reentry = strawberry.field(default=Reentry.AFTER_END, description="Whether contacts may come in again.")
    goal: WorkflowGoalInput | None = optional("The event that counts as success; it ends the run.")  # type: ignore[valid-type]
    exit: SegmentConditionInput | None = optional("Who fits this condition before a step leaves.")

    def tree(self) -> dict[str, Any]:
        """As JSON."""
        type_, trigger = chosen(self.trigger) if self.trigger else (None, {})
        rest = {"goal": tree(self.goal), "exit": tree(self.exit)}
        return {
            **({"trigger": {"type": type_, **trigger}} if type_ else {}),
            "nodes": tree(self.nodes),
            "edges": tree(self.edges),
            "reentry": self.reentry.value,
            **{name: one for name, one in rest.items() if one is not None},
        }


@strawberry.input(one_of=True, description="What a workflow does, in either form. It may be incomplete.")
class WorkflowDefinitionInput:
    """A definition."""

    graph: strawberry.Maybe[WorkflowGraphInput] = plain("Typed.")
    json: strawberry.Maybe[JSON] = plain(
        "As JSON in the form of the visual builder, as `definitionJson` shows it:"
        ' {"trigger": {"type": "event", "event_name": "…"}, "nodes": [{"id", "type", "config", "branches"}],'
        ' "edges": [{"from", "to"}]}.'
    )

    def tree(self) -> Any:
        """As JSON, which `domain.workflows.definition.parse` reads."""
        if self.graph:
            return self.graph.value.tree()
        return self.json.value if self.json else None


@strawberry.input(description="A new workflow.")
class CreateWorkflowInput:
    """A new workflow."""

    name: str = plain("1 to 100 characters.")
    description: str | None = optional("What it is for; to 500 characters.")
    definition: WorkflowDefinitionInput | None = optional("What it does; nothing yet, when left out.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(description="Changes of the draft of a workflow. What is left out stays; so does what is published.")
class UpdateWorkflowInput:
    """Changes of a workflow."""

    id: strawberry.ID = plain("The workflow.")
    name: strawberry.Maybe[str] = plain("1 to 100 characters.")
    description: strawberry.Maybe[str | None] = plain("To 500 characters; null clears.")
    definition: strawberry.Maybe[WorkflowDefinitionInput] = plain("What it does, all of it.")
    expected_version: int | None = optional("Refuse when `version` is another: somebody else has changed it.")


@strawberry.input(description="A workflow.")
class WorkflowInput:
    """A workflow."""

    id: strawberry.ID = plain("The workflow.")


@strawberry.input(description="Which workflow is to let contacts in, and by which version.")
class ActivateWorkflowInput:
    """A workflow and a version."""

    id: strawberry.ID = plain("The workflow.")
    number: int | None = optional("Of the version; the newest, when left out: the draft when nothing is published.")


@strawberry.input(description="Which workflow to copy.")
class DuplicateWorkflowInput:
    """A workflow."""

    id: strawberry.ID = plain("The workflow.")
    name: str | None = optional("What the copy is called; `Copy of …`, when left out.")


@strawberry.input(description="A workflow from elsewhere.")
class ImportWorkflowInput:
    """A document."""

    document: JSON = plain("What `exportWorkflow` has given.")
    idempotency_key: str | None = idempotency_field()


@strawberry.input(one_of=True, description="What to check: a draft, or a definition that is not saved.")
class WorkflowValidationInput:
    """What to check."""

    workflow_id: strawberry.Maybe[strawberry.ID] = plain("The workflow whose draft is checked.")
    definition: strawberry.Maybe[WorkflowDefinitionInput] = plain("A definition.")


@strawberry.input(description="The branch by which a node is left in a dry run.")
class WorkflowOutcomeInput:
    """A choice."""

    node_id: str = plain("The id of the node.")
    branch: str = plain("One of its branches, such as received or failed.")


@strawberry.type(description="The workflow made or changed.")
class WorkflowPayload(Payload):
    """A workflow."""

    workflow: Workflow | None = plain("The workflow.")


@strawberry.type(description="The workflow and its version, or what is wrong with it.")
class WorkflowVersionPayload(Payload):
    """A workflow and a version."""

    workflow: Workflow | None = plain("The workflow.")
    version: WorkflowVersion | None = plain("The version by which contacts come in; null for a draft.")
    problems: list[WorkflowProblem] | None = plain(
        "What is wrong, in the order of the nodes; then nothing was changed."
    )


@strawberry.type(description="What was deleted.")
class DeleteWorkflowPayload(Payload):
    """The deleted workflow's id."""

    deleted_workflow_id: strawberry.ID | None = plain("Its id.")
