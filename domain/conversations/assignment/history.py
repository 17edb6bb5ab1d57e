"""Who had a conversation before, and why it changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain import owned_pages
from domain.pages import Page, PageRequest
from models.assignment import Assignment


async def pages(
    session: AsyncSession, asked: Sequence[tuple[UUID, PageRequest]]
) -> dict[tuple[UUID, PageRequest], Page[Assignment]]:
    """A page of the history of each of some conversations, oldest first.

    Raises:
        Invalid: a request cannot be answered.
    """
    return await owned_pages.pages(session, Assignment, Assignment.conversation_id, (Assignment.id,), asked)
