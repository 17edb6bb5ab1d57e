"""graphql-transport-ws: Strawberry's handler, made to keep the protocol and to forget nothing between operations.

A frame against the protocol closes the socket with 4400; whatever is wrong with one operation, a syntax error too, is
an `error` of that operation and leaves its siblings alone. Each operation has a context and loaders of its own, and a
subscription starts each event with empty loaders.

Close codes: 4400 against the protocol, 4401 subscribed before connection_init, 4403 not or no longer proven (clients
come back with a fresh token), 4406 other subprotocol, 4408 no connection_init in time, 4409 operation id in use, 4429
second connection_init, or too many messages or websockets (do not come back at once), 1009 message too large, 1013 come
back later.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import structlog
from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.types.execution import ExecutionResult

from core.clock import now
from core.errors import ErrorCode, Forbidden, RateLimited, Unauthenticated
from core.lifetimes import Lifetime
from domain.principals import Principal
from schema.context import Context, Window
from schema.loaders import Loaders
from server import correlation
from server.graphql.adapter import SocketAdapter, message_of
from server.graphql.context import address_of, bearer, bound, context_of
from server.graphql.errors import coded, is_unavailable
from server.graphql.frames import fault
from server.graphql.groups import DOUBTFUL, SLOW, LetGo, Member
from server.graphql.operations import SocketOperation
from server.graphql.pace import Pace
from server.graphql.rate_limits import Toll
from server.graphql.sharing import Alike, alike, is_subscription
from server.wire import wire_of

if TYPE_CHECKING:
    from server.graphql.build import Schema
    from server.graphql.view import GraphQLView

log = structlog.get_logger(__name__)
PROOF_SECONDS = 5.0
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, ALREADY_EXISTS, TOO_MANY, TRY_LATER = 4400, 4401, 4403, 4409, 4429, 1013


class _NoLongerProven(Exception):
    """Who opened the websocket may not be here any more."""


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One websocket, from the handshake to the end.

    Attributes:
        token: what connection_init brought; empty when nothing.
        principal: who that is; None when nobody is signed in.
        lifetime: from now to the end of the websocket.
    """

    view: "GraphQLView"
    websocket: SocketAdapter
    token: str = ""
    principal: Principal | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lifetime = Lifetime()
        self._pace = Pace(self.view.conf.ws_messages_per_second, self.view.conf.ws_message_burst)

    async def handle_message(self, message: Any) -> None:
        """Act on one message that has the right shape; close on any other."""
        if not self.websocket.is_open:
            return
        if not self._pace.take():
            await self.end(TOO_MANY, "Too many messages")
        elif wrong := fault(message):
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
            if self.principal:
                await self.view.arrive(self.principal, self.lifetime)
            await self.send_message({"type": "connection_ack"})

    async def _proven(self, payload: Mapping[str, Any]) -> bool:
        """Whether the opener may stay. What hangs or breaks here is our trouble: the client shall come back."""
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await self._prove(payload)
        except RateLimited as error:
            await self.end(TRY_LATER, error.message)
        except (Unauthenticated, Forbidden) as error:
            await self.end(FORBIDDEN, f"Forbidden: {error.message}")
        except Exception:
            log.exception("websocket not opened")
            await self.end(TRY_LATER, DOUBTFUL)
        return self.websocket.is_open

    async def _prove(self, payload: Mapping[str, Any]) -> None:
        try:
            token = bearer(payload.get("Authorization", payload.get("authorization")))
            if token:
                changes = self.view.sockets.changes
                self.token, self.principal = token, await self.view.authenticate(token)
                if not self.view.sockets.add(self, changes):
                    await self.end(TOO_MANY, "Too many websockets of one account")
        except (Unauthenticated, Forbidden):
            await self._toll().pay(None)
            raise

    def _toll(self) -> Toll:
        return Toll(self.view.spend, address_of(self.websocket.ws))

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
            await self.end(TRY_LATER, SLOW)
        except LetGo as error:
            self._forget(operation)
            await self.end(TRY_LATER, str(error))
        except _NoLongerProven as error:
            self._forget(operation)
            await self.end(FORBIDDEN, f"Forbidden: {error}")

    def _forget(self, operation: Operation[Context, None]) -> None:
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]

    async def _guarded(self, operation: SocketOperation) -> None:
        try:
            principal, toll = await self._asker(), self._toll()
            await toll.pay(principal)
            with bound(principal):
                await self._run(operation, context_of(self.websocket.ws, principal, toll, self.lifetime))
        except (WebSocketDisconnected, LetGo, _NoLongerProven):
            raise
        except Exception as error:  # noqa: BLE001
            bug = GraphQLError("", original_error=error)
            await operation.send_result(ExecutionResult(data=None, errors=[bug]))

    async def _asker(self) -> Principal | None:
        """The opener, proven anew as with each HTTP request, which counts as use of their session.

        `principal` stays as it was: should rights have changed since, the next round over all websockets sees it.
        """
        try:
            return await self.view.authenticate(self.token) if self.token else None
        except (Unauthenticated, Forbidden) as error:
            raise _NoLongerProven(error.message) from None

    async def _run(self, operation: SocketOperation, context: Context) -> None:
        if (place := self._place(operation, context)) is not None:
            await self._run_with_others(operation, context, *place)
        elif await self._run_alone(operation, context):
            await operation.send_operation_message({"id": operation.id, "type": "complete"})

    def _place(self, operation: SocketOperation, context: Context) -> tuple[Alike, Member] | None:
        """With which others an operation is served; None for one that is served alone."""
        wire, principal = wire_of(self.websocket.ws.scope), context.principal
        if wire is None or principal is None:
            return None
        schema, variables = cast("Schema", self.schema), operation.variables or {}
        found = alike(schema, operation.query, operation.operation_name, variables, principal)
        return found and (found, Member(operation, self, wire))

    async def _run_alone(self, operation: SocketOperation, context: Context) -> bool:
        """Send the results of an execution of its own; False when one of them was the error that ends it.

        The one answer of a query or mutation is told to whoever was proven when it began, as over HTTP.

        Raises:
            LetGo: an event cannot be told while the database is away. Whoever comes back gets it then.
        """
        lasting = is_subscription(cast("Schema", self.schema), operation.query, operation.operation_name)
        async with aclosing(await operation.execution.start(context)) as source:
            async for result in source:
                if lasting and not await self._admitted():
                    return False
                if lasting and is_unavailable(cast("ExecutionResult", result)):
                    raise LetGo(DOUBTFUL)
                if not await operation.send_result(cast("ExecutionResult", result)):
                    return False
                context.loaders = Loaders()
        return True

    async def _admitted(self) -> bool:
        """Whether an event may be told; False when the websocket is about to be closed."""
        sockets = self.view.sockets
        if await sockets.admitted([self]):
            return True
        if sockets.holds(self):
            raise LetGo(DOUBTFUL)
        return False

    async def _run_with_others(self, operation: SocketOperation, context: Context, shared: Alike, own: Member) -> None:
        """Join those who are alike, once it has what it missed, and be told with them."""
        principal = cast("Principal", context.principal)
        join = partial(self.view.groups.join, shared, own, operation.execution, principal)
        if not (await self._catch_up(operation, context, own, join) if shared.resumes else join()):
            return
        if errors := await own.ended:
            await operation.send_operation_message(message_of("error", operation.id, errors))
        else:
            await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _catch_up(
        self, operation: SocketOperation, context: Context, own: Member, join: Callable[[], bool]
    ) -> bool:
        """Tell it alone what it has missed, as often as the others get ahead meanwhile; False when that ended it."""
        while True:
            context.window.live = False
            if not await self._run_alone(operation, context):
                return False
            own.since = context.window.position
            if join():
                return True
            context.window = Window(start=own.since)

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
        try:
            await super().shutdown()
        finally:
            await self.lifetime.end()
