"""What travels on the bus: ticks, grouped by shard, as JSON `[[topic, data], ...]`; or the word for a gap."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from zlib import crc32

import orjson

from core.config import config

SHARDS = 16
GAP_MESSAGE = "gap"


class Gap(Enum):
    """The type of GAP, so that `item is GAP` narrows."""

    GAP = "gap"


GAP: Final = Gap.GAP
"""Delivered to a subscriber when something may have been missed: read the truth again."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Something happened to `topic`. It may get lost and may come twice.

    Attributes:
        topic: `noun:<id>`.
        data: ids or tiny values that JSON knows; the row itself is in the database. May be empty.
    """

    topic: str
    data: dict[str, object] = field(default_factory=dict)


def shard_of(topic: str) -> int:
    """The shard of `topic`, from 0 to SHARDS - 1; the same in every process."""
    return crc32(topic.encode()) % SHARDS


def channel_of(shard: int) -> str:
    """The Redis channel of `shard`."""
    return f"{config().namespace}:ticks:{shard}"


def encode(ticks: Iterable[Tick]) -> dict[str, bytes]:
    """The messages that carry `ticks`: one for each channel concerned, order kept.

    Raises:
        TypeError: the data of a tick is not what JSON knows.
    """
    shards: defaultdict[int, list[tuple[str, dict[str, object]]]] = defaultdict(list)
    for tick in ticks:
        shards[shard_of(tick.topic)].append((tick.topic, tick.data))
    return {channel_of(shard): orjson.dumps(pairs) for shard, pairs in shards.items()}


def decode(message: str) -> list[Tick] | Gap:
    """The ticks in `message`, or GAP. What cannot be read may have been anything, so that is a GAP too."""
    try:
        return [Tick(str(topic), dict(data)) for topic, data in orjson.loads(message)]
    except (ValueError, TypeError):
        return GAP
