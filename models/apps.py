"""The tenant."""

from sqlalchemy.orm import Mapped

from models.base import Record


class App(Record):
    """A tenant: one product whose users a team talks to."""

    __tablename__ = "apps"

    name: Mapped[str]
