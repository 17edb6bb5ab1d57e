"""Files over HTTP: `POST /attachments` takes one in, `GET /attachments/<token>` shows it to who has its address.

The body of the POST is the file itself, its Content-Type the file's; the address has `fileName`, and `idempotencyKey`
if it may arrive twice. Who asks is told by the header Authorization alone, which no page elsewhere can make a browser
send.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core import storage
from core.config import MIB, Config
from core.database import transaction
from core.errors import DomainError, ErrorCode, NotFound, Unavailable
from core.json import encode
from core.tenancy import bound_to
from domain.attachments import links, queries, receiving
from domain.attachments.receiving import Offer
from domain.permissions import Permission
from domain.principals import Principal
from domain.rate_limits import spend_visit
from models.attachments import Attachment, AttachmentKind
from schema.permissions import Requires
from server.exports import asking
from server.graphql.context import address_of, bound, context_of
from server.graphql.rate_limits import Toll
from server.graphql.view import GraphQLView, refusal
from server.ranges import Range, Unsatisfiable, wanted
from server.refusals import JSON, Refused

LINGER_BYTES = 32 * MIB
LINGER_SECONDS = 5.0
PARAMETERS = ("fileName", "idempotencyKey")
MAY = Requires(Permission.UPLOAD_ATTACHMENTS)
SHOWN = {
    # nothing in the file may run or load anything, should a browser take it for a page
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Robots-Tag": "noindex",
    "Accept-Ranges": "bytes",
}
INLINE = frozenset({AttachmentKind.IMAGE, AttachmentKind.VIDEO, AttachmentKind.AUDIO})


def routes(view: GraphQLView) -> list[Route]:
    """Uploads of those whom `view` lets in, and files for everybody with an address."""

    async def take(request: Request) -> Response:
        toll = Toll(view.spend, address_of(request))
        response = await _take(request, await view.principal(request, toll), toll)
        response.headers.update(toll.headers)
        return response

    return [Route(links.PATH, take, methods=["POST"]), Route(f"{links.PATH}/{{token}}", _show)]


def body_limits(conf: Config) -> dict[str, int]:
    """The most bytes that a body may have at the path of uploads; each kind has its own limit below that."""
    largest = max(getattr(conf, f"upload_{kind.value.lower()}_bytes") for kind in AttachmentKind)
    return {links.PATH: largest + LINGER_BYTES + MIB}


async def _take(request: Request, principal: Principal | None, toll: Toll) -> Response:
    context, body = context_of(request, principal, toll), _Body(request)
    try:
        MAY.check(context.principal)
        asker = context.asker()
        with bound(asker):
            row = await receiving.receive(asker, _offer(request), body.parts())
    except DomainError as error:
        refused = refusal(error)
        if not await body.turn_away():
            refused.headers["Connection"] = "close"
        raise refused from error
    return Response(encode({"attachment": _told(row)}), 201, media_type=f"{JSON}; charset=utf-8")


class _Body:
    """The body of a request, and whether all of it has come."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._ended = False

    async def parts(self) -> AsyncIterator[bytes]:
        """As they come.

        Raises:
            ClientDisconnect: the sender has left.
        """
        while not self._ended:
            yield await self._next()

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part

    async def turn_away(self) -> bool:
        """Read a little of what still comes: who is cut off while sending never reads why. Whether that was all."""
        left = LINGER_BYTES
        with suppress(TimeoutError, Refused):
            async with asyncio.timeout(LINGER_SECONDS):
                # who asks before sending has not begun
                while not self._ended and left > 0 and "expect" not in self._request.headers:
                    left -= len(await self._next())
        return self._ended


def _offer(request: Request) -> Offer:
    given = asking.given(request.query_params, PARAMETERS)
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() and len(length) < 20 else None
    return Offer(request.headers.get("content-type"), given.get("fileName", ""), size, given.get("idempotencyKey"))


def _told(row: Attachment) -> dict[str, object]:
    """As the type Attachment of GraphQL."""
    return {
        "id": row.id,
        "kind": row.kind,
        "contentType": row.content_type,
        "fileName": row.file_name,
        "size": row.size,
        "width": row.width,
        "height": row.height,
        "url": links.url(row),
    }


async def _show(request: Request) -> Response:
    toll = Toll(spend_visit, address_of(request))
    try:
        await toll.pay(None)
        return await _shown(request)
    except NotFound as error:
        raise _gone() from error
    except DomainError as error:
        raise refusal(error) from error


async def _shown(request: Request) -> Response:
    if (found := links.read(request.path_params["token"])) is None:
        raise _gone()
    app_id, id_, left = found
    with bound_to(app_id):
        async with transaction() as session:
            row = await queries.shown(session, app_id, id_)
    headers = _headers(row, left)
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        span = wanted(request.headers, row.size, headers["ETag"])
    except Unsatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{row.size}"})
    return await _answer(request, row, span, headers)


async def _answer(request: Request, row: Attachment, span: Range | None, headers: dict[str, str]) -> Response:
    start, end = span or (0, row.size)
    headers["Content-Length"] = str(end - start)
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    media_type = f"{row.content_type}; charset=utf-8" if row.content_type.startswith("text/") else row.content_type
    status = 206 if span else 200
    if request.method == "HEAD":
        return Response(None, status, headers, media_type=media_type)
    return StreamingResponse(await _parts(row, start, end), status, headers, media_type=media_type)


async def _parts(row: Attachment, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        return await storage.read(row.storage_key, start, end)
    except NotFound as error:
        raise Unavailable("The file is not where it should be.") from error


def _headers(row: Attachment, left: timedelta) -> dict[str, str]:
    way = "inline" if row.kind in INLINE else "attachment"
    plain = row.file_name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    name = f"filename=\"{plain}\"; filename*=UTF-8''{quote(row.file_name, safe='')}"
    return SHOWN | {
        "Content-Disposition": f"{way}; {name}",
        "Cache-Control": f"private, max-age={int(left.total_seconds())}, immutable",
        "ETag": f'"{row.sha256}"',
    }


def _gone() -> Refused:
    message = "There is no such file, or its address has ended. Ask for the attachment's url anew."
    return Refused(404, message, code=ErrorCode.NOT_FOUND.value)
