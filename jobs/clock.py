"""The clock: once a second it looks by index for what is due, and wakes it. Any number of clocks may run."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import structlog

from core.broker import wake
from core.database import dispose, transaction
from core.logging import configure_logging
from domain import facts, mails, retention, workflow_signals
from domain.attachments import sweeping
from domain.audit import keeping
from domain.broadcasts import expansion, starting, turns, variants
from domain.conversations import control
from domain.conversations.assignment import queueing
from domain.executions import claiming, signals, tallies
from domain.executions import control as executions
from domain.executions.telling import RUNNER
from domain.notifications import mailing
from domain.webhook_events.writing import DELIVERER
from domain.webhooks import claiming as deliveries
from jobs.broadcasts import expand_broadcast, wake_chunks
from jobs.entries import serve_schedules, sweep_segments, wake_enrolments

log = structlog.get_logger(__name__)
EVERY_SECONDS = 1.0
_tended: UUID | None = None


async def start_scheduled() -> None:
    """Start the broadcasts whose instant has come."""
    async with transaction() as session:
        await starting.start_due(session)


async def wake_facts() -> None:
    """Wake the dispatcher when facts wait: their own wake-up may have been lost."""
    async with transaction() as session:
        waiting = await facts.waiting(session)
    if waiting:
        await wake(facts.DISPATCHER)


async def wake_expansions() -> None:
    """Wake the broadcasts whose recipients are not all written."""
    async with transaction() as session:
        due = await expansion.due(session)
    for broadcast_id in due:
        await wake(expand_broadcast.actor_name, str(broadcast_id), queue=expand_broadcast.queue_name)


async def ripen_chunks() -> None:
    """Give back to their broadcasts the chunks whose deferred recipients are due."""
    async with transaction() as session:
        await turns.ripen(session)


async def decide_winners() -> None:
    """Choose the winning variants whose time has come."""
    async with transaction() as session:
        await variants.decide_due(session)


async def advance_stalled() -> None:
    """Go on with broadcasts of which no chunk has its turn: end them when nothing is left to send."""
    async with transaction() as session:
        for broadcast_id in await turns.stalled(session):
            await turns.advance(session, broadcast_id)


async def mail_notifications() -> None:
    """Write the mails of notifications that are due."""
    async with transaction() as session:
        await mailing.write_due(session)


async def wake_mails() -> None:
    """Wake the sender of mails when one is due: for the first time, again, or as its wake-up or worker got lost."""
    async with transaction() as session:
        waiting = await mails.waiting(session)
    if waiting:
        await wake(mails.SENDER)


async def wake_webhooks() -> None:
    """Wake who delivers webhooks when something is due: again, or as its wake-up or worker got lost."""
    async with transaction() as session:
        waiting = await deliveries.waiting(session)
    if waiting:
        await wake(DELIVERER)


async def wake_snoozed() -> None:
    """Bring back the snoozed conversations whose instant has come."""
    async with transaction() as session:
        await control.wake_due(session)


async def tend_queues() -> None:
    """Look after the queues of some apps that assign by themselves, and the next time after those of the next ones.

    What goes wrong with one keeps none of the others.
    """
    global _tended  # noqa: PLW0603  where this clock has got to
    async with transaction() as session:
        app_ids = await queueing.tending(session, _tended)
    _tended = app_ids[-1] if len(app_ids) == queueing.APPS_AT_ONCE else None
    for app_id in app_ids:
        try:
            await queueing.tend(app_id)
        except Exception:
            log.warning("queue not tended", app=str(app_id), exc_info=True)


async def wake_workflows() -> None:
    """Let held steps go on whose workflow is not paused any more; wake who looks at signals, or does steps, if any."""
    async with transaction() as session:
        await claiming.release(session)
        is_signalled, is_due = await signals.waiting(session), await claiming.waiting(session)
    if is_signalled:
        await wake(workflow_signals.LISTENER)
    if is_due:
        await wake(RUNNER)


async def wake_cancelling() -> None:
    """Wake who cancels the executions of workflows, while any are to be."""
    async with transaction() as session:
        waiting = await executions.is_cancelling(session)
    if waiting:
        await wake(executions.CANCELLER)


async def fold_counts() -> None:
    """Make sums of what workflows have counted."""
    async with transaction() as session:
        await tallies.fold(session)


async def keep_audit_log() -> None:
    """Make room in the audit log for the months to come, and drop those that are old."""
    async with transaction() as session:
        dropped = await keeping.keep(session)
    if dropped:
        log.info("months of the audit log dropped", count=dropped)


async def purge() -> None:
    """Delete some of what has been kept for long enough."""
    async with transaction() as session:
        await retention.purge(session)


async def sweep_attachments() -> None:
    """Remove files that no message has taken."""
    if gone := await sweeping.sweep():
        log.info("attachments swept", count=gone)


DUTIES: tuple[Callable[[], Awaitable[None]], ...] = (
    start_scheduled,
    wake_facts,
    wake_expansions,
    decide_winners,
    ripen_chunks,
    wake_chunks,
    advance_stalled,
    mail_notifications,
    wake_mails,
    wake_webhooks,
    wake_snoozed,
    tend_queues,
    wake_workflows,
    wake_cancelling,
    serve_schedules,
    wake_enrolments,
    sweep_segments,
    fold_counts,
    keep_audit_log,
    purge,
    sweep_attachments,
)


async def tick() -> None:
    """Do every duty once. One that fails is logged and tried again at the next tick; the others go on."""
    for duty in DUTIES:
        try:
            await duty()
        except Exception:
            log.warning("clock duty failed", duty=duty.__name__, exc_info=True)


async def run() -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    while not stop.is_set():
        await tick()
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_SECONDS):
                await stop.wait()
    await dispose()


if __name__ == "__main__":
    configure_logging()
    asyncio.run(run())
