"""A small schema in which everything can go well or wrong."""

import asyncio
from collections.abc import AsyncGenerator
from enum import Enum

import strawberry

from core.errors import Invalid, NotFound, RateLimited
from domain.permissions import Permission
from schema.context import Info
from schema.permissions import public, requires

SECRET = "postgresql://replyhq:hunter2@db/replyhq"
closed: list[str] = []


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
        return f"{info.context.ip} {info.context.user_agent}"

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
class Mutation:
    @strawberry.mutation(extensions=public())
    def rename(self, name: str) -> str:
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

    @strawberry.subscription(extensions=public())
    async def deaf(self) -> AsyncGenerator[int, None]:
        """Goes on after it was told to stop."""
        yield 0
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            closed.append("deaf")
        yield 1
