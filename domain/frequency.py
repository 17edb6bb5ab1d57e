"""Frequency caps: a contact gets at most so many messages in so many hours, by whatever channel.

A sender reserves what it is about to send, in the transaction of the intent, and releases what came to nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from models.apps import App
from models.channels import ChannelKind
from models.contacts import Contact
from models.frequency_marks import FrequencyMark

Asked = tuple[UUID, ChannelKind, str]


async def reserve(session: AsyncSession, app: App, asked: Sequence[Asked], at: datetime) -> set[str]:
    """Count what is to be sent at `at` towards the cap of the app, as far as it goes; two statements.

    Who reserves for the same contact at the same time waits for the end of this transaction.

    Args:
        session: the transaction of the intent; keep it short.
        app: its cap.
        asked: contact, channel, and the identity of the send. One that was reserved before is counted once and passes.
        at: when they are sent.

    Returns:
        The identities that are over the cap, and were not counted.
    """
    if app.frequency_cap_count is None or app.frequency_cap_hours is None or not asked:
        return set()
    named = {key: (contact_id, channel) for contact_id, channel, key in asked}
    held = await _lock(session, app, {contact_id for contact_id, _ in named.values()})
    window = timedelta(hours=app.frequency_cap_hours)
    values = {
        "app_id": app.id,
        "held": held,
        "keys": list(named),
        "contact_ids": [contact_id for contact_id, _ in named.values()],
        "channels": [channel.value for _, channel in named.values()],
        "at": at,
        "since": at - window,
        "expires_at": at + window,
        "most": app.frequency_cap_count,
    }
    return set(await session.scalars(_RESERVE, values))


async def _lock(session: AsyncSession, app: App, contact_ids: Collection[UUID]) -> list[UUID]:
    """The contacts that there are, locked in one order, so that nobody waits in a circle."""
    own = sa.select(Contact.id).where(Contact.app_id == app.id, Contact.id.in_(contact_ids))
    return list(await session.scalars(own.order_by(Contact.id).with_for_update(key_share=True)))


async def release(session: AsyncSession, app_id: UUID, keys: Sequence[str]) -> None:
    """Count no more what was reserved and not sent."""
    if not keys:
        return
    gone = sa.delete(FrequencyMark).where(FrequencyMark.app_id == app_id, FrequencyMark.key.in_(keys))
    await session.execute(gone.execution_options(synchronize_session=False))


_APP = sa.bindparam("app_id", type_=sa.UUID())
_INSTANTS = {name: sa.bindparam(name, type_=sa.TIMESTAMP(timezone=True)) for name in ("at", "since", "expires_at")}


def _reserve() -> sa.Select[str]:
    """Marks what is under the cap and gives the keys of what is over it, while the contacts are locked."""
    most = sa.bindparam("most", type_=sa.Integer())
    fresh = _fresh().cte("fresh")
    rest = (_APP, _INSTANTS["at"], _INSTANTS["expires_at"])
    passing = sa.select(fresh.c.key, fresh.c.contact_id, fresh.c.channel, *rest).where(fresh.c.rank <= most)
    columns = ["key", "contact_id", "channel", "app_id", "at", "expires_at"]
    put = sa.insert(FrequencyMark).from_select(columns, passing)
    return sa.select(fresh.c.key).where(fresh.c.rank > most).add_cte(put.cte("put"))


def _fresh() -> sa.Select[Any]:
    """What is asked and not reserved yet; `rank` is how many messages the contact has in the window with this one."""
    arrays = (
        sa.bindparam("keys", type_=ARRAY(sa.Text())),
        sa.bindparam("contact_ids", type_=ARRAY(sa.UUID())),
        sa.bindparam("channels", type_=ARRAY(sa.Text())),
    )
    names = (sa.column("key", sa.Text()), sa.column("contact_id", sa.UUID()), sa.column("channel", sa.Text()))
    asked = sa.func.unnest(*arrays).table_valued(*names, with_ordinality="no").render_derived(name="asked")
    turn = sa.func.row_number().over(partition_by=asked.c.contact_id, order_by=asked.c.no)
    mark = sa.select(FrequencyMark.key).where(FrequencyMark.app_id == _APP, FrequencyMark.key == asked.c.key)
    known = mark.offset(0).exists()  # a look at one row by its key, see `domain.opt_outs`
    held = asked.c.contact_id == sa.any_(sa.bindparam("held", type_=ARRAY(sa.UUID())))
    rank = (_marks_of(asked.c.contact_id) + turn).label("rank")
    return sa.select(asked.c.key, asked.c.contact_id, asked.c.channel, rank).where(~known, held)


def _marks_of(contact_id: sa.ColumnElement[UUID]) -> sa.ScalarSelect[int]:
    marks = sa.select(sa.func.count()).where(
        FrequencyMark.app_id == _APP,
        FrequencyMark.contact_id == contact_id,
        FrequencyMark.at > _INSTANTS["since"],
    )
    return marks.scalar_subquery()


_RESERVE = _reserve()
