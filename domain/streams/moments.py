"""What a follower is told: an event, the state as it stands, or that they must read it anew; each at a place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from core.clock import now
from core.errors import Invalid
from domain.pages import decode_cursor, encode_cursor
from models.streams import StreamEvent

HINT = "{field} is not a cursor of this subscription; take one from an event, or leave it out and begin anew."


@dataclass(frozen=True)
class Resync:
    """What was missed cannot be told: read the state anew; the events after it follow."""

    stream_id: int
    seq: int
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True)
class Snapshot:
    """The state, read when the event with this number had happened; what follows may be in it already."""

    stream_id: int
    seq: int
    rows: Sequence[Any]
    created_at: datetime = field(default_factory=now)


Moment = StreamEvent | Resync | Snapshot


class Place(NamedTuple):
    """Behind which event somebody stands; `stream_id` is 0 when the stream had had none."""

    stream_id: int
    seq: int


def cursor_of(moment: Moment) -> str:
    """The place of a moment, opaque. It says which stream, so that it is of no use in another one."""
    return encode_cursor(moment.stream_id, moment.seq)


def place_of(cursor: str, name: str = "after") -> Place:
    """The place that a cursor stands for; `name` is where it came from.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        place = Place(*decode_cursor(cursor, (sa.BigInteger(), sa.BigInteger()), name))
    except Invalid:
        place = Place(-1, -1)
    if min(place) < 0 or max(place).bit_length() > 62:
        raise Invalid(HINT.format(field=name), field=name)
    return place
