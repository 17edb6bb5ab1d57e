"""`replyhq import-contacts`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from core.embedded import SetUpError
from core.errors import Invalid
from domain import checks
from domain.imports.running import import_contacts as import_table
from domain.imports.table import open_table
from server.cli_support import APP_ID_HELP, EMAIL_HELP, chosen_app, run
from server.import_report import Report

COUNTRY_HELP = "Country of national phone numbers in rows that name none, like DE."
ENCODING_HELP = "How the text is encoded, like windows-1252. Found out when not given."


@dataclass(frozen=True)
class Wish:
    """What the command line says."""

    app_id: str | None
    email: str | None
    country: str | None
    encoding: str | None


def import_contacts(
    file: Annotated[Path, typer.Argument(help="A CSV file whose first row names the columns.")],
    *,
    email: Annotated[str | None, typer.Option(help=EMAIL_HELP)] = None,
    app_id: Annotated[str | None, typer.Option(help=APP_ID_HELP)] = None,
    country: Annotated[str | None, typer.Option(help=COUNTRY_HELP)] = None,
    encoding: Annotated[str | None, typer.Option(help=ENCODING_HELP)] = None,
) -> None:
    """Import contacts from a CSV file. The same file may come again: contacts that are known are updated.

    Columns, in any order and spelling: external id (or user id), name, e-mail (or mail), phone, country, platform,
    locale, time zone, plan, tags (separated by ;). Every other column becomes an attribute. Contacts are recognised by
    external id, else by e-mail, else by phone; empty cells leave what they have. Rows that break a rule are left out
    and listed in FILE.errors.csv.
    """
    with _opened(file) as source:
        report = Report(file, source)
        run(_import(source, Wish(app_id, email, country, encoding), report))
    if not report.created + report.updated:
        raise typer.Exit(1)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        source = file.open("rb")
    except OSError as error:
        raise SetUpError(f"{file} cannot be read: {error.strerror}.") from error
    with source:
        if not source.seekable():
            raise SetUpError(f"{file} must be a file on disk: it is read twice.")
        yield source


async def _import(source: BinaryIO, wish: Wish, report: Report) -> None:
    country = checks.country(wish.country, "--country")
    table = open_table(source, wish.encoding)
    app = await chosen_app(wish.app_id, wish.email)
    report.tell_format(table)
    with report.shown():
        async for outcome in import_table(app.id, table, country):
            report.add(outcome)
    if not report.created + report.updated + report.refused:
        raise Invalid("There is nothing to import: no row stands below the header.")
