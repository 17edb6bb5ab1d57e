"""What all downloads share: who may have one, and a table that streams however long it is."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from core.clock import now
from core.errors import DomainError, Forbidden, Unauthenticated
from domain.imports.reports import guarded
from domain.permissions import Permission
from domain.principals import Principal
from schema.permissions import Requires
from server.graphql.context import address_of, bearer, bound, context_of
from server.graphql.rate_limits import Toll
from server.graphql.view import GraphQLView, refusal

STOPPED = "export.stopped"
MARK = "\ufeff"  # spreadsheets take UTF-8 for something else without it
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Download:
    """A table that can be had.

    Attributes:
        name: of the file; the day and `.csv` come behind it.
        permissions: all of them are needed.
        begin: what is asked for is checked, counted and entered in the audit log; then its rows, a slice at a time.
    """

    name: str
    permissions: Sequence[Permission]
    header: Sequence[str]
    begin: Callable[[Principal, Request], Awaitable[AsyncIterator[Rows]]]


async def answer(download: Download, view: GraphQLView, request: Request) -> Response:
    """The table, or why not."""
    toll = Toll(view.spend, address_of(request))
    context = context_of(request, await view.principal(request, toll), toll)
    try:
        _check(download, context.principal)
        asker = context.asker()
        with bound(asker):
            slices = await download.begin(asker, request)
    except DomainError as error:
        raise refusal(error) from error
    headers = {"Content-Disposition": f'attachment; filename="{download.name}-{now():%Y-%m-%d}.csv"', **toll.headers}
    again = partial(_again, download, view, bearer(request.headers.get("authorization")) or "")
    table = _table(asker, download.header, slices, again)
    return StreamingResponse(table, media_type="text/csv; charset=utf-8; header=present", headers=headers)


def _check(download: Download, principal: Principal | None) -> None:
    for permission in download.permissions:
        Requires(permission).check(principal)


async def _again(download: Download, view: GraphQLView, token: str) -> bool:
    """Whether who began may go on: a long download outlives a session, or the right to it."""
    try:
        _check(download, await view.authenticate(token))
    except (Unauthenticated, Forbidden):
        return False
    return True


async def _table(
    asker: Principal, header: Sequence[str], slices: AsyncIterator[Rows], again: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """The table, a slice of it at a time. What is broken off says so in its last line."""
    yield (MARK + _written([header])).encode()
    while True:
        with bound(asker):
            rows = await anext(slices, None)
        if rows is None:
            return
        if not await again():
            yield _written([(STOPPED, *("" for _ in header[1:]))]).encode()
            return
        yield _written([[_cell(value) for value in row] for row in rows]).encode()


def _cell(value: object) -> str:
    """A value as it is written; None is empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return guarded(orjson.dumps(value).decode() if isinstance(value, dict) else str(value))


def _written(rows: Iterable[Iterable[str]]) -> str:
    """Rows as RFC 4180 has them."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
