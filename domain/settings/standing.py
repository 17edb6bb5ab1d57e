"""The settings of an app as they stand, and telling that they have changed.

They are columns of the app. Some are changed elsewhere (sending limits, rate limits, assignment, the second factor);
all who change one call `tell`, so that the version grows, and who watches learns it.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import NotFound
from domain import facts
from domain.audit import entries
from domain.principals import Author
from models.apps import App
from models.facts import FactKind


def stream(app_id: UUID) -> str:
    """The event stream of what happens to the settings of an app."""
    return f"settings:{app_id}"


async def get(session: AsyncSession, app_id: UUID, *, lock: bool = False) -> App:
    """The app, which has its settings; locked, nobody else changes them until the transaction ends.

    Raises:
        NotFound: it is gone.
    """
    own = sa.select(App).where(App.id == app_id)
    row: App | None = await session.scalar(own.with_for_update(key_share=True) if lock else own)
    if row is None:
        raise NotFound("There is no such app.")
    return row


def tell(session: AsyncSession, author: Author, row: App) -> None:
    """Record that settings of an app have changed; the one place where that is done.

    To be called on a locked row, before the change is flushed.
    """
    change = entries.change_of(session, row)
    row.version += 1
    facts.record(session, author, FactKind.APP_UPDATED, row, change=change, streams=[stream(row.id)])
