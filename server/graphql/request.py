"""Reading a GraphQL request from HTTP (GraphQL over HTTP, stage 2 draft): strict in what it takes."""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request

from server.refusals import JSON, Refused

GRAPHQL_JSON = "application/graphql-response+json"
NOT_SIMPLE = ("x-requested-with", "apollo-require-preflight")
_MATCHES = {
    GRAPHQL_JSON: GRAPHQL_JSON,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}
_MEMBERS: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "operationName": (str, "a string"),
    "variables": (dict, "an object"),
    "extensions": (dict, "an object"),
}


@dataclass(frozen=True)
class Asked:
    """One operation as a client asked for it; `operation_name` is never empty."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None


def negotiate(accept: str | None) -> str:
    """The media type of the answer. Who says nothing, or anything will do, gets application/json.

    Raises:
        Refused: 406, none that we speak is accepted.
    """
    if accept is None or not accept.strip():
        return JSON
    wanted = [_range(part) for part in accept.split(",")]
    fitting = [(quality, _MATCHES[media]) for media, quality in wanted if media in _MATCHES and quality > 0]
    if not fitting:
        raise Refused(406, f"Accept {GRAPHQL_JSON} or {JSON}.")
    return max(fitting, key=lambda found: found[0])[1]


def _range(part: str) -> tuple[str, float]:
    """Media type and quality (1 when absent, 0 when it is no number) of one range in an Accept header."""
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return media, float(quality)
    except ValueError:
        return media, 0.0


async def read(request: Request) -> Asked:
    """What the request asks for.

    Raises:
        Refused: 400, 405 or 415, with the reason.
    """
    if request.method == "GET":
        _refuse_simple(request.headers)
        return asked(_from_url(request))
    if request.method != "POST":
        raise Refused(405, "Use POST, or GET for queries.", headers={"Allow": "GET, POST"})
    _refuse_other_content(request.headers.get("content-type"))
    return asked(_json(await request.body(), "The body"))


def _refuse_simple(headers: Headers) -> None:
    """A page elsewhere can make a browser send a plain GET, but none with a header of its own."""
    if any(headers.get(name) for name in NOT_SIMPLE) or _media(headers.get("content-type"))[0] == JSON:
        return
    raise Refused(400, "A query by GET needs the header X-Requested-With or Apollo-Require-Preflight, not empty.")


def _refuse_other_content(content_type: str | None) -> None:
    media, charset = _media(content_type)
    if media != JSON or charset not in {"utf-8", "utf8"}:
        raise Refused(415, f"Send the operation as {JSON} in UTF-8.", headers={"Accept-Post": JSON})


def _media(content_type: str | None) -> tuple[str, str]:
    """Media type and charset (utf-8 when absent) of a Content-Type header, in lower case."""
    media, *parameters = (piece.strip().lower() for piece in (content_type or "").split(";"))
    charset = next((p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
    return media, charset


def _from_url(request: Request) -> dict[str, Any]:
    """The members of a GET request; an empty one counts as absent."""
    given: dict[str, Any] = {name: request.query_params.get(name) or None for name in _MEMBERS}
    for name in ("variables", "extensions"):
        if given[name] is not None:
            given[name] = _json(given[name], f"`{name}`")
    return given


def _json(text: str | bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused(400, f"{what} is not JSON in UTF-8.") from None


def asked(body: object) -> Asked:
    """The operation in a decoded body. Unknown members are ignored.

    Raises:
        Refused: 400, a member is missing or of the wrong type, or the body is a batch.
    """
    if isinstance(body, list):
        raise Refused(400, "Send one operation a request; batches are not taken.")
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object with the member `query`.")
    for name, (kind, called) in _MEMBERS.items():
        if not isinstance(body.get(name), kind | None):
            raise Refused(400, f"`{name}` must be {called}.")
    if not body.get("query"):
        raise Refused(400, "`query` is missing: the GraphQL document, as a string.")
    return Asked(body["query"], body.get("operationName") or None, body.get("variables"), body.get("extensions"))
