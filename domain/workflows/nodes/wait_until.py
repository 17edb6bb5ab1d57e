"""Wait for a time of the day where the contact lives."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from domain import timing
from domain.timing import WEEK, Weekday
from domain.workflows.configs import Config, said
from domain.workflows.nodes.kind import NodeKind, Outcome, Scene
from domain.workflows.readers import TIME, TIME_ZONE, choices


@dataclass(frozen=True)
class WaitUntil(Config):
    """Until when."""

    time: str = said("A time on the contact's clock, from 00:00 to 23:59.", TIME)
    weekdays: tuple[Weekday, ...] | None = said("On which days; on any, when left out.", choices(Weekday), None)
    time_zone: str = said("The zone of contacts whose own is not known; UTC, when left out.", TIME_ZONE, "UTC")

    def due(self, after: datetime, zone: str | None) -> datetime:
        """The first instant from `after` on, in UTC, at which clocks in `zone` show the time on one of the days."""
        first = (after - timedelta(days=1)).date()  # zones are less than a day apart
        days = [first + timedelta(days=no) for no in range(len(WEEK) + 3)]
        at = time.fromisoformat(self.time)
        suiting = [day for day in days if not self.weekdays or WEEK[day.weekday()] in self.weekdays]
        instants = (timing.local_instant(datetime.combine(day, at), zone, self.time_zone) for day in suiting)
        return next(one for one in instants if one >= after)


async def _tried(config: WaitUntil, scene: Scene) -> Outcome:
    due = config.due(scene.at, scene.time_zone)
    return Outcome(due, f"It waits until {config.time} in {scene.time_zone or config.time_zone}.")


KIND = NodeKind(
    "wait_until", WaitUntil, "Waits for a time of the day, and of the week, where the contact lives.", tried=_tried
)
