"""Where the tracked links of a broadcast lead."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model, app_key


class Link(Model):
    """An address that a broadcast leads to, numbered from 1 within it. It never changes: what was sent leads there."""

    __tablename__ = "links"

    broadcast_id: Mapped[UUID] = mapped_column(sa.ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    app_id: Mapped[UUID] = app_key()
    url: Mapped[str]
