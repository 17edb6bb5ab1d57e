"""Workflows at work: signals let contacts in, steps are done one after the other, calls are made to the outside."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import dramatiq
import structlog

from channels.http import LostError, NotSentError, RefusedUrlError, retry_after
from core.config import config
from core.database import transaction
from core.errors import Unavailable
from core.json import encode
from domain import workflow_signals
from domain.broadcasts.results import Result as SendResult
from domain.executions import claiming, control, signals, stepping
from domain.executions.advancing import Claim
from domain.executions.answers import Answer, Asking, Call, Reply, Sending
from domain.executions.stepping import Next
from domain.executions.telling import RUNNER
from jobs import sending, stopping
from jobs.channels import http
from models.workflow_signals import WorkflowSignal

log = structlog.get_logger(__name__)
AT_ONCE = 16
"""Executions that one actor moves on at the same time."""
RENEWALS = 3
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
    """Take one signal; False when there is none."""
    taken: WorkflowSignal | None = None
    try:
        async with transaction() as session:
            taken = await signals.next_(session)
            if taken is None:
                return False
            await signals.take(session, taken)
    except Unavailable:
        raise
    except Exception:
        log.exception("signal not taken")
        await _put_signal_off(taken)
    return True


async def _put_signal_off(taken: WorkflowSignal | None) -> None:
    if taken is not None:
        async with transaction() as session:
            signals.fail(await session.merge(taken, load=False))


async def run_due() -> None:
    """Do the steps that are due, a few executions at once, until none is; keep them while that takes long."""
    held: set[Claim] = set()
    keeping = asyncio.create_task(_keep(held))
    try:
        while not stopping.asked():
            async with transaction() as session:
                claims = await claiming.claim(session, AT_ONCE)
            if not claims:
                return
            await asyncio.gather(*(_follow(claim, held) for claim in claims))
    finally:
        keeping.cancel()


async def _keep(held: set[Claim]) -> None:
    while True:
        await asyncio.sleep(config().lease_seconds / RENEWALS)
        with suppress(Unavailable):
            async with transaction() as session:
                await claiming.renew(session, list(held))


async def _follow(claim: Claim, held: set[Claim]) -> None:
    """One step after the other of one execution, as far as this worker has them."""
    following: Claim | None = claim
    while following is not None:
        held.add(following)
        try:
            after = await _do(following)
        finally:
            held.discard(following)
        following = after


async def _do(claim: Claim) -> Claim | None:
    """One step; returns the one that follows. What breaks it is noted, and hurts no other execution."""
    try:
        taken = await _in_transaction(lambda session: stepping.take(session, claim))
        if taken.call is None:
            return taken.claim
        call, answer = taken.call, await _make(taken.call)
        return (await _in_transaction(lambda session: stepping.answered(session, claim, call, answer))).claim
    except Unavailable:
        return None  # its lease runs out, and somebody takes it up again
    except Exception as error:
        log.exception("step broke", step=str(claim.step_id))
        broken = error
    async with transaction() as session:
        await stepping.broke(session, claim, broken)
    return None


async def _in_transaction(do: "Callable[..., Awaitable[Next]]") -> Next:
    async with transaction() as session:
        return await do(session)


async def _make(call: Call) -> Answer:
    return await _send(call) if isinstance(call, Sending) else await _ask(call)


async def _send(call: Sending) -> Sequence[SendResult]:
    return [sent.result for sent in await sending.send(call.app_id, call.sends)]


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
