"""Automations: workflows, said shortly."""

import strawberry

from core.database import transaction
from domain.features import Feature
from domain.permissions import Permission
from domain.workflows import automations
from domain.workflows.automations import Automation
from schema.context import Info
from schema.mutations import mutation
from schema.workflows.automations import CreateAutomationInput
from schema.workflows.inputs import WorkflowVersionPayload


@strawberry.type
class Mutation:
    """Make automations."""

    @mutation(
        Permission.EDIT_WORKFLOWS,
        WorkflowVersionPayload,
        "Make a workflow that does some actions one after the other.",
        feature=Feature.WORKFLOW_BUILDER,
    )
    async def create_automation(self, info: Info, input: CreateAutomationInput) -> Automation:
        """Create."""
        definition, asker = input.definition(), info.context.asker()
        async with transaction() as session:
            return await automations.create(
                session, asker, input.name, definition, activate=input.activate, key=input.idempotency_key
            )
