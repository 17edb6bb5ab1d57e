"""What every benchmark stands on: servers of its own, flushed to disk as in production, and a migrated database."""

import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from core.config import config
from core.embedded import EmbeddedServers, erase
from core.encryption import new_key
from server.migrate import upgrade


@contextmanager
def ground(**environment: str) -> Iterator[None]:
    """PostgreSQL and Valkey until the end of the block, found through the environment, which `environment` adds to."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        servers = EmbeddedServers(Path(folder) / "state")
        urls = servers.start()
        os.environ |= {
            "DATABASE_URL": urls.database_url,
            "REDIS_URL": urls.redis_url,
            "REPLYHQ_ENVIRONMENT": "development",
            "REPLYHQ_SECRET_KEY": "x" * 32,
            "REPLYHQ_ENCRYPTION_KEYS": f"bench:{new_key()}",
            "REPLYHQ_TWO_FACTOR_REQUIRED": "false",
            **environment,
        }
        config.cache_clear()
        try:
            upgrade()
            yield
        finally:
            servers.stop()
            erase(Path(folder) / "state")


async def milliseconds(work: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Median wall time of some rounds, after one to warm up."""
    await work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        await work()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)
