"""Workflows at work: signals let contacts in, steps are done one after the other, calls are made to the outside."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from uuid import UUID

import dramatiq
import structlog

from channels.http import LostError, NotSentError, RefusedUrlError, retry_after
from core.config import config
from core.database import transaction
from core.errors import Unavailable
from core.json import encode
from domain import bulk, workflow_signals
from domain.broadcasts.results import Result as SendResult
from domain.executions import claiming, control, signals, stepping
from domain.executions.advancing import Claim
from domain.executions.answers import Answer, Asking, Call, Reply, Sending
from domain.executions.telling import RUNNER
from jobs import sending, stopping
from jobs.channels import http

log = structlog.get_logger(__name__)
AT_ONCE = 16
"""Executions that one actor moves on at the same time."""
RENEWALS = 3
ANSWERS_SECONDS = 120.0
"""How long an answer is kept that cannot be written."""
AGAIN_SECONDS = 0.2
KEY_HEADER = "Idempotency-Key"
JSON_TYPE = {"Content-Type": "application/json"}


@dramatiq.actor(actor_name=workflow_signals.LISTENER)
async def take_signals() -> None:
    """Look at all signals that wait, then do the steps of whom they let in."""
    await take_all()
    await run_due()


@dramatiq.actor(actor_name=RUNNER)
async def run_steps() -> None:
    """Do all steps that are due, and those that follow."""
    await run_due()


@dramatiq.actor(actor_name=control.CANCELLER)
async def cancel_executions() -> None:
    """Cancel all executions that operators want to be cancelled."""
    await cancel_wanted()


async def cancel_wanted() -> None:
    """Cancel them, some in each transaction."""
    more = True
    while more and not stopping.asked():
        async with transaction() as session:
            more = await control.cancel_some(session)


async def take_all() -> None:
    """Look at all signals that wait."""
    while not stopping.asked() and await _take_signal():
        pass


async def _take_signal() -> bool:
    """Take one signal; False when there is none. One that breaks is put off and keeps none of the others."""
    id_: UUID | None = None
    try:
        async with transaction() as session:
            if (signal := await signals.next_(session)) is None:
                return False
            id_ = signal.id
            await signals.take(session, signal)
    except Unavailable:
        raise
    except Exception:
        if id_ is None:
            raise
        log.exception("signal not taken", signal=str(id_))
        async with transaction() as session:
            await signals.put_off(session, id_)
    return True


async def run_due() -> None:
    """Do the steps that are due, a few executions at once, until none is; keep them while that takes long."""
    held: set[Claim] = set()
    keeping = asyncio.create_task(_keep(held))
    going: set[asyncio.Task[None]] = set()
    try:
        while True:
            claims = await _claim(AT_ONCE - len(going))
            going |= {asyncio.create_task(_follow(one, held)) for one in claims}
            if not going:
                return
            _, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await asyncio.gather(*going, return_exceptions=True)
        keeping.cancel()


async def _claim(most: int) -> list[Claim]:
    if stopping.asked() or not most:
        return []
    async with transaction() as session:
        return await claiming.claim(session, most)


async def _keep(held: set[Claim]) -> None:
    while True:
        await asyncio.sleep(config().lease_seconds / RENEWALS)
        try:
            async with transaction() as session:
                await claiming.renew(session, list(held))
        except Exception:
            log.warning("steps not renewed", exc_info=True)


async def _follow(claim: Claim, held: set[Claim]) -> None:
    """One step after the other of one execution, as far as this worker has them.

    What goes wrong beyond the step is the end of it here: its lease runs out, and somebody takes it up again.
    """
    following: Claim | None = claim
    while following is not None and not stopping.asked():
        held.add(following)
        try:
            after = await _do(following)
        except Exception:
            log.warning("step not done", step=str(following.step_id), exc_info=True)
            after = None
        finally:
            held.discard(following)
        following = after


async def _do(claim: Claim) -> Claim | None:
    """One step; returns the one that follows. What breaks it is noted, and hurts no other execution."""
    try:
        async with transaction() as session:
            taken = await stepping.take(session, claim)
        return await _called(claim, taken.call) if taken.call else taken.claim
    except Unavailable:
        raise
    except Exception as error:
        log.exception("step broke", step=str(claim.step_id))
        broken = error
    async with transaction() as session:
        await stepping.broke(session, claim, broken)
    return None


async def _called(claim: Claim, call: Call) -> Claim | None:
    """Make a call. Its answer is kept while the database is away: nobody else can take the step meanwhile."""
    answer, end = await _make(call), monotonic() + ANSWERS_SECONDS
    while True:
        try:
            async with transaction() as session:
                return (await stepping.answered(session, claim, call, answer)).claim
        except Unavailable:
            if monotonic() > end:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


async def _make(call: Call) -> Answer:
    return await _send(call) if isinstance(call, Sending) else await _ask(call)


async def _send(call: Sending) -> Sequence[SendResult]:
    done = await sending.send(call.app_id, call.sends)
    if dead := dict(one.dead_token for one in done if one.dead_token):
        with suppress(Unavailable):  # the provider says it again the next time
            async with transaction() as session:
                await bulk.forget_push_tokens(session, call.app_id, dead)
    return [sent.result for sent in done]


async def _ask(call: Asking) -> Reply:
    """Make a request. Its key is the same each time, so that a server can tell that it has it already."""
    asked = call.request
    body = None if asked.body is None else encode(asked.body)
    headers = {**(JSON_TYPE if body is not None else {}), **asked.headers, KEY_HEADER: call.key}
    try:
        answer = await http().request(asked.method, asked.url, body, headers, seconds=asked.timeout_seconds)
    except RefusedUrlError:
        return Reply(None, error="ADDRESS_BLOCKED", is_final=True)
    except (NotSentError, LostError) as error:
        return Reply(None, error="NO_ANSWER" if isinstance(error, LostError) else "UNREACHABLE")
    return Reply(answer.status, answer.body, retry_after=retry_after(answer))
