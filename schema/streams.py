"""Subscriptions that can be resumed: what each of their events says, and how such a subscription is declared."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import strawberry
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension

from domain.permissions import Permission
from domain.streams import moments
from domain.streams.moments import Moment
from models.streams import StreamEvent as StreamEventRow
from schema.permissions import Requires
from schema.views import view

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
AFTER = "after"
After = Annotated[
    str | None,
    strawberry.argument(
        description="The `cursor` of the last event you have: those after it follow, none is left out and none comes"
        " twice. Left out, you get the state as it stands, then what happens from now on."
    ),
]


@strawberry.interface(description="A message of a subscription that can be resumed.")
class StreamEvent:
    """A moment of a stream."""

    @strawberry.field(description="Where it stands: give the last one you have as `after` when you come back.")
    def cursor(row: strawberry.Parent[Moment]) -> str:
        """The place."""
        return moments.cursor_of(row)

    @strawberry.field(description="Grows by one from change to change of the stream, also by changes not told here.")
    def sequence(row: strawberry.Parent[Moment]) -> int:
        """The number."""
        return row.seq

    @strawberry.field(description="When it happened.")
    def occurred_at(row: strawberry.Parent[Moment]) -> datetime:
        """The instant."""
        return row.created_at


@strawberry.interface(description="Something that happened.")
class StreamChange(StreamEvent):
    """An event."""

    @strawberry.field(description="What happened, as in the audit log: noun, dot, past tense.")
    def action(row: strawberry.Parent[StreamEventRow]) -> str:
        """The kind of the fact."""
        return row.kind.value

    @strawberry.field(description="To which thing.")
    def entity_id(row: strawberry.Parent[StreamEventRow]) -> strawberry.ID:
        """The thing."""
        return strawberry.ID(str(row.entity_id))

    @strawberry.field(description="By whom: user:<id>, key:<id>, device:<id>, contact:<id>, or system.")
    def actor(row: strawberry.Parent[StreamEventRow]) -> str:
        """Who did it."""
        return row.actor


def moment(row: type, description: str) -> Callable[[type[T]], type[T]]:
    """A type that shows one kind of moment: `StreamEvent` rows for a change, Snapshot for the state."""

    def declare(cls: type[T]) -> type[T]:
        cls.is_type_of = classmethod(lambda _cls, found, _info: isinstance(found, row))  # type: ignore[attr-defined]
        return view(row, description=description)(cls)

    return declare


@moment(
    moments.Resync,
    "What you have missed cannot be told: you were away for longer than a week, or too far behind. Read the state anew;"
    " where the subscription tells it, it comes next. The events after this one follow as ever.",
)
class Resync(StreamEvent):
    """The marker."""


class Shared(FieldExtension):
    """Has those who subscribe alike get each event from one execution, encoded once. See `server.graphql.groups`.

    Alike are the same document, operation and variables, of the same app with the same permissions.

    Args:
        resumes: its events have places, and an argument `after`; else a newcomer gets the latest one at once.
        by_viewer: what is told depends on who asks, so that only websockets of one person or program are alike.
            When not, it runs without them: a field that asks who it is refuses.
    """

    def __init__(self, *, resumes: bool, by_viewer: bool = True) -> None:
        self.resumes = resumes
        self.by_viewer = by_viewer

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Any, **kwargs: Any) -> Any:
        """Nothing to do for a single execution."""
        return await next_(source, info, **kwargs)


def subscription(permission: Permission, told: Any, description: str, *, by_viewer: bool = True) -> Callable[[F], Any]:
    """Declare a subscription that can be resumed: who may, the union of what it tells, what it is for.

    Its resolver takes `after` and returns what `resolvers.live.events` gives.
    """
    extensions: list[FieldExtension] = [Requires(permission), Shared(resumes=True, by_viewer=by_viewer)]
    declare: Callable[[F], Any] = strawberry.subscription(
        graphql_type=told, description=description, extensions=extensions
    )
    return declare
