"""GraphQL over HTTP. (The websocket comes in by the same view and goes on in `websocket.py`.)

Under application/graphql-response+json a request that cannot be executed is answered with 400 and no `data`. Under
application/json the same answer has status 200, as older clients expect. Refusals of the server itself (401, 405, 413,
415, 429, 5xx) have their status under both. When nothing could be done because the database is away, it is 503 too.
"""

from datetime import timedelta
from math import ceil
from typing import Any

import orjson
from graphql import GraphQLFormattedError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema import BaseSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from core.config import Config, config
from core.errors import DomainError, ErrorCode, Forbidden, RateLimited, Unauthenticated
from core.json import encode
from domain.principals import Principal
from schema.context import Context
from server.graphql.adapter import SocketAdapter
from server.graphql.context import Arrive, Authenticate, address_of, bearer, bound, context_of, unnoted
from server.graphql.errors import NO_SUCH_OPERATION, coded, is_request_error, present, tell_operator
from server.graphql.groups import Groups
from server.graphql.rate_limits import Spend, Toll, unlimited
from server.graphql.request import GRAPHQL_JSON, Asked, negotiate, read
from server.graphql.websocket import SocketHandler
from server.refusals import INTERNAL, JSON, Refused
from server.sockets import Sockets

_ALLOWED = {"GET": {OperationType.QUERY}, "POST": {OperationType.QUERY, OperationType.MUTATION}}
_STATUS = {
    ErrorCode.UNAUTHENTICATED.value: 401,
    ErrorCode.FORBIDDEN.value: 403,
    ErrorCode.TWO_FACTOR_REQUIRED.value: 403,
    ErrorCode.TOO_LARGE.value: 413,
    ErrorCode.UNSUPPORTED_FILE.value: 415,
    ErrorCode.RATE_LIMITED.value: 429,
    ErrorCode.UNAVAILABLE.value: 503,
    INTERNAL: 500,
}


class GraphQLView(GraphQL[Context, None]):
    """An ASGI application for one path: POST and GET over HTTP, graphql-transport-ws over websocket.

    Args:
        schema: made by `build_schema`.
        authenticate: proves a token of somebody who is acting now.
        prove: proves one without that, for websockets that are only open; `authenticate` when not given.
        arrive: notes who has opened a websocket, until that ends; nobody is noted when not given.
        spend: counts each operation; nothing is counted when not given.
        conf: the limits; this process's configuration when not given.
    """

    websocket_adapter_class = SocketAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self,
        schema: BaseSchema,
        *,
        authenticate: Authenticate,
        prove: Authenticate | None = None,
        arrive: Arrive = unnoted,
        spend: Spend = unlimited,
        conf: Config | None = None,
    ) -> None:
        self.conf = conf or config()
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=self.conf.ws_init_seconds),
            max_subscriptions_per_connection=self.conf.ws_max_operations,
            allowed_origins=self.conf.allowed_origins,
        )
        self.authenticate = authenticate
        self.arrive = arrive
        self.spend = spend
        self.sockets = Sockets(
            prove or authenticate,
            per_ip=self.conf.ws_max_connections_per_ip,
            per_user=self.conf.ws_max_connections_per_user,
        )
        self.groups = Groups(self.sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one websocket to its end."""
        if scope["type"] == "websocket":
            await self._serve(WebSocket(scope, receive, send))
        else:
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _serve(self, websocket: WebSocket) -> None:
        with self.sockets.admission(address_of(websocket)) as admitted:
            if admitted:
                await self.run(websocket)
            else:
                refused = Refused(429, "Too many websockets from this address.", code=ErrorCode.RATE_LIMITED.value)
                await websocket.send_denial_response(refused.response())

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        """The context of a websocket before anybody has said who they are."""
        return context_of(request, None, Toll(self.spend, address_of(request)))

    async def _answer(self, request: Request) -> Response:
        toll = Toll(self.spend, address_of(request))
        response = await self._answered(request, toll)
        response.headers.update(toll.headers)
        return response

    async def _answered(self, request: Request, toll: Toll) -> Response:
        media_type = JSON
        try:
            media_type = negotiate(request.headers.get("accept"))
            principal = await self.principal(request, toll)
            asked = await read(request)
            with bound(principal):
                result = await self._execute(request, asked, context_of(request, principal, toll))
        except Refused as refused:
            return refused.response(media_type)
        return self._respond(result, media_type)

    async def principal(self, request: Request, toll: Toll) -> Principal | None:
        """Who asks, once they have paid; None when nobody is signed in.

        Raises:
            Refused: the proof fails, or it is one request too many.
        """
        try:
            principal = await self._proven(request, toll)
            await toll.pay(principal)
        except DomainError as error:
            raise refusal(error) from error
        return principal

    async def _proven(self, request: Request, toll: Toll) -> Principal | None:
        """Who holds the token. For one that proves nothing the address pays, so that guessing has an end."""
        try:
            token = bearer(request.headers.get("authorization"))
            return await self.authenticate(token) if token else None
        except (Unauthenticated, Forbidden):
            await toll.pay(None)
            raise

    async def _execute(self, request: Request, asked: Asked, context: Context) -> ExecutionResult:
        try:
            return await self.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
                allowed_operation_types=_ALLOWED[request.method],
                operation_extensions=asked.extensions,
            )
        except InvalidOperationTypeError as error:
            raise _wrong_way(error.operation_type) from None
        except CannotGetOperationTypeError as error:
            return ExecutionResult(data=None, errors=[coded(error.as_http_error_reason(), NO_SUCH_OPERATION)])

    def _respond(self, result: ExecutionResult, media_type: str) -> Response:
        errors = present(result.errors or (), hints=self.conf.introspection)
        failed = is_request_error(result)
        body: dict[str, Any] = {} if failed else {"data": result.data}
        body |= {"errors": errors} if errors else {}
        body |= {"extensions": result.extensions} if result.extensions else {}
        status = _status(errors, media_type) if failed or _is_outage(result.data, errors) else 200
        return Response(self.encode_json(body), status, _headers(errors), media_type=f"{media_type}; charset=utf-8")

    def encode_json(self, data: object) -> bytes:
        """As all JSON that leaves the server."""
        return encode(data)

    def decode_json(self, data: str | bytes) -> object:
        """Strict JSON: no NaN, no lone surrogates, 1024 levels at most."""
        return orjson.loads(data)


def refusal(error: DomainError) -> Refused:
    """A failure of the proof itself, or one request too many, before any operation runs."""
    tell_operator(error)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if isinstance(error, RateLimited):
        headers = {"Retry-After": str(ceil(error.retry_after))}
    status = _STATUS.get(error.code.value, 400)
    return Refused(status, error.message, code=error.code.value, headers=headers, told=error.extensions())


def _wrong_way(operation: OperationType) -> Refused:
    if operation is OperationType.MUTATION:
        return Refused(405, "Send mutations by POST.", headers={"Allow": "POST"})
    return Refused(400, "Subscribe over websocket at this address, with the subprotocol graphql-transport-ws.")


def _status(errors: list[GraphQLFormattedError], media_type: str) -> int:
    code = errors[0]["extensions"]["code"] if errors else INTERNAL
    return _STATUS.get(code, 400 if media_type == GRAPHQL_JSON else 200)


def _is_outage(data: dict[str, Any] | None, errors: list[GraphQLFormattedError]) -> bool:
    """Whether no root field gave anything, because what the server stands on is away."""
    codes = {error["extensions"]["code"] for error in errors}
    return codes == {ErrorCode.UNAVAILABLE.value} and not any((data or {}).values())


def _headers(errors: list[GraphQLFormattedError]) -> dict[str, str]:
    """Retry-After, in seconds, when an error says when to come back."""
    waits = [e["extensions"]["retryAfterMs"] for e in errors if "retryAfterMs" in e["extensions"]]
    return {"Retry-After": str(-(-max(waits) // 1000))} if waits else {}
