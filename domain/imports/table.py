"""From lines to records. One that breaks the rules of CSV is told as such, and reading goes on in the next line."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

from core.errors import Invalid
from domain.imports import columns, text
from domain.imports.columns import Columns
from domain.imports.text import LINE_MOST, Encoding

DELIMITERS = ",;\t|"
SAMPLE_LINES = 50
TOO_LONG = f"The row is longer than {LINE_MOST:,} characters, or a quote in it is never closed."
QUOTES = "The quotes do not match: what begins with a quote ends with one, and a quote within is written twice."


@dataclass(frozen=True)
class Record:
    """A row of a file.

    Attributes:
        line: number of its first line, from 1.
        text: how it stands in the file.
        cells: what it holds; nothing when it cannot be read.
        fault: why it cannot be read; empty when it can.
    """

    line: int
    text: str
    cells: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A file that is understood; `records` are the rows below the header, read as they are asked for."""

    encoding: Encoding
    delimiter: str
    columns: Columns
    records: Iterator[Record]


class _TooLong(Exception):
    """A record takes more characters than any row should have."""


class _Feed:
    """Hands lines to a csv.reader, which takes as many as a record has, and takes back those that it misread."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._back: deque[str] = deque()
        self._size = 0
        self.taken: list[str] = []
        self.line = 1

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.taken.append(line)
        self._size += len(line)
        if self._size > LINE_MOST:
            raise _TooLong
        return line

    def begin(self) -> None:
        """What is taken from here on belongs to the next record."""
        self.line += len(self.taken)
        self.taken, self._size = [], 0

    def give_back(self) -> None:
        """All lines of this record but its first will be read again."""
        self._back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def record(self, cells: Sequence[str] = (), fault: str = "") -> Record:
        """The record that was taken."""
        return Record(self.line, "".join(self.taken).rstrip("\r\n"), tuple(cells), fault)


def records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    """The records of lines that have their ends. Blank ones are left out."""
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            feed.give_back()
            yield feed.record(fault=TOO_LONG if isinstance(error, _TooLong) else QUOTES)
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            continue
        if any(cell.strip() for cell in cells):
            yield feed.record(cells)


def delimiter_of(sample: Sequence[str]) -> str:
    """What separates the cells of these lines: comma, semicolon, tab or bar."""
    return max(DELIMITERS, key=lambda delimiter: _score(sample, delimiter))


def _score(sample: Sequence[str], delimiter: str) -> tuple[int, float, int]:
    """How many names of the header are known, how many rows are as long as the header, how many columns there are."""
    rows = list(records(iter(sample), delimiter))
    if not rows:
        return 0, 0.0, 0
    header, *rest = rows
    even = sum(len(row.cells) == len(header.cells) for row in rest)
    return columns.known(header.cells), even / max(len(rest), 1), len(header.cells)


def open_table(file: BinaryIO, encoding: str | None = None) -> Table:
    """Understand a file. It stays open and is read while the records are taken.

    Raises:
        Invalid: it is empty, no text, or its first row does not name columns that make a contact.
    """
    found = text.encoding_of(file, encoding)
    lines = text.lines(file, found.name)
    sample = list(islice(lines, SAMPLE_LINES))
    delimiter = delimiter_of(sample)
    rows = records(chain(sample, lines), delimiter)
    header = next(rows, None)
    if header is None:
        raise Invalid("The file is empty.")
    if header.fault:
        raise Invalid(f"The first row must name the columns. {header.fault}")
    return Table(found, delimiter, columns.read_header(header.cells), rows)
