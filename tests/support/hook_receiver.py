"""A receiver of webhooks: a real HTTP server, which answers as it is told and keeps what it got."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        return json.loads(self.body)

    def verify(self, secret: str) -> dict[str, Any]:
        """What it says, as the published library has it from these bytes."""
        return Webhook(secret).verify(self.body, self.headers)


def says(*parts: bytes, pause: float = 0.0) -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def is_silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


class Receiver:
    """Answers by `talk`, which may be changed at any time."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.got = list[Got]()
        self.url = ""
        self.open = self.most_open = self.connections = 0

    @property
    def ids(self) -> Counter[str]:
        """How often each event came."""
        return Counter(one.id for one in self.got)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while True:
                    await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append(Got(request.split()[1], headers, body))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.talk(writer)
        finally:
            self.open -= 1


@asynccontextmanager
async def receiving(talk: Talk | None = None) -> AsyncIterator[Receiver]:
    """A receiver on this machine until the end of the block."""
    receiver = Receiver(talk or says(OK))
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    yield receiver
    server.close()
