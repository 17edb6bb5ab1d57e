"""Rows that are woken when `due_at` has come. It is put off as they are given out, in case the wake-up gets lost."""

from datetime import timedelta

import sqlalchemy as sa

from core.clock import now
from models.broadcasts import Broadcast, BroadcastChunk

WAKE_AGAIN = timedelta(seconds=5)


def give_out(
    model: type[Broadcast] | type[BroadcastChunk],
    *conditions: sa.ColumnElement[bool],
    limit: int,
    again: timedelta = WAKE_AGAIN,
) -> sa.Update:
    """The statement that takes the rows whose time has come, the longest waiting first, and puts them off by `again`.

    Rows that another clock or worker takes at this moment are passed over. Have it return what is needed.
    """
    key = model.__mapper__.primary_key
    waiting = (
        sa.select(*key)
        .where(model.due_at <= now(), *conditions)
        .order_by(model.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    put_off = sa.update(model).where(sa.tuple_(*key).in_(waiting)).values(due_at=now() + again)
    return put_off.execution_options(synchronize_session=False)
