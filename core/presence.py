"""Which devices are connected at this moment, as Redis knows it from all API processes.

Devices are asked for by their ids, many at a time, and nobody follows them. Who of a team is there, or types, is a few
that are listed and followed: see `core/rosters.py`.

It is a hint: who is said to be online may have left within the last half minute, and with Redis away nobody is online.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from core.config import config
from core.redis_client import RedisAway, reach
from core.renewal import Renewal

log = structlog.get_logger(__name__)
LASTS_SECONDS = 30
RENEW_SECONDS = 10.0


def _key(id_: UUID) -> str:
    return f"{config().namespace}:online:{id_.hex}"


async def online(ids: Sequence[UUID]) -> set[UUID]:
    """Those of `ids` that are connected to any process."""
    if not ids:
        return set()
    try:
        async with reach() as redis:
            found = await redis.mget([_key(id_) for id_ in ids])
    except RedisAway as away:
        log.debug("presence unknown", reason=str(away))
        return set()
    return {id_ for id_, value in zip(ids, found, strict=True) if value is not None}


@asynccontextmanager
async def present(id_: UUID) -> AsyncIterator[None]:
    """Say that `id_` is connected to this process, until the end of the block."""
    _here.hold(id_)
    await _say([id_])
    try:
        yield
    finally:
        if _here.let_go(id_):
            await _take_back(id_)


async def _say(ids: Sequence[UUID]) -> None:
    try:
        async with reach() as redis, redis.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.set(_key(id_), 1, ex=LASTS_SECONDS)
            await pipe.execute()
    except RedisAway as away:
        log.debug("presence not told", reason=str(away))


async def _take_back(id_: UUID) -> None:
    """It may be connected to another process too; then that says so again within ten seconds."""
    try:
        async with reach() as redis:
            await redis.delete(_key(id_))
    except RedisAway as away:
        log.debug("presence not taken back", reason=str(away))


_here: Renewal[UUID] = Renewal(_say, lambda: RENEW_SECONDS)
