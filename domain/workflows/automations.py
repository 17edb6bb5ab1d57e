"""Automations: the short form of a workflow. Something happens, then some actions are done in order."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Invalid
from domain.principals import Principal
from domain.workflows import drafts, versions
from domain.workflows.definition import NODES_MOST
from domain.workflows.drafts import WorkflowFields
from domain.workflows.nodes.table import KINDS
from models.workflows import Workflow, WorkflowStatus, WorkflowVersion


class Part(NamedTuple):
    """A trigger or an action: its kind as definitions write it, and how it is set."""

    type: str
    config: Mapping[str, Any]


class Automation(NamedTuple):
    """A workflow that has been made; no version unless it was activated, no problems, else it would not be there."""

    workflow: Workflow
    version: WorkflowVersion | None = None
    problems: tuple[()] = ()


def chain(trigger: Part, actions: Sequence[Part], goal: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The definition that does some actions one after the other.

    Raises:
        Invalid: there are none or too many, or one leads to several ways.
    """
    if not 1 <= len(actions) <= NODES_MOST:
        raise Invalid(f"Give 1 to {NODES_MOST} actions.", field="actions")
    ids = [f"action_{no}" for no in range(1, len(actions) + 1)]
    nodes = [_node(id_, one, f"actions.{no}") for no, (id_, one) in enumerate(zip(ids, actions, strict=True))]
    edges = [{"from": one, "to": next_} for one, next_ in pairwise(ids)]
    return {
        "trigger": {"type": trigger.type, **trigger.config},
        "nodes": nodes,
        "edges": edges,
        **({"goal": goal} if goal else {}),
    }


def _node(id_: str, action: Part, field: str) -> dict[str, Any]:
    if not KINDS[action.type].plain:
        raise Invalid(
            f"{field} is {action.type}, which leads to several ways; draw it with createWorkflow.", field=field
        )
    return {"id": id_, "type": action.type, "config": dict(action.config)}


async def create(
    session: AsyncSession,
    principal: Principal,
    name: str,
    definition: Mapping[str, Any],
    *,
    activate: bool,
    key: str | None = None,
) -> Automation:
    """A new workflow that does what `chain` has made of it. It lets contacts in at once when it is to be activated.

    Raises:
        Unpublishable: it is to be activated, and something is wrong with it; then there is no workflow either.
        Invalid, Conflict, IdempotencyKeyReused: as `drafts.create`.
    """
    row = await drafts.create(session, principal, WorkflowFields(name=name, definition=definition), key)
    # the same request may come a second time, when it has been activated, and maybe paused since
    if not activate or row.status is not WorkflowStatus.DRAFT:
        return Automation(row)
    return Automation(row, (await versions.activate(session, principal, row.id)).version)
