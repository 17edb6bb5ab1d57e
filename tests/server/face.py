"""The real face over the sample schema, on a real port, with principals made by the test."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import orjson
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from core.clock import now
from core.config import Config
from core.errors import Unauthenticated
from core.ids import new_id
from domain.permissions import Permission
from domain.principals import Principal
from server.app import assemble
from server.graphql.build import build_schema
from server.graphql.view import GraphQLView
from server.wire import SocketProtocol
from tests.server.sample import Mutation, Query, Subscription

APP = UUID(int=1)
PROTOCOL = "graphql-transport-ws"
HEADERS = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}
WAIT = 5.0
# Unused, but a client that is given none reads all certificates of the machine.
TLS = ssl.create_default_context()


def settings(**changed: Any) -> Config:
    """Quick limits, introspection on."""
    quick = {"introspection": True, "operation_seconds": 0.5, "ws_init_seconds": 0.3, "ws_max_operations": 3}
    return Config(**({"environment": "development"} | quick | changed))


def principal(*permissions: Permission, seconds: float = 900) -> Principal:
    return Principal(
        app_id=APP,
        permissions=frozenset(permissions),
        expires_at=now() + timedelta(seconds=seconds),
        user_id=new_id(),
    )


@dataclass
class Door:
    """Proves the tokens that a test hands out.

    Attributes:
        known: principal by token; an exception is raised instead.
        hangs: tokens whose proof never ends.
        asked: every token that was to be proven, in order.
    """

    known: dict[str, Principal | Exception] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def authenticate(self, token: str) -> Principal:
        self.asked.append(token)
        if token in self.hangs:
            await asyncio.Event().wait()
        found = self.known.get(token, Unauthenticated("Not known."))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Face:
    """A server that runs."""

    port: int
    view: GraphQLView
    door: Door
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, verify=TLS)

    async def post(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.client() as client:
            given = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post("/graphql", content=content, headers={k: v for k, v in given.items() if v})

    async def query(self, query: str, **headers: str) -> httpx2.Response:
        return await self.post({"query": query}, **headers)

    @asynccontextmanager
    async def socket(self, *, protocol: str | None = PROTOCOL, **options: Any) -> AsyncIterator["Probe"]:
        subprotocols = [Subprotocol(protocol)] if protocol else None
        async with connect(f"ws://127.0.0.1:{self.port}/graphql", subprotocols=subprotocols, **options) as connection:
            yield Probe(connection)

    @asynccontextmanager
    async def opened(self, token: str | None = None, **options: Any) -> AsyncIterator["Probe"]:
        async with self.socket(**options) as probe:
            payload = {"Authorization": f"Bearer {token}"} if token else None
            await probe.send({"type": "connection_init", "payload": payload})
            assert await probe.receive() == {"type": "connection_ack"}
            yield probe


@dataclass
class Probe:
    """A client that sends what it likes and notes what comes back."""

    connection: ClientConnection

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else orjson.dumps(message).decode())

    async def receive(self) -> Any:
        async with asyncio.timeout(WAIT):
            return orjson.loads(await self.connection.recv())

    async def subscribe(self, operation_id: str, query: str, **payload: Any) -> None:
        await self.send({"id": operation_id, "type": "subscribe", "payload": {"query": query, **payload}})

    async def closing(self) -> tuple[int | None, str | None]:
        """Read on until the server closes: code and reason."""
        async with asyncio.timeout(WAIT):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code, self.connection.close_reason

    async def alive(self) -> bool:
        """Whether the server still answers on this websocket."""
        await self.send({"type": "ping"})
        return bool(await self.receive() == {"type": "pong"})


@contextmanager
def running(conf: Config | None = None, held: Any = nullcontext) -> Iterator[Face]:
    """A face in a thread of its own until the end of the block."""
    door = Door()
    conf = conf or settings()
    schema = build_schema(Query, Mutation, Subscription, conf=conf)
    view = GraphQLView(schema, authenticate=door.authenticate, conf=conf)
    with serving(assemble(view, held), conf) as (port, loop):
        yield Face(port, view, door, loop)


@contextmanager
def serving(app: Any, conf: Config) -> Iterator[tuple[int, asyncio.AbstractEventLoop]]:
    """Any application in a thread: the port it listens on, and its loop."""
    options = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        ws=SocketProtocol,
        ws_max_size=conf.ws_max_message_bytes,
        ws_per_message_deflate=False,
    )
    server = _Server(options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(WAIT)
        yield server.servers[0].sockets[0].getsockname()[1], server.loop
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    def __init__(self, options: uvicorn.Config) -> None:
        super().__init__(options)
        self.ready = threading.Event()

    def capture_signals(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        await super().startup(*args, **kwargs)
        self.loop = asyncio.get_running_loop()
        self.ready.set()
