"""Labels: made by the team, put on conversations and taken off."""

from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import Conflict
from core.ids import new_id
from domain import checks, facts, idempotency
from domain.conversations import standing
from domain.lookups import own
from domain.pages import Page, PageRequest, page
from domain.principals import Principal
from models.conversations import Conversation, ConversationStatus
from models.facts import FactKind
from models.labels import ConversationLabel, Label

NAME_MOST = 50
LABELS_MOST = 500
ON_ONE_MOST = 20
COUNTED_MOST = 1_000
"""Open conversations of a label are counted up to here: 1000 says that there are 1,000 or more."""


class LabelFields(TypedDict, total=False):
    """What can be said of a label; a key that is absent is left as it is."""

    name: str
    colour: str


def tell(session: AsyncSession, principal: Principal, kind: FactKind, row: Label) -> None:
    """Record that something happened to a label; the one place where that is done."""
    facts.record(session, principal.author, kind, row)


async def create(session: AsyncSession, principal: Principal, fields: LabelFields, key: str | None = None) -> Label:
    """A new label; it needs a name and a colour.

    Raises:
        Invalid: a field breaks its rule.
        Conflict: the app has a label of this name, or 500 labels already.
        IdempotencyKeyReused: `key` came before with another input.
    """
    row = Label(id=new_id(), app_id=principal.app_id)
    _fill(row, fields)
    request = {"label": {"name": row.name, "colour": row.colour}}
    if before := await idempotency.claim(session, principal.app_id, key, request, row.id):
        return await get(session, principal.app_id, before)
    held = sa.select(sa.func.count()).where(Label.app_id == principal.app_id)
    if (await session.scalar(held) or 0) >= LABELS_MOST:
        raise Conflict(f"An app has {LABELS_MOST} labels at most.")
    session.add(row)
    tell(session, principal, FactKind.LABEL_CREATED, row)
    await _flush(session)
    return row


async def update(session: AsyncSession, principal: Principal, label_id: UUID, fields: LabelFields) -> Label:
    """Rename or recolour a label. It stays where it is.

    Raises:
        NotFound: no such label in this app.
        Invalid, Conflict: as in `create`.
    """
    row = await get(session, principal.app_id, label_id, lock=True)
    _fill(row, fields)
    tell(session, principal, FactKind.LABEL_UPDATED, row)
    await _flush(session)
    return row


async def delete(session: AsyncSession, principal: Principal, label_id: UUID) -> Label:
    """Delete a label; it goes from all conversations.

    Raises:
        NotFound: no such label in this app.
    """
    row = await get(session, principal.app_id, label_id, lock=True)
    await session.delete(row)
    tell(session, principal, FactKind.LABEL_DELETED, row)
    await session.flush()
    return row


def _fill(row: Label, fields: LabelFields) -> None:
    if "name" in fields:
        row.name = checks.text(fields["name"], "name", most=NAME_MOST)
    if "colour" in fields:
        row.colour = checks.colour(fields["colour"], "colour")


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict("Another label of this app has this name.", field="name") from None


async def get(session: AsyncSession, app_id: UUID, label_id: UUID, *, lock: bool = False, field: str = "id") -> Label:
    """One label of the app; `field` is where its id came from.

    Raises:
        NotFound: it has no such label.
    """
    return await own(session, Label, app_id, label_id, "label", lock=lock, field=field)


async def listed(session: AsyncSession, app_id: UUID, request: PageRequest) -> Page[Label]:
    """The labels of an app, oldest first."""
    return await page(session, sa.select(Label).where(Label.app_id == app_id), Label.id, request)


async def put_on(session: AsyncSession, principal: Principal, conversation_id: UUID, label_id: UUID) -> Conversation:
    """Put a label on a conversation; twice is the same.

    Raises:
        NotFound: no such conversation or label in this app.
        Conflict: the conversation has 20 labels already.
    """
    conversation = await standing.get(session, principal.app_id, conversation_id, lock=True, field="conversationId")
    label = await get(session, principal.app_id, label_id, field="labelId")
    on_it = sa.select(ConversationLabel.label_id).where(ConversationLabel.conversation_id == conversation.id)
    held = set(await session.scalars(on_it))
    if label.id in held:
        return conversation
    if len(held) >= ON_ONE_MOST:
        raise Conflict(f"A conversation has {ON_ONE_MOST} labels at most.", field="labelId")
    listed = {"status": conversation.status, "last_activity_at": conversation.last_activity_at}
    ids = {"conversation_id": conversation.id, "label_id": label.id, "app_id": label.app_id}
    await session.execute(insert(ConversationLabel).values(ids | listed).on_conflict_do_nothing())
    await _relabelled(session, principal, FactKind.CONVERSATION_LABELLED, conversation, label.id)
    return conversation


async def take_off(session: AsyncSession, principal: Principal, conversation_id: UUID, label_id: UUID) -> Conversation:
    """Take a label off a conversation; twice is the same.

    Raises:
        NotFound: no such conversation or label in this app.
    """
    conversation = await standing.get(session, principal.app_id, conversation_id, lock=True, field="conversationId")
    label = await get(session, principal.app_id, label_id, field="labelId")
    this = (ConversationLabel.conversation_id == conversation.id, ConversationLabel.label_id == label.id)
    if await session.scalar(sa.delete(ConversationLabel).where(*this).returning(ConversationLabel.label_id)):
        await _relabelled(session, principal, FactKind.CONVERSATION_UNLABELLED, conversation, label.id)
    return conversation


async def _relabelled(
    session: AsyncSession, principal: Principal, kind: FactKind, conversation: Conversation, label_id: UUID
) -> None:
    conversation.version += 1
    standing.tell(session, principal.author, kind, conversation, labelId=str(label_id))
    await session.flush()


async def of_conversations(session: AsyncSession, ids: Sequence[UUID]) -> list[tuple[UUID, Label]]:
    """The labels on some conversations, by the order of their names."""
    on_them = ConversationLabel.conversation_id.in_(ids)
    rows = sa.select(ConversationLabel.conversation_id, Label).join(Label, Label.id == ConversationLabel.label_id)
    found = await session.execute(rows.where(on_them).order_by(sa.func.lower(Label.name)))
    return [(conversation_id, label) for conversation_id, label in found]


async def open_counts(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many open conversations have each of some labels, 1,000 at most."""
    wanted = sa.func.unnest(sa.cast(ids, sa.ARRAY(sa.UUID))).table_valued("id").render_derived(name="wanted")
    on_it = sa.select(sa.literal(1)).where(
        ConversationLabel.label_id == wanted.c.id, ConversationLabel.status == ConversationStatus.OPEN
    )
    some = on_it.limit(COUNTED_MOST).correlate(wanted).subquery()
    rows = sa.select(wanted.c.id, sa.select(sa.func.count()).select_from(some).scalar_subquery())
    return dict((await session.execute(rows)).all())
