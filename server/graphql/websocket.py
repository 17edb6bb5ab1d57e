"""graphql-transport-ws: Strawberry's handler, made to keep the protocol and to forget nothing between operations.

A frame against the protocol closes the socket with 4400; whatever is wrong with one operation, a syntax error too, is
an `error` of that operation and leaves its siblings alone. Each operation has a context and loaders of its own, and a
subscription starts each event with empty loaders.

Close codes: 4400 against the protocol, 4401 subscribed before connection_init, 4403 not or no longer proven (clients
come back with a fresh token), 4406 other subprotocol, 4408 no connection_init in time, 4409 operation id in use, 4429
second connection_init, 1009 message too large, 1013 come back later.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import structlog
from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.types.execution import ExecutionResult

from core.clock import now
from core.errors import ErrorCode, Forbidden, Unauthenticated
from domain.principals import Principal
from schema.context import Context
from schema.loaders import Loaders
from server import correlation
from server.graphql.adapter import SocketAdapter, message_of
from server.graphql.context import bearer, context_of
from server.graphql.errors import coded, is_request_error, present
from server.graphql.frames import fault

if TYPE_CHECKING:
    from server.graphql.view import GraphQLView

log = structlog.get_logger(__name__)
PROOF_SECONDS = 5.0
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, ALREADY_EXISTS, TOO_MANY, TRY_LATER = 4400, 4401, 4403, 4409, 4429, 1013


class SocketOperation(Operation[Context, None]):
    """One operation of a websocket, from `subscribe` to `complete` or `error`."""

    handler: "SocketHandler"

    def __init__(self, handler: "SocketHandler", operation_id: str, payload: Mapping[str, Any]) -> None:
        name = payload.get("operationName") or None
        super().__init__(handler, operation_id, payload["query"], payload.get("variables"), name)
        self.extensions = payload.get("extensions")

    async def send_operation_message(self, message: Any) -> None:
        """Send, unless the operation has ended or its id already stands for another one."""
        if self.handler.operations.get(self.id) is self:
            await super().send_operation_message(message)

    async def send_result(self, result: ExecutionResult) -> bool:
        """Send `next`, or `error` when there is no data and no field to blame; True while more may follow."""
        errors = present(result.errors or (), hints=self.handler.view.conf.introspection)
        if is_request_error(result):
            await self.send_operation_message(message_of("error", self.id, errors))
            return False
        payload: dict[str, Any] = {"data": result.data}
        payload |= {"errors": errors} if errors else {}
        payload |= {"extensions": result.extensions} if result.extensions else {}
        await self.send_operation_message(message_of("next", self.id, payload))
        return True


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One websocket, from the handshake to the end.

    Attributes:
        token: what connection_init brought; empty when nothing.
        principal: who that is; None when nobody is signed in.
    """

    view: "GraphQLView"
    websocket: SocketAdapter
    token: str = ""
    principal: Principal | None = None

    async def handle_message(self, message: Any) -> None:
        """Act on one message that has the right shape; close on any other."""
        if not self.websocket.is_open:
            return
        if wrong := fault(message):
            await self.end(BAD_REQUEST, wrong)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        """Prove the token in the payload's `Authorization`, once, and acknowledge."""
        if self.connection_timed_out:
            return
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        if self.connection_init_received:
            await self.end(TOO_MANY, "Too many initialisation requests")
            return
        self.connection_init_received = True
        if await self._proven(message.get("payload") or {}):
            self.connection_acknowledged = True
            await self.send_message({"type": "connection_ack"})

    async def _proven(self, payload: Mapping[str, Any]) -> bool:
        """Whether the opener may stay. What hangs or breaks here is our trouble: the client shall come back."""
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await self._prove(payload)
        except (Unauthenticated, Forbidden) as error:
            await self.end(FORBIDDEN, f"Forbidden: {error.message}")
        except Exception:
            log.exception("websocket not opened")
            await self.end(TRY_LATER, "Try again later")
        return self.websocket.is_open

    async def _prove(self, payload: Mapping[str, Any]) -> None:
        token = bearer(payload.get("Authorization", payload.get("authorization")))
        if token:
            self.token, self.principal = token, await self.view.authenticate(token)
            self.view.sockets.add(self)

    async def handle_subscribe(self, message: Any) -> None:
        """Start an operation, or say why not."""
        operation_id = message["id"]
        if not self.connection_acknowledged:
            await self.end(UNAUTHORIZED, "Unauthorized")
        elif self.principal and self.principal.expires_at <= now():
            await self.end(FORBIDDEN, "Forbidden: token expired")
        elif operation_id in self.operations:
            await self.end(ALREADY_EXISTS, f"Subscriber for {operation_id} already exists")
        elif len(self.operations) >= self.view.conf.ws_max_operations:
            await self._refuse(operation_id)
        else:
            self._start(SocketOperation(self, operation_id, message["payload"]))

    def _start(self, operation: SocketOperation) -> None:
        self.operations[operation.id] = operation
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)

    async def _refuse(self, operation_id: str) -> None:
        most = self.view.conf.ws_max_operations
        error = coded(f"At most {most} operations at once on a websocket.", ErrorCode.RATE_LIMITED.value)
        await self.send_message(cast("Any", message_of("error", operation_id, [error.formatted])))

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run an operation to its end; nothing that goes wrong in it touches the others."""
        correlation.begin()
        try:
            await self._guarded(cast("SocketOperation", operation))
        except WebSocketDisconnected:
            self._forget(operation)
            await self.end(TRY_LATER, "Messages are not taken fast enough")

    def _forget(self, operation: Operation[Context, None]) -> None:
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]

    async def _guarded(self, operation: SocketOperation) -> None:
        try:
            await self._run(operation)
        except WebSocketDisconnected:
            raise
        except Exception as error:  # noqa: BLE001
            bug = GraphQLError("", original_error=error)
            await operation.send_result(ExecutionResult(data=None, errors=[bug]))

    async def _run(self, operation: SocketOperation) -> None:
        context = context_of(self.websocket.ws, self.principal)
        source = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            operation_extensions=operation.extensions,
        )
        async with aclosing(source):
            async for result in source:
                if not await operation.send_result(cast("ExecutionResult", result)):
                    return
                context.loaders = Loaders()
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def end(self, code: int, reason: str) -> None:
        """Stop all operations and close."""
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        await self.websocket.close(code, reason)

    async def handle_invalid_message(self, error_message: str) -> None:
        """Close on a frame that is no text or no JSON."""
        await self.end(BAD_REQUEST, error_message)

    async def shutdown(self) -> None:
        """Free what the websocket held, also when the connection broke."""
        self.view.sockets.discard(self)
        await super().shutdown()
