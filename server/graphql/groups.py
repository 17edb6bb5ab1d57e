"""Groups: of those who subscribe alike in this process, each event is executed once and encoded once.

Alike are the same document, operation and variables, apart from the place to begin at, asked with the same rights.
Whoever comes is first told what they have missed by an execution of their own, then joins the group at that place.
The group's execution has the rights that all of them have; where its field does not depend on who asks, it has no
person at all. Before each event the rights of each are certain (`server.sockets`), or are proven anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import structlog
from graphql import GraphQLFormattedError
from strawberry.types import ExecutionResult

from core.json import encode
from domain.principals import NOWHERE, Principal
from schema.context import Context, Window
from schema.loaders import Loaders
from server import correlation
from server.graphql.context import bound
from server.graphql.errors import is_unavailable
from server.graphql.sharing import Alike
from server.sockets import Socket, Sockets
from server.wire import SocketProtocol, header

log = structlog.get_logger(__name__)
AT_ONCE = 32
"""Events that are written to a client together when they happen together."""
SLOW = "Messages are not taken fast enough"
DOUBTFUL = "Try again later"
_NOTHING = -1
Errors = list[GraphQLFormattedError]


class LetGo(Exception):
    """A member cannot be served at present: its client shall come back, and go on from where it is."""


@dataclass(frozen=True)
class Execution:
    """How a subscription is executed.

    Attributes:
        start: its results in a context.
        payload: of a result, for `next`.
        errors: those of a result that ends it; None when it does not.
    """

    start: Callable[[Context], Awaitable[Any]]
    payload: Callable[[ExecutionResult], dict[str, Any]]
    errors: Callable[[ExecutionResult], Errors | None]


class Operation(Protocol):
    """An operation of a websocket that is open until it is completed."""

    id: str

    @property
    def is_open(self) -> bool:
        """Whether its client still wants it."""


class Member:
    """One operation in a group.

    Attributes:
        since: it has what the stream told up to this number.
        ended: done when there is nothing more to tell: with the errors that were the reason, or None.
    """

    def __init__(self, operation: Operation, socket: Socket, wire: SocketProtocol) -> None:
        self.operation = operation
        self.socket = socket
        self.since = _NOTHING
        self.ended: asyncio.Future[Errors | None] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._before = b'{"id":' + encode(operation.id) + b',"type":"next","payload":'

    def tell(self, told: list[tuple[int, bytes]]) -> None:
        """Write the payloads that it does not have; who does not take them is let go."""
        before, parts = self._before, list[bytes]()
        for position, payload in told:
            if position > self.since:
                parts += (header(len(before) + len(payload) + 1), before, payload, b"}")
        if parts and self.operation.is_open and not self.ended.done() and not self._wire.push(b"".join(parts)):
            self.let_go(SLOW)

    def end(self, errors: Errors | None) -> None:
        """There is nothing more to tell."""
        if not self.ended.done():
            self.ended.set_result(errors)

    def let_go(self, reason: str) -> None:
        """Tell it no more."""
        if not self.ended.done():
            self.ended.set_exception(LetGo(reason))


class Group:
    """Those who are alike, and the execution that serves them.

    Attributes:
        position: up to which number of the stream its members have been told.
        latest: the last payload, for who comes to a subscription without places.
    """

    def __init__(self, context: Context, execution: Execution, sockets: Sockets) -> None:
        self.position = context.window.start or 0
        self.latest: list[tuple[int, bytes]] = []
        self.members: set[Member] = set()
        self._context = context
        self._execution = execution
        self._sockets = sockets
        self.task = asyncio.create_task(self._serve(), name="group")

    async def _serve(self) -> None:
        correlation.begin()
        try:
            with bound(self._context.principal):
                errors = await self._run()
            for member in self.members:
                member.end(errors)
        except LetGo as reason:
            self._let_go(str(reason))
        except Exception:
            log.exception("group broke")
            self._let_go(DOUBTFUL)

    def _let_go(self, reason: str) -> None:
        for member in self.members:
            member.let_go(reason)

    async def _run(self) -> Errors | None:
        """Tell all events, those that are there together at once; what ends them, when it is an error.

        Raises:
            LetGo: an event cannot be told while the database is away. Whoever comes back gets it then.
        """
        context, told = self._context, list[tuple[int, bytes]]()
        async with aclosing(await self._execution.start(context)) as results:
            async for result in results:
                if is_unavailable(result):
                    raise LetGo(DOUBTFUL)
                if errors := self._execution.errors(result):
                    return errors
                told.append((context.window.position, encode(self._execution.payload(result))))
                context.loaders = Loaders()
                if not context.window.more or len(told) >= AT_ONCE:
                    await self._tell(told)
                    told = []
                    await asyncio.sleep(0)  # what was written goes out
        return None

    async def _tell(self, told: list[tuple[int, bytes]]) -> None:
        """To all who have the right at this moment, also who has come while that was found out."""
        asked, admitted = set[Socket](), set[Socket]()
        while coming := {member.socket for member in self.members} - asked:
            asked |= coming
            admitted |= await self._sockets.admitted(coming)
        self.position, self.latest = told[-1][0], told[-1:]
        for member in self.members:
            if member.socket in admitted:
                member.tell(told)
            elif self._sockets.holds(member.socket):
                member.let_go(DOUBTFUL)


class Groups:
    """The groups of this process."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._groups: dict[Alike, Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def join(self, alike: Alike, member: Member, execution: Execution, principal: Principal) -> bool:
        """Let `member` be told with the others; False when they are ahead of it, so that it must catch up first."""
        group = self._groups.get(alike)
        if group is None or group.task.done():
            window = Window(start=member.since if alike.resumes else None)
            group = self._groups[alike] = Group(_context(alike, principal, window), execution, self._sockets)
        if alike.resumes and group.position > member.since:
            return False
        group.members.add(member)
        if not alike.resumes:
            member.tell(group.latest)
        member.ended.add_done_callback(partial(self._leave, alike, group, member))
        return True

    def _leave(self, alike: Alike, group: Group, member: Member, _ended: object) -> None:
        """The last one closes the door."""
        group.members.discard(member)
        if not group.members:
            group.task.cancel()
            if self._groups.get(alike) is group:
                del self._groups[alike]


def _context(alike: Alike, principal: Principal, window: Window) -> Context:
    """Whose rights a group acts with: those that its members share."""
    shared = replace(principal, caller=NOWHERE, session_id=None)
    if not alike.actor:
        shared = replace(shared, user_id=None, device_id=None, api_key_id=None)
    return Context(shared, window=window)
