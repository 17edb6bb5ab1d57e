"""A server of the app's own, as workflows call it: it notes who came by which key, and is not always well."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from core.embedded.ports import free_port


@dataclass
class Receiver:
    """What it was asked, and how it behaves.

    Attributes:
        calls: how often each key came.
        bodies: what came with a key, the last one.
        lost: share of requests that it takes and does not answer.
        broken: share that it answers with 500 after having taken them.
        status: of all other answers.
        slow_seconds: how long each answer takes.
    """

    port: int
    chance: random.Random
    calls: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, Any] = field(default_factory=dict)
    lost: float = 0.0
    broken: float = 0.0
    status: int = 200
    slow_seconds: float = 0.0
    answer: Any = field(default_factory=lambda: {"ok": True, "score": 7})
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.bodies[key] = await request.json() if request.can_read_body else None
        self.calls[key] += 1
        await asyncio.sleep(self.slow_seconds)
        drawn = self.chance.random()
        if drawn < self.lost and request.transport:
            request.transport.abort()
        return web.json_response(
            self.answer, status=500 if drawn < self.lost + self.broken else self.status, headers=self.headers
        )


@asynccontextmanager
async def receiving(chance: random.Random | None = None) -> AsyncIterator[Receiver]:
    """A receiver that stands until the end of the block."""
    receiver = Receiver(free_port(None), chance or random.Random(0))
    app = web.Application()
    app.router.add_route("*", "/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()
