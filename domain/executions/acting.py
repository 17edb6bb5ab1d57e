"""What a node acts in: the contact, what has come up in the execution so far, and the variables that stand for it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import templates
from domain.conversations.standing import ACTIVE
from domain.executions.plans import Plan
from domain.principals import Principal
from domain.segments import evaluating, previews
from domain.segments.conditions import Condition, Field
from domain.templates import Scalar, Value
from domain.workflows.nodes.acts import Awaited, Json
from models.apps import App
from models.contacts import Contact
from models.conversations import Conversation
from models.events import Event
from models.executions import StepStatus, WorkflowExecution, WorkflowStep


@dataclass(frozen=True)
class Scene:
    """One step of one execution, at its moment.

    Attributes:
        known: what has come up: `event`, `message`, `steps`.
        values: what variables stand for.
    """

    session: AsyncSession
    app: App
    contact: Contact
    execution: WorkflowExecution
    step: WorkflowStep
    at: datetime
    known: Json
    values: Mapping[str, Value]

    @property
    def contact_id(self) -> UUID:
        """Who reaches the node."""
        return self.contact.id

    @property
    def time_zone(self) -> str | None:
        """Where they live."""
        return self.contact.time_zone

    @property
    def salt(self) -> str:
        """Tells this node of this workflow from all others, as in dry runs."""
        return f"{self.execution.workflow_id}:{self.step.node_id}"

    @property
    def principal(self) -> Principal:
        """The workflow, as who does something. It may do what its nodes do; nobody asks for permissions here."""
        return Principal(self.execution.app_id, frozenset(), self.at, workflow_id=self.execution.workflow_id)

    async def holds(self, condition: Condition) -> bool:
        """Whether a condition on the contact holds."""
        return await previews.fits(self.session, self.execution.app_id, self.contact.id, condition, self.at)

    def compares(self, comparison: Field) -> bool:
        """Whether a comparison of what has come up holds."""
        return evaluating.fit([comparison], SimpleNamespace(properties=self.known), self.at)

    def render(self, text: str, escape: Callable[[str], str] = str) -> str:
        """A text with its variables put in.

        Raises:
            MissingValue: a variable has no value and no default.
        """
        return templates.compile(text, "config").render(self.values, escape)

    def filled(self, json: Any) -> Any:
        """JSON whose texts have their variables put in. Raises as `render`."""
        if isinstance(json, dict):
            return {name: self.filled(one) for name, one in json.items()}
        if isinstance(json, list):
            return [self.filled(one) for one in json]
        return self.render(json) if isinstance(json, str) else json

    async def happened(self, awaited: Awaited) -> Json | None:
        """The outputs of an event that was told since the step was reached; None when none was."""
        rows = sa.select(Event).where(
            Event.app_id == self.execution.app_id,
            Event.contact_id == self.contact.id,
            Event.name == awaited.event_name,
            Event.created_at >= self.step.created_at,
        )
        events = await self.session.scalars(rows.order_by(Event.created_at))
        fitting = (event for event in events if evaluating.fit(awaited.properties, event, self.at))
        return next((outputs_of(event) for event in fitting), None)

    async def open_conversations(self) -> list[UUID]:
        """The contact's conversations that are neither resolved nor spam, in one order."""
        own = sa.select(Conversation.id).where(
            Conversation.app_id == self.execution.app_id,
            Conversation.contact_id == self.contact.id,
            Conversation.status.in_(ACTIVE),
        )
        return list(await self.session.scalars(own.order_by(Conversation.id)))


def outputs_of(event: Event) -> Json:
    """What later nodes may say of an event that was waited for."""
    return {"properties": event.properties, "occurredAt": event.occurred_at.isoformat()}


async def scene(
    session: AsyncSession, execution: WorkflowExecution, step: WorkflowStep, contact: Contact, plan: Plan, at: datetime
) -> Scene:
    """What a step acts in."""
    app = await session.get_one(App, execution.app_id)
    steps = await _outputs(session, execution) if step.node_id in plan.reads_steps else {}
    known: Json = {**execution.context, "steps": {id_: {"output": output} for id_, output in steps.items()}}
    values = {**_own(execution, contact, app), **dict(_flat(known))}
    return Scene(session, app, contact, execution, step, at, known, values)


async def _outputs(session: AsyncSession, execution: WorkflowExecution) -> dict[str, Json]:
    own = sa.select(WorkflowStep.node_id, WorkflowStep.output).where(
        WorkflowStep.app_id == execution.app_id,
        WorkflowStep.execution_id == execution.id,
        WorkflowStep.status == StepStatus.COMPLETED,
    )
    return {node_id: output or {} for node_id, output in await session.execute(own)}


def _own(execution: WorkflowExecution, contact: Contact, app: App) -> dict[str, Value]:
    return {
        **templates.values_of(contact, app_name=app.name, platform=""),
        "user_id": contact.external_id,
        "contact_id": str(contact.id),
        "workflow_id": str(execution.workflow_id),
        "execution_id": str(execution.id),
    }


def _flat(json: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Value]]:
    """The single values in JSON by their dotted paths. Lists are none."""
    for name, value in json.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        elif isinstance(value, Scalar):
            yield f"{path}{name}", value
