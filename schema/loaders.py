"""The edges between nouns, a line each: every loader answers all keys of one level in one statement."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute
from strawberry.dataloader import DataLoader

from core.database import transaction
from domain import labels
from domain.attachments import queries as attachments
from domain.broadcasts import progress, recipients
from domain.broadcasts.progress import Stats
from domain.broadcasts.recipients import Ranges
from domain.conversations import counting, reads
from domain.conversations.assignment import agents, history
from domain.conversations.assignment.agents import Load
from domain.conversations.counting import Counts
from domain.executions import analytics, queries
from domain.messages import listing
from domain.notifications import own as notifications
from domain.pages import Page, PageRequest
from domain.principals import Principal
from domain.team import members
from models.apps import App
from models.assignment import Assignment
from models.attachments import Attachment
from models.base import Record
from models.broadcasts import Broadcast
from models.contacts import Contact
from models.conversations import Conversation
from models.devices import Device
from models.executions import WorkflowStep
from models.labels import Label
from models.messages import Message, MessageRevision
from models.notifications import Notification
from models.opt_outs import OptOut
from models.team import AdminUser
from models.webhooks import WebhookAttempt, WebhookEvent
from models.workflows import Workflow, WorkflowVersion

R = TypeVar("R", bound=Record)


def _by_id(kind: type[R], *, across_apps: bool = False) -> DataLoader[UUID, R | None]:
    """The row with an id, or None when it is gone."""

    async def load(ids: list[UUID]) -> list[R | None]:
        async with transaction(across_apps=across_apps) as session:
            found = {row.id: row for row in await session.scalars(sa.select(kind).where(kind.id.in_(ids)))}
        return [found.get(id_) for id_ in ids]

    return DataLoader(load)


def _of(kind: type[R], owner: InstrumentedAttribute[UUID]) -> DataLoader[UUID, Sequence[R]]:
    """The rows that belong to an owner, oldest first."""

    async def load(ids: list[UUID]) -> list[Sequence[R]]:
        found: dict[UUID, list[R]] = defaultdict(list)
        async with transaction() as session:
            for row in await session.scalars(sa.select(kind).where(owner.in_(ids)).order_by(kind.id)):
                found[getattr(row, owner.key)].append(row)
        return [found[id_] for id_ in ids]

    return DataLoader(load)


async def _broadcast_stats(broadcasts: list[Broadcast]) -> list[Stats]:
    async with transaction() as session:
        return await progress.stats(session, broadcasts)


async def _conversation_counts(asked: list[tuple[UUID, UUID | None]]) -> list[Counts]:
    async with transaction() as session:
        return [await counting.counts(session, app_id, user_id) for app_id, user_id in asked]


async def _on_their_way(broadcast_ids: list[UUID]) -> list[Ranges]:
    async with transaction() as session:
        found = await recipients.on_their_way(session, broadcast_ids)
    return [found.get(id_, ()) for id_ in broadcast_ids]


async def _have_second_factor(user_ids: list[UUID]) -> list[bool]:
    async with transaction() as session:
        found = await members.with_second_factor(session, user_ids)
    return [id_ in found for id_ in user_ids]


async def _last_active(asked: list[tuple[UUID, UUID]]) -> list[datetime | None]:
    async with transaction() as session:
        found = await members.last_active(session, asked)
    return [found.get(one) for one in asked]


async def _labels(conversation_ids: list[UUID]) -> list[Sequence[Label]]:
    found: dict[UUID, list[Label]] = defaultdict(list)
    async with transaction() as session:
        for conversation_id, label in await labels.of_conversations(session, conversation_ids):
            found[conversation_id].append(label)
    return [found[id_] for id_ in conversation_ids]


async def _open_counts(label_ids: list[UUID]) -> list[int]:
    async with transaction() as session:
        found = await labels.open_counts(session, label_ids)
    return [found[id_] for id_ in label_ids]


async def _unread_counts(asked: list[tuple[UUID, UUID]]) -> list[int]:
    async with transaction() as session:
        found = await reads.unread_counts(session, asked)
    return [found[one] for one in asked]


async def _messages(asked: list[tuple[UUID, PageRequest]]) -> list[Page[Message]]:
    async with transaction() as session:
        found = await listing.pages(session, asked)
    return [found[one] for one in asked]


async def _attachments(message_ids: list[UUID]) -> list[Sequence[Attachment]]:
    async with transaction() as session:
        found = await attachments.of_messages(session, message_ids)
    return [found.get(id_, ()) for id_ in message_ids]


async def _assignments(asked: list[tuple[UUID, PageRequest]]) -> list[Page[Assignment]]:
    async with transaction() as session:
        found = await history.pages(session, asked)
    return [found[one] for one in asked]


async def _loads(members: list[tuple[UUID, UUID]]) -> list[Load]:
    async with transaction() as session:
        found = await agents.loads(session, members)
    return [found.get(one, Load(0, 0)) for one in members]


async def _workflow_stats(workflow_ids: list[UUID]) -> list[analytics.Stats]:
    async with transaction() as session:
        found = await analytics.stats(session, workflow_ids)
    return [found.get(id_, analytics.Stats()) for id_ in workflow_ids]


async def _nodes_of_executions(execution_ids: list[UUID]) -> list[Sequence[str]]:
    async with transaction() as session:
        found = await queries.current_nodes(session, execution_ids)
    return [found.get(id_, ()) for id_ in execution_ids]


async def _unread_notifications(askers: list[Principal]) -> list[int]:
    async with transaction() as session:
        return [await notifications.unread_count(session, asker) for asker in askers]


class Loaders:
    """All edges, made anew for each operation."""

    def __init__(self) -> None:  # noqa: PLR0915  a table, a line each
        # a person's sessions are in several apps, and who made something may have left the team since
        self.app = _by_id(App, across_apps=True)
        self.user = _by_id(AdminUser, across_apps=True)
        self.broadcast = _by_id(Broadcast)
        self.contact = _by_id(Contact)
        self.device = _by_id(Device)
        self.workflow = _by_id(Workflow)
        self.workflow_version = _by_id(WorkflowVersion)
        self.workflow_stats = DataLoader(_workflow_stats)
        self.nodes_of_execution = DataLoader(_nodes_of_executions)
        self.steps_of_execution = _of(WorkflowStep, WorkflowStep.execution_id)
        self.webhook_event = _by_id(WebhookEvent)
        self.attempts_of_delivery = _of(WebhookAttempt, WebhookAttempt.delivery_id)
        self.devices_of_contact = _of(Device, Device.contact_id)
        self.opt_outs_of_contact = _of(OptOut, OptOut.contact_id)
        self.broadcast_stats = DataLoader(_broadcast_stats)
        self.on_their_way = DataLoader(_on_their_way)
        self.has_second_factor = DataLoader(_have_second_factor)
        self.last_active = DataLoader(_last_active)
        self.conversation = _by_id(Conversation)
        self.conversation_counts = DataLoader(_conversation_counts)
        self.message = _by_id(Message)
        self.messages_of_conversation = DataLoader(_messages)
        self.attachments_of_message = DataLoader(_attachments)
        self.revisions_of_message = _of(MessageRevision, MessageRevision.message_id)
        self.assignments_of_conversation = DataLoader(_assignments)
        self.load_of_member = DataLoader(_loads)
        self.labels_of_conversation = DataLoader(_labels)
        self.open_count_of_label = DataLoader(_open_counts)
        self.unread_count = DataLoader(_unread_counts)
        self.notification = _by_id(Notification)
        self.unread_notifications = DataLoader(_unread_notifications)
