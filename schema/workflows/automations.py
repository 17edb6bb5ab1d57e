"""Automations: the short form of a workflow."""

from typing import Any

import strawberry

from domain.workflows import automations
from domain.workflows.automations import Part
from schema.views import idempotency_field, optional, plain
from schema.workflows.configs import WorkflowNodeConfigInput, WorkflowTriggerInput, chosen, tree
from schema.workflows.inputs import WorkflowGoalInput


@strawberry.input(description="Something happens, then some actions are done in order: a workflow, said shortly.")
class CreateAutomationInput:
    """A rule."""

    name: str = plain("What the workflow is called: 1 to 100 characters.")
    trigger: WorkflowTriggerInput = plain("What lets contacts in, and whom.")  # type: ignore[valid-type]
    actions: list[WorkflowNodeConfigInput] = plain(  # type: ignore[valid-type]
        "What is done, in this order: 1 to 200. Waits are actions too; what leads to several ways is not."
    )
    goal: WorkflowGoalInput | None = optional("The event that counts as success; it ends the run.")  # type: ignore[valid-type]
    activate: bool = strawberry.field(default=False, description="Let contacts in at once; else it is a draft.")
    idempotency_key: str | None = idempotency_field()

    def definition(self) -> dict[str, Any]:
        """The workflow that it is.

        Raises:
            Invalid: there are no actions or too many, or one leads to several ways.
        """
        actions = [Part(*chosen(one)) for one in self.actions]
        return automations.chain(Part(*chosen(self.trigger)), actions, tree(self.goal))
