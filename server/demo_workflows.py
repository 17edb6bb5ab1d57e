"""The workflows of the demo: one that welcomes whoever signs up, with some people in it, and a draft."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain import events
from domain.events import EventFields
from domain.principals import Principal
from domain.workflows import drafts, versions

SIGNED_UP = 12
ONBOARDING: dict[str, Any] = {
    "trigger": {"type": "event", "event_name": "user_signup"},
    "nodes": [
        {
            "id": "welcome",
            "type": "send_message",
            "config": {
                "title": "Welcome",
                "body": 'Good to have you, {{ contact.firstName | default: "you there" }}.',
                "data": {"screen": "onboarding"},
            },
            "position": {"x": 0, "y": 0},
        },
        {
            "id": "first_steps",
            "type": "wait_for_event",
            "config": {"event_name": "project_created", "timeout": "10m"},
            "branches": {"received": "active", "timeout": "remind"},
            "position": {"x": 0, "y": 120},
        },
        {"id": "active", "type": "add_tag", "config": {"tag": "active"}, "position": {"x": -160, "y": 240}},
        {
            "id": "remind",
            "type": "send_message",
            "config": {"title": "A first project", "body": "It takes a minute. Shall we help?"},
            "position": {"x": 160, "y": 240},
        },
    ],
    "edges": [{"from": "welcome", "to": "first_steps"}],
    "goal": {"event_name": "upgraded", "within": "30d"},
}
WINBACK: dict[str, Any] = {
    "trigger": {"type": "event", "event_name": "user_inactive_30d"},
    "nodes": [
        {"id": "miss", "type": "send_message", "config": {"body": "We miss you. Here is a fifth off."}},
        {"id": "pause", "type": "wait", "config": {"duration": "3d"}},
        {
            "id": "back",
            "type": "condition",
            "config": {"field": "last_active", "operator": "gt", "value": "now() - 7d"},
        },
    ],
    "edges": [{"from": "miss", "to": "pause"}, {"from": "pause", "to": "back"}],
}


async def add_workflows(session: AsyncSession, owner: Principal, contact_ids: Sequence[UUID]) -> None:
    """Draw both, let the first one in, and have some people sign up: workers welcome them when they start."""
    onboarding = await drafts.create(session, owner, {"name": "Onboarding", "definition": ONBOARDING})
    await versions.activate(session, owner, onboarding.id)
    await drafts.create(session, owner, {"name": "Winback 30 days", "definition": WINBACK})
    await events.track_all(session, owner, [_signed_up(id_) for id_ in contact_ids[:SIGNED_UP]])


def _signed_up(contact_id: UUID) -> EventFields:
    return EventFields(
        contact_id=contact_id, user_id=None, name="user_signup", properties=None, occurred_at=None, key=None
    )
