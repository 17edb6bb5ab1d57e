"""The edges between nouns, a line each: every loader answers all keys of one level in one statement."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute
from strawberry.dataloader import DataLoader

from core.database import transaction
from domain.broadcasts import progress
from domain.broadcasts.progress import Stats
from models.apps import App
from models.base import Record
from models.broadcasts import Broadcast
from models.contacts import Contact
from models.devices import Device
from models.team import AdminUser

R = TypeVar("R", bound=Record)


def _by_id(kind: type[R]) -> DataLoader[UUID, R | None]:
    """The row with an id, or None when it is gone."""

    async def load(ids: list[UUID]) -> list[R | None]:
        async with transaction() as session:
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


class Loaders:
    """All edges, made anew for each operation."""

    def __init__(self) -> None:
        self.app = _by_id(App)
        self.user = _by_id(AdminUser)
        self.contact = _by_id(Contact)
        self.device = _by_id(Device)
        self.devices_of_contact = _of(Device, Device.contact_id)
        self.broadcast_stats = DataLoader(_broadcast_stats)
