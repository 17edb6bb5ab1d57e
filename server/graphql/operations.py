"""One operation of a websocket: what is executed, and what is sent of it."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation
from strawberry.types.execution import ExecutionResult

from schema.context import Context
from server.graphql.adapter import message_of
from server.graphql.errors import is_request_error, present
from server.graphql.groups import Errors, Execution

if TYPE_CHECKING:
    from server.graphql.websocket import SocketHandler


class SocketOperation(Operation[Context, None]):
    """One operation of a websocket, from `subscribe` to `complete` or `error`."""

    handler: "SocketHandler"

    def __init__(self, handler: "SocketHandler", operation_id: str, payload: Mapping[str, Any]) -> None:
        name = payload.get("operationName") or None
        super().__init__(handler, operation_id, payload["query"], payload.get("variables"), name)
        self.extensions = payload.get("extensions")

    async def send_operation_message(self, message: Any) -> None:
        """Send, unless the operation has ended or its id already stands for another one."""
        if self.is_open:
            await super().send_operation_message(message)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended, and its id does not stand for another one."""
        return self.handler.operations.get(self.id) is self

    async def send_result(self, result: ExecutionResult) -> bool:
        """Send `next`, or `error` when there is no data and no field to blame; True while more may follow."""
        execution = self.execution
        if errors := execution.errors(result):
            await self.send_operation_message(message_of("error", self.id, errors))
            return False
        await self.send_operation_message(message_of("next", self.id, execution.payload(result)))
        return True

    @property
    def execution(self) -> Execution:
        """How it is executed: holds nothing of this websocket, as others may be served by it too."""
        hints = self.handler.view.conf.introspection
        start = partial(
            self.handler.schema.stream,
            self.query,
            self.variables,
            operation_name=self.operation_name,
            operation_extensions=self.extensions,
        )
        return Execution(
            lambda context: start(context_value=context), partial(_payload, hints=hints), partial(_errors, hints=hints)
        )


def _payload(result: ExecutionResult, *, hints: bool) -> dict[str, Any]:
    payload: dict[str, Any] = {"data": result.data}
    payload |= {"errors": present(result.errors, hints=hints)} if result.errors else {}
    return payload | ({"extensions": result.extensions} if result.extensions else {})


def _errors(result: ExecutionResult, *, hints: bool) -> Errors | None:
    return present(result.errors or (), hints=hints) if is_request_error(result) else None
