"""What one device does: it receives its messages, and reports what a person does with them."""

from collections import deque
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from core.errors import Invalid
from domain.in_app_messages import ReceiptKind
from server.simulator.backoff import Backoff
from server.simulator.counts import Counts
from server.simulator.line import Frame, Line, LineFault

MESSAGES = "messages"
AT_ONCE = 10
SUBSCRIBE = "subscription ($after: Int!) { inAppMessageReceived(after: $after) { id sequence } }"
REPORT = "mutation ($input: ReportReceiptsInput!) { reportReceipts(input: $input) { userErrors { code message } } }"


@dataclass(frozen=True)
class Rates:
    """The shares of all messages, from 0 to 1, that are reported as delivered, as opened, as clicked.

    Each step is taken after the one before it: of the delivered messages `opened / delivered` are opened, and of these
    `clicked / opened` are clicked.

    Raises:
        Invalid: they are not in the order clicked <= opened <= delivered.
    """

    delivered: float = 1.0
    opened: float = 0.4
    clicked: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.clicked <= self.opened <= self.delivered <= 1:
            raise Invalid("The rates must keep 0 <= clicked <= opened <= delivered <= 1: each step follows the other.")

    def draw(self, chance: Random) -> list[ReceiptKind]:
        """The steps that happen with one message, in their order."""
        drawn = chance.random()
        reached = zip(ReceiptKind, (self.delivered, self.opened, self.clicked), strict=True)
        return [kind for kind, share in reached if drawn < share]


@dataclass
class Errand:
    """A message and the steps that are still to be reported about it."""

    message_id: str
    steps: deque[ReceiptKind]


class Device:
    """A device that remembers, over all its connections, what it has received and has still to report.

    Attributes:
        token: by which it proves itself.
        after: the `sequence` of the newest message it has.
    """

    def __init__(self, token: str, rates: Rates, chance: Random, counts: Counts) -> None:
        self.token = token
        self.after = 0
        self._rates, self._chance, self._counts = rates, chance, counts
        self._known: set[str] = set()
        self._waiting: deque[Errand] = deque()
        self._under_way: dict[str, Errand] = {}
        self._numbers = count(1)
        self._backoff = Backoff()

    async def live(self, line: Line) -> None:
        """Receive and report over this connection until it ends. What was under way before is reported again.

        Raises:
            ConnectionClosed, LineFault: it broke.
        """
        self._waiting.extendleft(reversed(self._under_way.values()))
        self._under_way.clear()
        await line.start(MESSAGES, SUBSCRIBE, {"after": self.after})
        await self._report(line)
        async for frame in line:
            if frame["id"] != MESSAGES:
                await self._reported(frame)
            elif frame["type"] == "complete":
                return
            else:
                self._receive(_data(frame)["inAppMessageReceived"])
            await self._report(line)

    def _receive(self, message: dict[str, Any]) -> None:
        self._counts.received += 1
        self.after = max(self.after, message["sequence"])
        if message["id"] in self._known:
            self._counts.repeated += 1
            return
        self._known.add(message["id"])
        self._queue(Errand(message["id"], deque(self._rates.draw(self._chance))))

    def _queue(self, errand: Errand) -> None:
        if errand.steps:
            self._waiting.append(errand)
        else:
            self._counts.finished += 1

    async def _report(self, line: Line) -> None:
        """Send the next step of waiting messages, a few at once: the server bounds the operations of a connection."""
        while self._waiting and len(self._under_way) < AT_ONCE:
            errand = self._waiting.popleft()
            operation_id = f"report-{next(self._numbers)}"
            self._under_way[operation_id] = errand
            receipt = {"messageId": errand.message_id, "kind": errand.steps[0].value}
            await line.start(operation_id, REPORT, {"input": {"receipts": [receipt]}})

    async def _reported(self, frame: Frame) -> None:
        """The server has taken a step, which is the same to it when it comes twice; or it could not, then wait."""
        errand = self._under_way.pop(frame["id"], None)
        if errand is None:  # the `complete` after an answer
            return
        try:
            _accept(frame)
        except LineFault as fault:
            self._counts.retries += 1
            self._counts.trouble = str(fault)
            self._waiting.append(errand)
            await self._backoff.wait()
        else:
            self._backoff.reset()
            self._counts.report(errand.steps.popleft().value)
            self._queue(errand)


def _accept(frame: Frame) -> None:
    """Raises LineFault when the server has not taken the report."""
    if errors := _data(frame)["reportReceipts"]["userErrors"]:
        raise LineFault(f"A report was refused: {errors[0]['message']}")


def _data(frame: Frame) -> dict[str, Any]:
    """The data of a `next` frame.

    Raises:
        LineFault: it brings an error.
    """
    payload = frame["payload"]
    errors = payload if frame["type"] == "error" else payload.get("errors")
    if errors:
        raise LineFault(f"The server answered: {errors[0]['message']}")
    data: dict[str, Any] = payload["data"]
    return data
