"""The demo's inbox: a few conversations in the states that an inbox knows."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain import labels
from domain.conversations import control
from domain.messages import sending
from domain.messages.writing import Draft, Writer
from domain.principals import Author, Principal
from models.conversations import Priority
from models.messages import AuthorKind

LABELS = {"Bug": "#DC2626", "Billing": "#2563EB", "Praise": "#16A34A"}


@dataclass(frozen=True)
class Talk:
    """What is said: by the contact and by the team in turn; a note; what the team thinks of it."""

    turns: tuple[str, ...]
    label: str | None = None
    note: str | None = None
    priority: Priority = Priority.NONE
    is_resolved: bool = False


TALKS = (
    Talk(("Since the update the editor forgets what I type. Can you help?",), "Bug", priority=Priority.HIGH),
    Talk(
        ("I was charged twice this month.", "I am sorry! Which of your cards was it?", "The one that ends in 4242."),
        "Billing",
        note="Both charges are real; the first subscription was never ended.",
        priority=Priority.URGENT,
    ),
    Talk(
        ("How do I export my data?", "Settings, then Export. It takes a minute."),
    ),
    Talk(("Just wanted to say: I love the new look.", "That makes our day, thank you!"), "Praise", is_resolved=True),
    Talk(("Is there a plan for schools?",)),
)


async def add_conversations(session: AsyncSession, owner: Principal, contact_ids: list[UUID]) -> None:
    """The labels, and a conversation with each of some contacts."""
    made = {
        name: (await labels.create(session, owner, {"name": name, "colour": colour})).id
        for name, colour in LABELS.items()
    }
    for contact_id, talk in zip(contact_ids, TALKS, strict=False):
        id_ = await _hold(session, owner, contact_id, talk)
        if talk.label:
            await labels.put_on(session, owner, id_, made[talk.label])


async def _hold(session: AsyncSession, owner: Principal, contact_id: UUID, talk: Talk) -> UUID:
    writer = Writer(AuthorKind.CONTACT, contact_id, Author(f"contact:{contact_id}"))
    of, (first, *turns) = (owner.app_id, contact_id), talk.turns
    id_ = (await sending.receive(session, writer, of, Draft(first))).conversation_id
    for no, body in enumerate(turns):
        if no % 2:
            await sending.receive(session, writer, of, Draft(body))
        else:
            await sending.send(session, owner, id_, Draft(body))
    if talk.note:
        await sending.note(session, owner, id_, Draft(talk.note))
    await control.prioritise(session, owner, id_, talk.priority)
    if talk.is_resolved:
        await control.resolve(session, owner, id_)
    return id_
