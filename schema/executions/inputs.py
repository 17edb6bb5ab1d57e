"""What comes in for executions, and what mutations answer."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from core.ids import parse_id, parse_optional_id
from domain.executions.queries import Filter
from domain.executions.starting import Start
from models.executions import ExecutionStatus
from schema.executions.types import WorkflowExecution
from schema.mutations import Payload
from schema.views import idempotency_field, optional, plain
from schema.workflows.types import Workflow


@strawberry.input(description="Which executions: those for which all holds that is given.")
class WorkflowExecutionFilterInput:
    """A filter."""

    status: ExecutionStatus | None = optional("In this status.")
    contact_id: strawberry.ID | None = optional("Of this contact.")
    node_id: str | None = optional("That are at this node now.")
    since: datetime | None = optional("That began then or later.")
    until: datetime | None = optional("That began before.")


def filter_of(given: WorkflowExecutionFilterInput | None) -> Filter:
    """The filter as the rules take it."""
    if given is None:
        return Filter()
    contact_id = parse_optional_id(given.contact_id, "filter.contactId")
    return Filter(given.status, contact_id, given.node_id, given.since, given.until)


@strawberry.input(description="An execution.")
class WorkflowExecutionInput:
    """An execution."""

    id: strawberry.ID = plain("The execution.")


@strawberry.input(description="Whose executions are cancelled.")
class CancelWorkflowExecutionsInput:
    """A workflow."""

    workflow_id: strawberry.ID = plain("The workflow.")


@strawberry.input(description="For whom a workflow is started.")
class StartWorkflowInput:
    """A workflow and a contact."""

    workflow_id: strawberry.ID = plain("The workflow: ACTIVE, with the trigger `manual`.")
    contact_id: strawberry.ID | None = optional("The contact.")
    user_id: str | None = optional("The contact by the app's own user id; instead of contactId.")
    properties: JSON | None = optional(
        "An object, 8 KiB at most; texts of the workflow name them as {{ event.properties.<key> }}."
    )
    idempotency_key: str | None = idempotency_field()

    def asked(self) -> Start:
        """The start as the rules take it."""
        properties: Any = self.properties
        return Start(
            workflow_id=parse_id(self.workflow_id, "workflowId"),
            contact_id=parse_optional_id(self.contact_id, "contactId"),
            user_id=self.user_id,
            properties=properties,
            key=self.idempotency_key,
        )


@strawberry.type(description="The execution started or changed.")
class WorkflowExecutionPayload(Payload):
    """An execution."""

    execution: WorkflowExecution | None = plain("The execution.")


@strawberry.type(description="The workflow whose executions are cancelled.")
class CancelWorkflowExecutionsPayload(Payload):
    """A workflow."""

    workflow: Workflow | None = plain("The workflow; `stats.running` falls as they end.")
