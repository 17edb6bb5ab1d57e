"""The other ways into workflows: enrolments in slices, workflows that go by the clock, segments that are watched."""

import time
from uuid import UUID

import dramatiq
import structlog

from core.broker import wake
from core.database import transaction
from core.errors import Unavailable
from domain.enrolments import slices, ticking
from domain.enrolments.control import ENROLLER
from domain.executions.telling import RUNNER
from domain.watches import sweeping
from jobs import stopping

log = structlog.get_logger(__name__)
SWEEP_SECONDS = 0.3
"""For so long a clock sweeps at each of its ticks."""


@dramatiq.actor(actor_name=ENROLLER)
async def enrol_contacts() -> None:
    """Let in whom enrolments let in, until no slice is due."""
    await enrol_all()


async def enrol_all() -> None:
    """Let in the slices that are due, one after the other."""
    while not stopping.asked() and await _enrol():
        pass


async def _enrol() -> bool:
    """One slice; False when none is due. One that fails is tried again in a while, and keeps none of the others."""
    id_: UUID | None = None
    entered = 0
    try:
        async with transaction() as session:
            if (taken := await slices.next_(session)) is None:
                return False
            id_ = taken.id
            entered = await slices.go_on(session, taken)
    except Unavailable:
        raise
    except Exception:
        if id_ is None:
            raise
        log.exception("slice of an enrolment failed", enrolment=str(id_))
        async with transaction() as session:
            await slices.put_off(session, id_)
    if entered:
        await wake(RUNNER)
    return True


async def wake_enrolments() -> None:
    """Wake who lets contacts in when a slice is due: its wake-up or its worker may have got lost."""
    async with transaction() as session:
        is_due = await slices.waiting(session)
    if is_due:
        await wake(ENROLLER)


async def serve_schedules() -> None:
    """Let in whom workflows let in by the clock, now that their time has come."""
    async with transaction() as session:
        await ticking.tick(session)


async def sweep_segments() -> None:
    """Look after the watched segments for a short while; the next tick goes on where this one ends."""
    until = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < until and await _sweep():
        pass


async def _sweep() -> bool:
    """One slice; False when none is due. A segment whose slice fails keeps none of the others."""
    segment_id: UUID | None = None
    try:
        async with transaction() as session:
            watch = await sweeping.next_(session)
            if watch is None:
                return False
            segment_id = watch.segment_id
            await sweeping.go_on(session, watch)
    except Unavailable:
        raise
    except Exception:
        log.warning("segment not swept", segment=str(segment_id), exc_info=True)
        async with transaction() as session:
            await sweeping.put_off(session, segment_id)
    return True
