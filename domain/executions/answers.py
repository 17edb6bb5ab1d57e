"""Calls of nodes to the outside, and what their answers mean. A step says that a call is made before it is made.

A call may be made again after a crash, always with the same key; a message by a provider that cannot be asked is not.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from core.clock import now
from domain.broadcasts.deciding import Send
from domain.broadcasts.results import Result as Sent
from domain.workflows.nodes.acts import Again, Calls, Done, Fails, Json, Message, Request, Result
from domain.workflows.nodes.kind import NEXT
from models.broadcasts import RecipientStatus
from models.executions import WorkflowStep

TRIES_MOST = 8
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(hours=1)
SLOW_STATUSES = frozenset({408, 425, 429})
SHOWN_MOST = 500
NUL = b"\\u0000"
SERVER_REFUSED, SERVER_ERROR = "SERVER_REFUSED", "SERVER_ERROR"
RESULTS = "results"
"""What has become of each target of a message, in the output of its step."""


@dataclass(frozen=True)
class Sending:
    """A call: hand some sends of one message to their channels.

    Attributes:
        targets: what each send goes to, by its `seq`: a device's id, or `email`.
    """

    app_id: UUID
    message: Message
    sends: Sequence[Send]
    targets: Sequence[str]


@dataclass(frozen=True)
class Asking:
    """A call: a request to a server. `key` is the same each time it is made."""

    key: str
    request: Request


Call = Sending | Asking


class Reply(NamedTuple):
    """What a server has answered.

    Attributes:
        status: of HTTP; None when there was no answer.
        body: at most 64 KiB.
        error: why there was no answer; stable, for programs.
        is_final: whether asking again is of no use.
        retry_after: seconds that the server asks to wait.
    """

    status: int | None
    body: bytes = b""
    error: str | None = None
    is_final: bool = False
    retry_after: float | None = None


Answer = Sequence[Sent] | Reply


def begin(step: WorkflowStep, calls: Calls | Sending) -> Call:
    """Note in the step that a call is about to be made."""
    step.called_at = now()
    call = calls if isinstance(calls, Sending) else _asking(step, calls)
    step.input = _shown(call)
    return call


def _asking(step: WorkflowStep, calls: Calls) -> Asking:
    if not isinstance(calls.call, Request):
        raise TypeError("a message is prepared before it is sent")
    return Asking(str(step.id), calls.call)


def _shown(call: Call) -> Json:
    """What operators see of a call. Headers may be secret."""
    if isinstance(call, Asking):
        asked = call.request
        return {"method": asked.method, "url": asked.url, "headers": sorted(asked.headers), "body": asked.body}
    said = call.message
    return {"channel": said.channel.value, "title": said.title, "body": said.body, "data": said.data}


def result(step: WorkflowStep, call: Call, answer: Answer) -> Result:
    """What an answer means for the step."""
    if isinstance(call, Asking):
        if not isinstance(answer, Reply):
            raise TypeError("a server answers with a reply")
        return _replied(step, call.request, answer)
    if isinstance(answer, Reply):
        raise TypeError("channels answer with results")
    return _sent(step, call, answer)


def _replied(step: WorkflowStep, request: Request, reply: Reply) -> Result:
    output: Json = {"status": reply.status, "body": _body(reply.body)}
    if reply.status is not None and reply.status in range(200, 300):
        return Done(NEXT, output)
    slow = reply.status is None or reply.status >= 500 or reply.status in SLOW_STATUSES
    again = slow and not reply.is_final and step.failures < request.retries
    said = f"The server answered {reply.status}." if reply.status else "The server did not answer."
    code = reply.error or (SERVER_ERROR if slow else SERVER_REFUSED)
    return Fails(code, said, _later(step, reply.retry_after) if again else None, output)


def _body(body: bytes) -> Any:
    """JSON as it is, anything else, and what PostgreSQL does not keep, as the beginning of its text."""
    with suppress(ValueError):
        if NUL not in body:
            return orjson.loads(body)
    return body.decode(errors="replace").replace("\x00", "")[:SHOWN_MOST]


def _later(step: WorkflowStep, seconds: float | None) -> datetime:
    pause = min(FIRST_PAUSE * 2**step.failures, LONGEST_PAUSE)
    return now() + (timedelta(seconds=seconds) if seconds is not None else pause)


def _sent(step: WorkflowStep, call: Sending, sent: Sequence[Sent]) -> Result:
    """Sent where it has reached one target; tried again for those that can be; else failed."""
    before = (step.output or {}).get(RESULTS, {})
    results = before | {call.targets[one.seq]: one.status.value for one in sent}
    output: Json = {RESULTS: results}
    waiting = [one for one in sent if one.status is RecipientStatus.DEFERRED]
    until = max((one.until or _later(step, None) for one in waiting), default=_later(step, None))
    refused = next((one for one in waiting if one.is_retry), None)
    if refused and step.failures < TRIES_MOST:
        return Fails(refused.code or "", "A channel has asked for another try later.", until, output)
    if not refused and (waiting or len(sent) < len(call.sends)):
        # a speed limit, or a database that was away: nobody has refused anything
        return Again(until, output)
    return concluded(step, results, next((one.code for one in sent if one.code), None))


def concluded(step: WorkflowStep, results: Mapping[str, str], code: str | None) -> Result:
    """What it means for a step that these have become of the targets of its message."""
    output: Json = {RESULTS: dict(results), "messageId": str(step.id)}
    for status in (RecipientStatus.SENT, RecipientStatus.UNCERTAIN, RecipientStatus.SKIPPED):
        if status.value in results.values():
            return Done(NEXT, output | {"status": status.value} | ({"code": code} if code else {}))
    failed = RecipientStatus.FAILED.value
    return Fails(code or failed, "No device or address took it.", None, output | {"status": failed})
