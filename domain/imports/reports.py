"""The rows that an import refused, as a CSV file that is safe to open in a spreadsheet."""

import csv
from dataclasses import dataclass
from typing import TextIO

HEADER = ("line", "reason", "row")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
TEXT_MOST = 2_000


@dataclass(frozen=True)
class Refused:
    """A row that was not imported: the number of its line, why, and how it stands in the file."""

    line: int
    reason: str
    text: str


class RefusedFile:
    """Writes refused rows into `file`: line, reason, row. A row is cut after 2,000 characters."""

    def __init__(self, file: TextIO) -> None:
        """Write the header."""
        self._writer = csv.writer(file)
        self._writer.writerow(HEADER)

    def write(self, refused: Refused) -> None:
        """Add a row."""
        self._writer.writerow((refused.line, guarded(refused.reason), guarded(refused.text[:TEXT_MOST])))


def guarded(cell: str) -> str:
    """`cell` in such a way that no spreadsheet takes it for a formula: with an apostrophe before what could be one."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
