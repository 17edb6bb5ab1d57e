"""A simulation from beginning to end."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

from models.apps import App
from server.simulator.counts import Counts
from server.simulator.device import Device, Rates
from server.simulator.display import Display
from server.simulator.fleet import Fleet
from server.simulator.supply import supply

LOOK_SECONDS = 0.1
STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        url: the API's websocket.
        count: devices.
        rates: what they report.
        seconds: after how many to end; None is never.
        expect: to end when so many messages have come and been reported; None is never.
        seed: makes chance the same every time, device by device.
    """

    url: str
    count: int
    rates: Rates
    seconds: float | None = None
    expect: int | None = None
    seed: int | None = None

    def chance(self, number: int) -> Random:
        """The chance of one device."""
        return Random() if self.seed is None else Random(f"{self.seed}:{number}")  # noqa: S311


async def simulate(app: App, plan: Plan, display: Display, counts: Counts) -> Counts:
    """Run the devices until SIGINT, SIGTERM or the plan's end, or until the server has refused them all.

    Returns:
        The counts at the end, before the connections were closed.
    """
    supplied = await supply(app.id, plan.count)
    if supplied.added:
        display.say(f"{app.name} had too few devices: added {supplied.added} contacts, named Simulated, with one each.")
    devices = [
        Device(token, plan.rates, plan.chance(number), counts) for number, token in enumerate(supplied.tokens, start=1)
    ]
    display.say(f"Connecting {plan.count} devices of {app.name} to {plan.url}; Ctrl-C ends it.")
    fleet = asyncio.create_task(Fleet(plan.url, devices, counts).run())
    with _stopping() as stop, display.live():
        await _watch(fleet, plan, stop, display, counts)
        last = replace(counts)
        fleet.cancel()
        with suppress(asyncio.CancelledError):
            await fleet
    return last


async def _watch(
    fleet: "asyncio.Task[None]", plan: Plan, stop: asyncio.Event, display: Display, counts: Counts
) -> None:
    end = time.monotonic() + plan.seconds if plan.seconds is not None else float("inf")
    expected = plan.expect if plan.expect is not None else float("inf")
    while not fleet.done() and not stop.is_set() and time.monotonic() < end and counts.finished < expected:
        display.tell_connected()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()


@contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set during the block."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for sign in STOPS:
        loop.add_signal_handler(sign, stop.set)
    try:
        yield stop
    finally:
        for sign in STOPS:
            loop.remove_signal_handler(sign)
