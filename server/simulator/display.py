"""How a simulation looks: a live table on a terminal, a line for scripts, a summary at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from server.simulator.counts import Counts

FRAMES_A_SECOND = 4


class Display:
    """Shows counts: while it runs on stderr, the summary on stdout."""

    def __init__(self, counts: Counts, *, json: bool) -> None:
        """Nothing is shown yet.

        Args:
            counts: what is shown.
            json: the summary is one line of JSON instead of a table.
        """
        self._counts, self._json = counts, json
        self._aside = Console(stderr=True, highlight=False)
        self._told = False

    def say(self, line: str) -> None:
        """A line beside the table."""
        self._aside.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the table up to date during the block, where a person watches."""
        if not self._aside.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: _grid(self._counts),
            console=self._aside,
            refresh_per_second=FRAMES_A_SECOND,
            transient=True,
        ):
            yield

    def tell_connected(self) -> None:
        """Say once, when it is so, that all devices are connected."""
        if not self._told and self._counts.connected == self._counts.devices:
            self._told = True
            self.say(f"All {self._counts.devices} devices are connected.")

    def summary(self, last: Counts) -> None:
        """Print the counts at the end."""
        if self._json:
            typer.echo(orjson.dumps(last.summary()))
        else:
            Console().print(_grid(last))


def _grid(counts: Counts) -> Table:
    grid = Table("What", "Count", title="Simulated devices")
    grid.columns[1].justify = "right"
    rows = {
        "Connected": f"{counts.connected:,} of {counts.devices:,}",
        "Messages received": f"{counts.received:,}",
        "Distinct": f"{counts.distinct:,}",
        "Repeated": f"{counts.repeated:,}",
        "Reported delivered": f"{counts.delivered:,}",
        "Reported opened": f"{counts.opened:,}",
        "Reported clicked": f"{counts.clicked:,}",
        "Reconnects": f"{counts.reconnects:,}",
        "Retried reports": f"{counts.retries:,}",
        "Refused": f"{counts.refused:,}",
    }
    for what, count in rows.items():
        grid.add_row(what, count)
    if counts.trouble:
        grid.caption = Text(f"Last trouble: {counts.trouble}")
    return grid
