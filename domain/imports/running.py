"""The whole import, slice by slice. It has its own transactions: one a slice."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from core.clock import now
from core.database import transaction
from core.errors import Invalid
from domain import features
from domain.features import Feature
from domain.imports.columns import Columns
from domain.imports.reports import Refused
from domain.imports.rows import Row, read_row
from domain.imports.table import Record, Table
from domain.imports.writing import Written, write
from domain.settings import standing as settings

SLICE = 1_000


@dataclass(frozen=True)
class Outcome:
    """What came of one slice; `refused` is in the order of lines."""

    created: int
    updated: int
    refused: list[Refused]


async def import_contacts(app_id: UUID, table: Table, country: str | None = None) -> AsyncIterator[Outcome]:
    """Import the rows of `table` into an app; yields after every slice, when it is committed.

    Args:
        app_id: the app.
        table: a file that is understood.
        country: ISO 3166 alpha-2, for national phone numbers of rows that name no country.

    Raises:
        FeatureDisabled: the app has switched importing off.
    """
    await _refuse_switched_off(app_id)
    at = now()
    for records in _slices(table.records):
        rows, refused = _read(records, table.columns, country)
        async with transaction() as session:
            written = await write(session, app_id, rows, at) if rows else Written(0, 0, [])
        lines = sorted([*refused, *written.refused], key=lambda one: one.line)
        yield Outcome(written.created, written.updated, lines)


async def _refuse_switched_off(app_id: UUID) -> None:
    async with transaction() as session:
        app = await settings.get(session, app_id)
    features.refuse(features.switched_off(app.features), Feature.BULK_IMPORT)


def _slices(records: Iterator[Record]) -> Iterator[list[Record]]:
    while part := list(islice(records, SLICE)):
        yield part


def _read(records: Sequence[Record], columns: Columns, country: str | None) -> tuple[list[Row], list[Refused]]:
    rows: list[Row] = []
    refused: list[Refused] = []
    for record in records:
        try:
            rows.append(read_row(record, columns, country))
        except Invalid as error:
            refused.append(Refused(record.line, error.message, record.text))
    return rows, refused
