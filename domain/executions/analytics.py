"""The numbers of a workflow: counts from its tallies, exact at every moment; times and days from its rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.errors import Invalid
from domain import timing
from domain.executions import tallies
from domain.executions.tallies import Numbers
from domain.workflows import definition, drafts, versions
from models.executions import StepStatus, WorkflowExecution, WorkflowStep
from models.workflows import Workflow, WorkflowVersion

DAYS_MOST = 365
SAMPLE = 10_000
"""Passes of a node, the newest ones of each version, from which its times are told."""


@dataclass(frozen=True)
class Counted:
    """What has become of those who came in: to a node, or to the whole workflow."""

    entered: int = 0
    passed: int = 0
    failed: int = 0
    exited: int = 0
    cancelled: int = 0

    @property
    def in_progress(self) -> int:
        """Who came in and has not ended."""
        return self.entered - self.passed - self.drop_off

    @property
    def drop_off(self) -> int:
        """Who ended here without going on."""
        return self.failed + self.exited + self.cancelled


@dataclass(frozen=True)
class Stats(Counted):
    """The counts of whole executions. Rates are None where nobody came in.

    Attributes:
        seconds: that all completed ones took, together.
    """

    converted: int = 0
    seconds: float = 0.0

    @property
    def total_executions(self) -> int:
        """All that ever began."""
        return self.entered

    @property
    def running(self) -> int:
        """Those that have not ended."""
        return self.in_progress

    @property
    def completed(self) -> int:
        """Those that came to their end."""
        return self.passed

    @property
    def completion_rate(self) -> float | None:
        """Completed over all."""
        return self.passed / self.entered if self.entered else None

    @property
    def conversion_rate(self) -> float | None:
        """With the goal reached, over all."""
        return self.converted / self.entered if self.entered else None

    @property
    def avg_duration(self) -> float | None:
        """Seconds that a completed one took; None before the first."""
        return self.seconds / self.passed if self.passed else None


@dataclass(frozen=True)
class NodeNumbers(Counted):
    """What has become of those who reached a node, and how many seconds they took there."""

    node_id: str = ""
    median_seconds: float | None = None
    p95_seconds: float | None = None


@dataclass(frozen=True)
class DayCount:
    """How many executions began on a day of the zone; `date` as 2026-01-31."""

    date: str
    count: int


@dataclass(frozen=True)
class Activity:
    """The counts of a workflow at one moment."""

    stats: Stats
    nodes: Sequence[NodeNumbers]


@dataclass(frozen=True)
class Analytics(Activity):
    """All numbers of a workflow."""

    time_zone: str
    executions_by_day: Sequence[DayCount]


async def stats(session: AsyncSession, workflow_ids: Collection[UUID]) -> Mapping[UUID, Stats]:
    """The counts of whole executions by workflow; of one without any nothing is told."""
    found = await tallies.of_workflows(session, workflow_ids)
    return {id_: _stats(numbers) for id_, numbers in found.items()}


def _stats(numbers: Numbers) -> Stats:
    return Stats(**{name: one for name, one in numbers.items() if name in Stats.__dataclass_fields__})


async def activity(session: AsyncSession, app_id: UUID, workflow_id: UUID, number: int | None = None) -> Activity:
    """The counts of a workflow, of one version or of all.

    Raises:
        NotFound: no such workflow in this app, or no such version of it.
    """
    _, drawn, chosen = await _chosen(session, app_id, workflow_id, number)
    return await _activity(session, app_id, drawn, chosen, {})


async def read(
    session: AsyncSession,
    app_id: UUID,
    workflow_id: UUID,
    *,
    number: int | None = None,
    days: int = 30,
    zone: str = "UTC",
) -> Analytics:
    """The numbers of a workflow, of one version or of all; `days` days of `zone`, today the last.

    Raises:
        NotFound: no such workflow in this app, or no such version of it.
        Invalid: `days` is not 1 to 365, or there is no such time zone.
    """
    zone = timing.zone(zone, "timeZone")
    if not 1 <= days <= DAYS_MOST:
        raise Invalid(f"days must be 1 to {DAYS_MOST}.", field="days")
    row, drawn, chosen = await _chosen(session, app_id, workflow_id, number)
    now_ = await _activity(session, app_id, drawn, chosen, await _seconds(session, app_id, chosen))
    by_day = await _by_day(session, row, chosen if number is not None else (), days, zone)
    return Analytics(now_.stats, now_.nodes, zone, by_day)


_Chosen = tuple[Workflow, Sequence[str], Sequence[UUID]]


async def _chosen(session: AsyncSession, app_id: UUID, workflow_id: UUID, number: int | None) -> _Chosen:
    """The workflow, its nodes in their order, and the versions that are asked for."""
    row = await drafts.get(session, app_id, workflow_id, field="workflowId")
    if number is not None:
        version = await versions.numbered(session, row, number, "version")
        return row, _nodes(version.definition), [version.id]
    newest = await versions.latest(session, row)
    own = sa.select(WorkflowVersion.id).where(WorkflowVersion.app_id == app_id, WorkflowVersion.workflow_id == row.id)
    return row, _nodes(newest.definition if newest else row.definition), list(await session.scalars(own))


def _nodes(json: object) -> list[str]:
    return [node.id for node in definition.parse(json).nodes]


_Times = Mapping[str, tuple[float, float]]


async def _activity(
    session: AsyncSession, app_id: UUID, drawn: Sequence[str], chosen: Sequence[UUID], times: _Times
) -> Activity:
    found = _merged(await tallies.of_versions(session, app_id, chosen))
    whole = _stats(found.pop(tallies.WHOLE, {}))
    names = dict.fromkeys([*drawn, *sorted(found)])
    return Activity(whole, [_node(name, found.get(name, {}), times) for name in names])


def _merged(by_place: Mapping[Any, Numbers]) -> dict[str, Numbers]:
    """The sums over versions, by node."""
    found: dict[str, Numbers] = {}
    for (_, node_id), numbers in by_place.items():
        sums = found.setdefault(node_id, {})
        for name, number in numbers.items():
            sums[name] = sums.get(name, 0) + number
    return found


def _node(node_id: str, numbers: Numbers, times: _Times) -> NodeNumbers:
    counts = {name: numbers.get(name, 0) for name in Counted.__dataclass_fields__}
    median, p95 = times.get(node_id, (None, None))
    return NodeNumbers(**counts, node_id=node_id, median_seconds=median, p95_seconds=p95)


async def _seconds(session: AsyncSession, app_id: UUID, version_ids: Sequence[UUID]) -> _Times:
    """The median and the 95th percentile of the seconds from reaching a node to leaving it, by node."""
    passed = await tallies.of_versions(session, app_id, version_ids)
    places = [place for place, numbers in passed.items() if place[1] != tallies.WHOLE and numbers["passed"]]
    if not places:
        return {}
    rows = await session.execute(times_of(app_id, places))
    return {node_id: (both[0], both[1]) for node_id, both in rows}


def times_of(app_id: UUID, places: Iterable[tuple[UUID, str]]) -> sa.Select[*tuple[Any, ...]]:
    """Reads by node both percentiles of the newest passes of some (version, node), by the index of passes."""
    asked = _pairs(places)
    took = sa.func.extract("epoch", WorkflowStep.ended_at - WorkflowStep.created_at).label("took")
    newest = sa.select(took).where(
        WorkflowStep.app_id == app_id,
        WorkflowStep.workflow_version_id == asked.c.version_id,
        WorkflowStep.node_id == asked.c.node_id,
        # written out, as the index is of these alone
        WorkflowStep.status == sa.literal_column(f"'{StepStatus.COMPLETED.value}'"),
    )
    some = newest.order_by(WorkflowStep.ended_at.desc()).limit(SAMPLE).lateral("some")
    shares = sa.func.percentile_cont(sa.literal([0.5, 0.95], sa.ARRAY(sa.Double()))).within_group(some.c.took)
    return sa.select(asked.c.node_id, shares).select_from(asked).join(some, sa.true()).group_by(asked.c.node_id)


def _pairs(places: Iterable[tuple[UUID, str]]) -> Any:
    """(version, node) pairs as a table."""
    version_ids, node_ids = zip(*places, strict=True)
    columns = (sa.column("version_id", sa.UUID()), sa.column("node_id", sa.Text()))
    ids = sa.cast(sa.literal(list(version_ids), sa.ARRAY(sa.UUID())), sa.ARRAY(sa.UUID()))
    names = sa.cast(sa.literal(list(node_ids), sa.ARRAY(sa.Text())), sa.ARRAY(sa.Text()))
    return sa.func.unnest(ids, names).table_valued(*columns).render_derived(name="asked")


async def _by_day(
    session: AsyncSession, row: Workflow, version_ids: Sequence[UUID], days: int, zone: str
) -> list[DayCount]:
    """Each day, also those without any."""
    today = now().astimezone(ZoneInfo(zone)).date()
    first = today - timedelta(days=days - 1)
    since = timing.local_instant(datetime.combine(first, time()), zone, zone)
    day = sa.cast(sa.func.timezone(zone, WorkflowExecution.created_at), sa.Date).label("day")
    rows = sa.select(day, sa.func.count().label("number")).where(
        WorkflowExecution.app_id == row.app_id,
        WorkflowExecution.workflow_id == row.id,
        WorkflowExecution.created_at >= since,
    )
    if version_ids:
        rows = rows.where(WorkflowExecution.workflow_version_id.in_(version_ids))
    found = {one.day: one.number for one in await session.execute(rows.group_by(sa.text("1")))}
    every = (first + timedelta(days=no) for no in range(days))
    return [DayCount(one.isoformat(), found.get(one, 0)) for one in every]
