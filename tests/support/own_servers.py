"""Servers that a test may hurt: a PostgreSQL and a Valkey of its own, which this process and those it starts use."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from core import redis_client
from core.config import config
from core.database import dispose
from core.embedded import EmbeddedServers
from core.embedded.processes import Identity, stop_leftover
from core.embedded.state import Saved
from tests.support.commands import replyhq

STOP_SECONDS = 20
AWAY_SECONDS = 1.0


class OwnServers:
    """Both servers, with data that outlives a crash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.servers = EmbeddedServers(folder)
        urls = self.servers.start()
        self.environment = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}

    @property
    def postgresql(self) -> Identity:
        process = Saved.model_validate_json((self._folder / "servers.json").read_text()).servers["postgres"].process
        assert process is not None
        return process

    def lose_postgresql(self) -> None:
        """As a crash: nothing is written that was not written yet."""
        stop_leftover(self.postgresql, signal.SIGQUIT, STOP_SECONDS)

    def find_postgresql(self) -> None:
        assert self.servers.revive() == ["PostgreSQL"]

    async def restart_postgresql(self) -> None:
        await asyncio.to_thread(self.lose_postgresql)
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(self.find_postgresql)

    async def flush_valkey(self) -> None:
        async with Redis.from_url(self.environment["REDIS_URL"]) as client:
            await client.flushall()

    async def restart_valkey(self) -> None:
        await asyncio.to_thread(self.servers.restart_valkey)


@asynccontextmanager
async def used(**environment: str) -> AsyncIterator[OwnServers]:
    """Servers that this process, and those it starts, use until the end of the block, under `environment`."""
    folder = Path(tempfile.mkdtemp(prefix="replyhq-own-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    made, before = OwnServers(folder / "state"), dict(os.environ)
    try:
        os.environ.update(made.environment | environment)
        await _look_anew()
        migrated = await replyhq("migrate")
        assert migrated.code == 0, migrated.err
        yield made
    finally:
        await dispose()
        os.environ.clear()
        os.environ.update(before)
        await _look_anew()
        made.servers.stop()
        shutil.rmtree(folder)


async def _look_anew() -> None:
    """Let go of the servers used so far, and of what was read of the environment."""
    await dispose()
    await redis_client.close()
    config.cache_clear()
