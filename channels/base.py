"""What every channel is: takes messages, tells what came of each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid5

import structlog

log = structlog.get_logger(__name__)
_KEYS = UUID("6f2d3c5e-8a41-5b0c-9d77-0f6b1f0a4c11")


class Outgoing(NamedTuple):
    """A message on its way to one address.

    Attributes:
        key: identity of the send: the same however often it is handed over.
        device_id: the device, where it goes to one.
        contact_id: whom it is for, where that is known.
        address: push token, web push subscription as JSON, or e-mail address; empty for IN_APP.
        data: what the app finds beside the text.
        unsubscribe_url: where one click ends such messages; in e-mails.
        picture_url: where a picture is that nobody sees; whose program loads it has opened the e-mail.
    """

    key: str
    app_id: UUID
    device_id: UUID | None
    title: str
    body: str
    data: dict[str, Any] | None
    contact_id: UUID | None = None
    address: str = ""
    unsubscribe_url: str | None = None
    picture_url: str | None = None


class Code(StrEnum):
    """Why a message was not taken, the same for all channels. Stable, for programs."""

    DEVICE_GONE = "DEVICE_GONE"
    UNREGISTERED = "UNREGISTERED"
    BAD_TOKEN = "BAD_TOKEN"  # noqa: S105
    SENDER_MISMATCH = "SENDER_MISMATCH"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    REJECTED = "REJECTED"
    BOUNCED = "BOUNCED"
    ADDRESS_BLOCKED = "ADDRESS_BLOCKED"
    RATE_LIMITED = "RATE_LIMITED"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    UNREACHABLE = "UNREACHABLE"
    ACCOUNT_REFUSED = "ACCOUNT_REFUSED"
    NO_ANSWER = "NO_ANSWER"
    CRASHED = "CRASHED"


@dataclass(frozen=True, slots=True)
class Taken:
    """The channel has it. `provider_id` is what the provider calls it."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never be taken. With `dead_address` the provider says that nothing reaches this address any more."""

    code: Code
    dead_address: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """It was not taken, for sure; another try may be. `after_seconds`: not before, when the provider said so."""

    code: Code
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it was taken: it was handed over and no answer came."""

    code: Code


Result = Taken | Refused | Later | Unknown


class Outcome(NamedTuple):
    """What came of one message."""

    key: str
    result: Result


class Recovery(StrEnum):
    """What may be done when nobody knows whether a message was taken.

    REPEAT: send it again, the same key acts once. BLIND: never again, as the provider would deliver it twice.
    """

    REPEAT = "REPEAT"
    BLIND = "BLIND"


class Channel(Protocol):
    """A way to people. Broadcasts, workflow steps and agents' replies send through it alike."""

    recovery: Recovery

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send all of `batch` (one app's); returns the outcome of each, in any order. Never raises for a message."""
        ...


def key_id(key: str) -> UUID:
    """The key of a send in the form of a UUID, for providers that take no text."""
    return uuid5(_KEYS, key)


async def each(
    batch: Sequence[Outgoing], most: int, send: Callable[[Outgoing], Awaitable[Result]]
) -> Sequence[Outcome]:
    """Send every message by itself, `most` at a time. A bug in `send` is logged, and leaves its message Unknown."""
    waiting, outcomes = iter(batch), list[Outcome]()

    async def work() -> None:
        for outgoing in waiting:
            outcomes.append(Outcome(outgoing.key, await _guarded(send, outgoing)))

    await asyncio.gather(*(work() for _ in range(min(most, len(batch)))))
    return outcomes


async def _guarded(send: Callable[[Outgoing], Awaitable[Result]], outgoing: Outgoing) -> Result:
    try:
        return await send(outgoing)
    except Exception:
        log.exception("channel crashed", send=outgoing.key)
        return Unknown(Code.CRASHED)
