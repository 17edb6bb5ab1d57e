"""Connections: lists in pages, after the Relay convention."""

from typing import Annotated, Generic, TypeVar

import strawberry

from domain.pages import Page
from schema.views import plain

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(description="How many, from the start or after `after`: 1 to 100, 50 when left out."),
]
After = Annotated[str | None, strawberry.argument(description="The cursor to start behind.")]
Last = Annotated[int | None, strawberry.argument(description="How many, from the end or before `before`: 1 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="The cursor to stop before.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool = plain("Whether there is more behind this page.")
    has_previous_page: bool = plain("Whether there is more before this page.")
    start_cursor: str | None = plain("Cursor of the first entry; null when the page is empty.")
    end_cursor: str | None = plain("Cursor of the last entry; null when the page is empty.")


@strawberry.type(description="An entry of a list with its cursor.")
class Edge(Generic[T]):
    """An entry with its cursor."""

    node: T = plain("The entry.")
    cursor: str = plain("Its place in the list, for `after` and `before`.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list. The row behind it is a `domain.pages.Page`."""

    @strawberry.field(description="The entries with their cursors.")
    def edges(page: strawberry.Parent[Page[T]]) -> list[Edge[T]]:
        """Pair each row with its cursor."""
        return [Edge(node=one, cursor=page.cursor_of(one)) for one in page.rows]

    @strawberry.field(description="The entries alone.")
    def nodes(page: strawberry.Parent[Page[T]]) -> list[T]:
        """The rows."""
        return list(page.rows)

    @strawberry.field(description="Where this page stands in its list.")
    def page_info(page: strawberry.Parent[Page[T]]) -> PageInfo:
        """The page's place."""
        cursors = [page.cursor_of(one) for one in (*page.rows[:1], *page.rows[-1:])]
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )

    @strawberry.field(description="Entries of the whole list. Counted only when asked for; leave it out when you can.")
    async def total_count(page: strawberry.Parent[Page[T]]) -> int:
        """Count the whole list."""
        return await page.count()
