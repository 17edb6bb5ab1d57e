"""A small schema in which everything can go well or wrong."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum

import strawberry

from core.errors import Invalid, NotFound, RateLimited, Unavailable
from domain.permissions import Permission
from schema.context import Info, Window
from schema.permissions import Requires, public, requires
from schema.streams import After, Shared, subscription

SECRET = "postgresql://replyhq:hunter2@db/replyhq"
closed: list[str] = []
executed: list[str] = []


class Log:
    """Happenings of a test, numbered from 1. For the loop of the server."""

    def __init__(self) -> None:
        self.newest = 0
        self.broken = False
        self.away = False
        self._moved = asyncio.Event()

    def happen(self, count: int = 1, *, broken: bool = False) -> None:
        self.newest, self.broken = self.newest + count, broken
        self._moved.set()
        self._moved = asyncio.Event()

    async def after(self, window: Window, at: int) -> AsyncGenerator[int, None]:
        """As `resolvers.live.events` tells a stream."""
        at = at if window.start is None else window.start
        window.position = at
        while window.live or at < self.newest:
            if at == self.newest:
                await self._moved.wait()
            if self.broken:
                raise RuntimeError(SECRET)
            while at < self.newest:
                at += 1
                window.position, window.more = at, at < self.newest
                yield at


logs: defaultdict[str, Log] = defaultdict(Log)


@strawberry.enum
class Color(Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.input
class Shape:
    color: Color = Color.RED
    corners: strawberry.Maybe[int] = None


@strawberry.type
class PageInfo:
    has_next_page: bool = False


@strawberry.type
class Item:
    id: strawberry.ID
    name: str = "item"

    @strawberry.field
    def children(self, first: int = 50) -> "ItemConnection":
        return ItemConnection(size=first)

    @strawberry.field
    def twins(self) -> list["Item"]:
        return []


@strawberry.type
class ItemEdge:
    cursor: str
    node: Item


@strawberry.type
class ItemConnection:
    size: int
    total_count: int = 0

    @strawberry.field
    def nodes(self) -> list[Item]:
        return [Item(id=strawberry.ID("1"))]

    @strawberry.field
    def edges(self) -> list[ItemEdge]:
        return [ItemEdge(cursor="a", node=Item(id=strawberry.ID("1")))]

    @strawberry.field
    def page_info(self) -> PageInfo:
        return PageInfo()


@strawberry.type
class Query:
    @strawberry.field(extensions=public())
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field(extensions=public())
    def whoami(self, info: Info) -> str | None:
        return info.context.principal and info.context.principal.actor

    @strawberry.field(extensions=public())
    def caller(self, info: Info) -> str:
        return f"{info.context.caller.ip} {info.context.caller.user_agent}"

    @strawberry.field(extensions=requires(Permission.VIEW_BROADCASTS))
    def secret(self) -> str | None:
        return "seen"

    @strawberry.field(extensions=public())
    def boom(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field(extensions=public())
    async def boom_later(self) -> str:
        await asyncio.sleep(0)
        raise RuntimeError(SECRET)

    @strawberry.field(extensions=public())
    def invalid(self) -> str | None:
        raise Invalid("The title is too long.", field="title")

    @strawberry.field(extensions=public())
    def missing(self) -> str:
        raise NotFound("No such thing.")

    @strawberry.field(extensions=public())
    def limited(self) -> str | None:
        raise RateLimited("Too many.", retry_after=1.5)

    @strawberry.field(extensions=public())
    async def slow(self, seconds: float = 30.0) -> str | None:
        try:
            await asyncio.sleep(seconds)
        finally:
            closed.append("slow")
        return "done"

    @strawberry.field(extensions=public())
    def items(self, first: int = 50, last: int | None = None) -> ItemConnection:
        return ItemConnection(size=last or first)

    @strawberry.field(extensions=public())
    def some(self) -> list[Item]:
        return []

    @strawberry.field(extensions=public())
    def draw(self, shape: Shape) -> str:
        return shape.color.value

    @strawberry.field(extensions=public())
    def unfit(self) -> int | None:
        """Breaks when it is serialised: that is our bug, not the client's."""
        return 2**40

    @strawberry.field(extensions=public())
    def many(self) -> list[Item]:
        return [Item(id=strawberry.ID(str(n))) for n in range(3)]


@strawberry.type
class Happening:
    log: str
    number: int
    padding: str

    @strawberry.field
    def told(self, info: Info) -> str:
        executed.append(f"{self.log} {self.number}")
        if logs[self.log].away:
            raise Unavailable("The database is away.")
        return info.context.asker().actor

    @strawberry.field
    def person(self, info: Info) -> str | None:
        return str(info.context.asker().person())


async def happenings(info: Info, log: str, after: str | None, size: int) -> AsyncGenerator[Happening, None]:
    try:
        async with aclosing(logs[log].after(info.context.window, int(after or logs[log].newest))) as numbers:
            async for number in numbers:
                yield Happening(log=log, number=number, padding="x" * size)
    finally:
        closed.append(log)


@strawberry.type
class Mutation:
    @strawberry.mutation(extensions=public())
    def rename(self, name: str) -> str:
        return name

    @strawberry.mutation(extensions=requires(Permission.VIEW_BROADCASTS))
    def publish(self, name: str) -> str | None:
        return name


@strawberry.type
class Subscription:
    @strawberry.subscription(extensions=public())
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number
            await asyncio.sleep(0)

    @strawberry.subscription(extensions=public())
    async def forever(self, name: str = "forever") -> AsyncGenerator[int, None]:
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            closed.append(name)

    @strawberry.subscription(extensions=public())
    async def breaks(self, how: str = "bug") -> AsyncGenerator[int, None]:
        yield 0
        if how == "bug":
            raise RuntimeError(SECRET)
        raise Invalid("It is over.")

    @strawberry.subscription(extensions=requires(Permission.VIEW_BROADCASTS))
    async def guarded(self) -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    @strawberry.subscription(extensions=public())
    async def loaders(self, info: Info) -> AsyncGenerator[str, None]:
        """Which loaders each event sees. They are kept, so that no address is used twice."""
        kept = []
        for _ in range(3):
            kept.append(info.context.loaders)
            yield f"{id(info.context)} {id(info.context.loaders)}"

    @strawberry.subscription(extensions=public())
    async def flood(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x" * 500_000
        finally:
            closed.append("flood")

    @subscription(Permission.VIEW_BROADCASTS, Happening, "What happens.", by_viewer=False)
    async def happened(
        self, info: Info, log: str, after: After = None, size: int = 0
    ) -> AsyncGenerator[Happening, None]:
        return happenings(info, log, after, size)

    @subscription(Permission.VIEW_BROADCASTS, Happening, "What happens to the asker.")
    async def happened_to_me(self, info: Info, log: str, after: After = None) -> AsyncGenerator[Happening, None]:
        return happenings(info, log, after, 0)

    @strawberry.subscription(extensions=[Requires(Permission.VIEW_BROADCASTS), Shared(resumes=False, by_viewer=False)])
    async def newest(self, log: str) -> AsyncGenerator[int, None]:
        """The state now, and again when it has changed; ends at 3."""
        executed.append(f"newest {log}")
        yield logs[log].newest
        async with aclosing(logs[log].after(Window(), logs[log].newest)) as numbers:
            async for number in numbers:
                yield number
                if number == 3:
                    return

    @strawberry.subscription(extensions=public())
    async def deaf(self) -> AsyncGenerator[int, None]:
        """Goes on after it was told to stop."""
        yield 0
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            closed.append("deaf")
        yield 1
