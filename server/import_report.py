"""Shows an import while it runs, and says what came of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid
from rich.text import Text

from core.embedded import SetUpError
from domain.imports.reports import Refused, RefusedFile
from domain.imports.running import Outcome
from domain.imports.table import Table

SHOWN_MOST = 20
TEXT_MOST = 60
UTF_8_WITH_MARK = "utf-8-sig"  # spreadsheets take UTF-8 for something else without it


class Report:
    """Counts and shows the slices of one import; refused rows go into a file beside the imported one.

    Attributes:
        created: contacts created so far.
        updated: contacts updated so far.
        refused: rows refused so far.
    """

    def __init__(self, file: Path, source: BinaryIO) -> None:
        """Nothing is shown yet.

        Args:
            file: what is imported.
            source: the same, open; how far it has been read is how far the import is.
        """
        self.created = self.updated = self.refused = 0
        self._name, self._beside = file.name, file.with_suffix(".errors.csv")
        self._source, self._bytes = source, file.stat().st_size
        self._first: list[Refused] = []
        self._console = Console(highlight=False)
        self._bar: tuple[Progress, TaskID] | None = None
        self._file: RefusedFile | None = None

    def tell_format(self, table: Table) -> None:
        """Say how the file is read."""
        guess = " (a guess: name the right one by --encoding if names look wrong)" if table.encoding.guessed else ""
        delimiter = "tab" if table.delimiter == "\t" else table.delimiter
        self._say(f"{self._name}: encoding {table.encoding.name}{guess}, delimiter {delimiter}")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress during the block; at its end, however it ends, say what came of the import."""
        with self._refused_file(), self._progress():
            yield

    def add(self, outcome: Outcome) -> None:
        """Count and show a slice."""
        self.created += outcome.created
        self.updated += outcome.updated
        self.refused += len(outcome.refused)
        self._first += outcome.refused[: SHOWN_MOST - len(self._first)]
        if self._file:
            for refused in outcome.refused:
                self._file.write(refused)
        if self._bar:
            progress, task = self._bar
            progress.update(task, completed=self._source.tell(), description=self._totals())

    @contextmanager
    def _refused_file(self) -> Iterator[None]:
        """The file is opened first, so that nothing is imported when it cannot be written; it goes when it is empty."""
        try:
            sink = self._beside.open("w", encoding=UTF_8_WITH_MARK, newline="")
        except OSError as error:
            raise SetUpError(f"{self._beside} cannot be written: {error.strerror}.") from error
        with ExitStack() as stack:
            stack.callback(self._tell)
            stack.enter_context(sink)
            self._file = RefusedFile(sink)
            yield

    @contextmanager
    def _progress(self) -> Iterator[None]:
        columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            self._bar = (progress, progress.add_task(self._totals(), total=self._bytes))
            yield

    def _tell(self) -> None:
        if not self.refused:
            self._beside.unlink()
            self._say(self._totals())
            return
        self._console.print(_grid(self._first, self.refused))
        self._say(f"{self._totals()}. All refused rows: {self._beside}")

    def _totals(self) -> str:
        return f"{self.created:,} created, {self.updated:,} updated, {self.refused:,} refused"

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


def _grid(first: list[Refused], total: int) -> Grid:
    title = "Refused rows" if total <= len(first) else f"The first {len(first)} of {total:,} refused rows"
    grid = Grid("Line", "Reason", "Row", title=title)
    for one in first:
        grid.add_row(str(one.line), _plain(one.reason), _plain(one.text[:TEXT_MOST]))
    return grid


def _plain(text: str) -> Text:
    """`text` without anything that a terminal would act on."""
    return Text("".join(char if char.isprintable() else " " for char in text))
