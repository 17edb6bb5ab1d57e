"""Webhooks on their way: one loop in each worker process has requests to all endpoints open at the same time.

So an endpoint that is slow takes places of its own, `domain.webhooks.pace.AT_ONCE` at most, and nobody's time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import dramatiq
import structlog

from channels.http import SECONDS, Answer, LostError, NotSentError, RefusedUrlError, retry_after
from core.broker import wake
from core.clock import now
from core.database import transaction
from core.errors import Unavailable
from domain.webhook_events.writing import DELIVERER
from domain.webhooks import claiming, pace, settling, signing
from domain.webhooks.claiming import Parcel
from domain.webhooks.settling import Tried
from jobs import channels, stopping
from models.webhooks import DeliveryFailure

log = structlog.get_logger(__name__)
AT_ONCE = 500
"""Requests that one process has open at the same time: those of fifty endpoints that do not answer."""
RUN_SECONDS = 120.0
"""After so long another wake-up goes on: an actor has five minutes."""
GATHER_SECONDS = 0.005
"""How long results are waited for that can be written together."""
LOOK_SECONDS = 0.25
"""While requests are open, how often it is looked for more that is due."""
AGAIN_SECONDS = 0.2
RETRIED = {429, 503}
BODY_CHARS = 4_096
HEADERS_SHOWN = 30
HEADER_CHARS = 500
SECRET_CHARS = 4
"""A shorter value of a header is found in every text."""
MASK = "•••"
if pace.TRY.total_seconds() < SECONDS:
    raise RuntimeError("domain.webhooks.pace.TRY must be as long as a request may take.")


@dramatiq.actor(actor_name=DELIVERER)
async def deliver_webhooks() -> None:
    """Send what is due, unless this process is at it already."""
    if _LOOP.running:
        _LOOP.called.set()
        return
    await _LOOP.run()


async def deliver_due() -> None:
    """Send what is due, until nothing is."""
    await _LOOP.run()


@dataclass
class _Loop:
    """The loop of this process."""

    running: bool = False
    called: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.Task[Tried]] = field(default_factory=set)

    async def run(self) -> None:
        """Claim, send, write down; until nothing is due and nothing is open."""
        self.running, end = True, monotonic() + RUN_SECONDS
        try:
            tried: list[Tried] = []
            while True:
                ends = stopping.asked() or monotonic() > end
                claimed = await self._turn(tried, 0 if ends else AT_ONCE - len(self.open))
                if claimed or self.open:
                    tried = await self._results()
                elif ends or not self._is_called():
                    break
                else:
                    tried = []
        finally:
            self.running = False
            self.called.clear()
        if monotonic() > end:
            await wake(DELIVERER)

    def _is_called(self) -> bool:
        """Whether somebody has called since it was last looked; what they mean may not have been seen yet."""
        is_called = self.called.is_set()
        self.called.clear()
        return is_called

    async def _turn(self, tried: Sequence[Tried], room: int) -> int:
        """Write what came of tries and take what is due, in one transaction; how many are taken."""
        parcels = await _written_and_claimed(tried, room)
        self.open |= {asyncio.create_task(attempt(one)) for one in parcels}
        return len(parcels)

    async def _results(self) -> list[Tried]:
        """Those that have come by the time somebody calls, or a moment has gone by."""
        called = asyncio.create_task(self.called.wait())
        done, _ = await asyncio.wait({*self.open, called}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        called.cancel()
        self.called.clear()
        if done:
            await asyncio.sleep(GATHER_SECONDS)
        ended = {task for task in self.open if task.done()}
        self.open -= ended
        return [task.result() for task in ended]


_LOOP = _Loop()


async def _written_and_claimed(tried: Sequence[Tried], room: int) -> list[Parcel]:
    """With the database away what came of tries is kept, as long as nobody else can have taken the deliveries."""
    end = monotonic() + claiming.lease().total_seconds()
    while True:
        try:
            async with transaction() as session:
                if tried:
                    await settling.settle(session, tried)
                return await claiming.claim(session, room) if room > 0 else []
        except Unavailable:
            if not tried or monotonic() > end:
                raise
        except Exception:
            if len(tried) <= 1:
                raise
            log.exception("webhooks not written together")
            await _written_alone(tried)
            tried = ()
        await asyncio.sleep(AGAIN_SECONDS)


async def _written_alone(tried: Sequence[Tried]) -> None:
    """One by one, so that one that cannot be written is tried again without the others."""
    for one in tried:
        try:
            async with transaction() as session:
                await settling.settle(session, [one])
        except Exception:
            log.exception("webhook not written", delivery=str(one.parcel.id))


async def attempt(parcel: Parcel) -> Tried:
    """Send one, once. Whatever goes wrong with it takes no other along."""
    at, began, headers = now(), monotonic(), dict[str, str]()
    try:
        headers = _headers(parcel, at)
        answer = await channels.http().post(parcel.url, parcel.body, headers)
    except Exception as error:  # noqa: BLE001 - see above
        shown = _shown(parcel, headers)
        return Tried(parcel, at, _since(began), failure=_failure(error), request_headers=shown)
    return Tried(
        parcel=parcel,
        at=at,
        milliseconds=_since(began),
        status_code=answer.status,
        failure=_verdict(answer.status),
        wait=retry_after(answer),
        busy=answer.status in RETRIED,
        request_headers=_shown(parcel, headers),
        response_headers=_shown(parcel, dict(list(answer.headers.items())[:HEADERS_SHOWN])),
        response_body=_masked(parcel, _text(answer))[:BODY_CHARS],
    )


def _since(began: float) -> int:
    return round(1000 * (monotonic() - began))


def _headers(parcel: Parcel, at: datetime) -> dict[str, str]:
    signed = signing.headers(parcel.message_id, at, parcel.body, parcel.secrets)
    return parcel.headers | {"Content-Type": "application/json"} | signed


def _failure(error: Exception) -> DeliveryFailure:
    match error:
        case RefusedUrlError():
            return DeliveryFailure.BLOCKED_URL
        case NotSentError():
            return DeliveryFailure.NOT_CONNECTED
        case LostError():
            return DeliveryFailure.NO_ANSWER
        case _:
            log.error("webhook broke", exc_info=error)
            return DeliveryFailure.NO_ANSWER


def _verdict(status: int) -> DeliveryFailure | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return DeliveryFailure.REDIRECTED
    return DeliveryFailure.GONE if status == 410 else DeliveryFailure.REFUSED


def _shown(parcel: Parcel, headers: dict[str, str]) -> dict[str, str]:
    """Headers as they may be seen."""
    own = {name.lower() for name in parcel.headers}
    return {
        _masked(parcel, name)[:HEADER_CHARS]: MASK if name.lower() in own else _masked(parcel, value)[:HEADER_CHARS]
        for name, value in headers.items()
    }


def _text(answer: Answer) -> str:
    """The beginning of what a receiver says: long enough to be masked before it is cut."""
    return answer.body[: 8 * BODY_CHARS].decode("utf-8", "replace")


def _masked(parcel: Parcel, text: str) -> str:
    """As it can be kept, without our secrets, should a receiver say them back."""
    kept = text if text.isascii() else text.encode("utf-8", "replace").decode()
    kept = kept.replace("\0", "�")
    for secret in (*parcel.secrets, *parcel.headers.values()):
        if len(secret) >= SECRET_CHARS:
            kept = kept.replace(secret, MASK)
    return kept
