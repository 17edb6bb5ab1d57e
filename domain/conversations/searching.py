"""Conversations by the words of their messages and by their contact. To be called across apps: see decision 7."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import checks
from models.contacts import Contact
from models.conversations import Conversation
from models.messages import Message

SEARCH_MOST = 200
SAMPLED = 500
COMMON = 50
HITS_MOST = 10_000
PEOPLE_MOST = 1_000


async def understood(session: AsyncSession, app_id: UUID, search: str) -> sa.ColumnElement[bool]:
    """The condition that a conversation holds the words, or that its contact has them in a name, address or id.

    Rare words are looked up first, and their conversations are listed. Common ones, of which the app's newest messages
    are full or that stand in 10,000 and more, are looked for the other way round, conversation by conversation in the
    order of the list: a page is full soon.

    Raises:
        Invalid: the search is blank or too long.
    """
    words = checks.text(search, "filter.search", most=SEARCH_MOST)
    by_contact = Conversation.contact_id == sa.any_(sa.cast(await _people(session, app_id, words), sa.ARRAY(sa.UUID)))
    # a word that the planner takes for a common one must not make it read all messages
    await session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    rare = None if await _is_common(session, app_id, words) else await _rare(session, app_id, words)
    if rare is not None:
        return sa.or_(Conversation.id == sa.any_(sa.cast(rare, sa.ARRAY(sa.UUID))), by_contact)
    said = hits(app_id, words).with_only_columns(sa.true()).where(Message.conversation_id == Conversation.id)
    # a look at the conversation's own messages, which a limit keeps from being made a join
    return sa.or_(said.limit(1).correlate(Conversation).scalar_subquery(), by_contact)


def hits(app_id: UUID, words: str) -> sa.Select[UUID]:
    """The conversations of the messages that hold the words."""
    query = sa.func.websearch_to_tsquery(sa.literal_column("'simple'"), words)
    return sa.select(Message.conversation_id).where(Message.app_id == app_id, Message.search.bool_op("@@")(query))


async def _is_common(session: AsyncSession, app_id: UUID, words: str) -> bool:
    """Whether one in ten of the conversations that were active last holds the words."""
    newest = sa.select(Conversation.id).where(Conversation.app_id == app_id)
    newest = newest.order_by(Conversation.last_activity_at.desc(), Conversation.id.desc()).limit(SAMPLED)
    some = newest.subquery()
    said = hits(app_id, words).with_only_columns(sa.true()).where(Message.conversation_id == some.c.id)
    rows = sa.select(some.c.id).where(said.limit(1).correlate(some).scalar_subquery())
    return len((await session.scalars(rows.limit(COMMON))).all()) == COMMON


async def _rare(session: AsyncSession, app_id: UUID, words: str) -> list[UUID] | None:
    """The conversations that hold the words; None when too many messages do."""
    found = list(await session.scalars(hits(app_id, words).limit(HITS_MOST)))
    return list(set(found)) if len(found) < HITS_MOST else None


async def _people(session: AsyncSession, app_id: UUID, words: str) -> list[UUID]:
    """Contacts with the words in them, the newest thousand."""
    theirs = (Contact.app_id == app_id, Contact.search.contains(words.lower(), autoescape=True))
    rows = sa.select(Contact.id).where(*theirs).order_by(Contact.id.desc()).limit(PEOPLE_MOST)
    return list(await session.scalars(rows))
