"""The commands for an operator: each as a process, against the database."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from core.database import transaction
from domain import sign_ins
from domain.principals import Caller
from models.apps import App
from models.contacts import Contact
from models.devices import Device
from server.cli import COMMANDS, app
from server.graphql.schema import schema
from tests.conftest import TEMPLATE, with_database
from tests.support import databases, factories
from tests.support.commands import replyhq
from tests.support.factories import Team

PASSWORD = "a password of the tests"


@pytest.fixture
def empty() -> Iterator[str]:
    """A database without any app."""
    url = os.environ["DATABASE_URL"]
    name = f"{urlsplit(url).path[1:]}_empty"
    databases.create(name, TEMPLATE)
    yield with_database(url, name)
    databases.drop(name)


async def count(app_id: object, table: type[Contact] | type[Device]) -> int | None:
    async with transaction() as session:
        return await session.scalar(sa.select(sa.func.count()).where(table.app_id == app_id))


async def test_schema_prints_the_schema() -> None:
    ended = await replyhq("schema")

    assert (ended.code, ended.out, ended.err) == (0, schema().as_str() + "\n", "")


async def test_create_app_makes_an_app_whose_owner_can_sign_in() -> None:
    words = ("create-app", "--name", "Umbrella", "--email", "Owner@Umbrella.example", "--owner-name", "Olga")

    ended = await replyhq(*words, REPLYHQ_PASSWORD=PASSWORD)

    assert (ended.code, ended.err) == (0, "")
    app_id = ended.out.split()[1]
    signed_in = await sign_ins.sign_in(Caller("10.0.0.1", ""), email="owner@umbrella.example", password=PASSWORD)
    assert str(signed_in.session.app_id) == app_id
    async with transaction() as session:
        assert await session.scalar(sa.select(App.name).where(App.id == app_id)) == "Umbrella"
    assert PASSWORD not in ended.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--password": "short"}, "Error: --password: A password has 12 to 128 characters."),
        ({"--owner-name": " "}, "Error: --owner-name: name must have 1 to 100 characters; it has 0."),
    ],
)
async def test_create_app_says_which_option_is_wrong(change: dict[str, str], said: str) -> None:
    good = {"--name": "A", "--email": "new@example.com", "--owner-name": "B", "--password": PASSWORD}

    ended = await replyhq("create-app", *(word for pair in (good | change).items() for word in pair))

    assert (ended.code, ended.out, ended.err.strip()) == (1, "", said)


async def test_create_app_refuses_an_email_that_is_taken(team: Team) -> None:
    words = ("create-app", "--name", "A", "--email", team.email, "--owner-name", "B")

    ended = await replyhq(*words, REPLYHQ_PASSWORD=PASSWORD)

    assert (ended.code, ended.err.strip()) == (1, "Error: An account with this e-mail exists; sign in instead.")


async def test_import_takes_the_good_rows_and_reports_the_others(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    good = [f"u{no}@example.com;User {no};0170 12345{no:02};ios" for no in range(30)]
    bad = [f"=nobody{no};Bad;;" for no in range(25)]
    file.write_text("\n".join(["E-Mail;Name;Phone;Platform", *good, *bad]))

    ended = await replyhq("import-contacts", str(file), "--email", team.email, "--country", "DE")

    assert ended.code == 0
    assert "people.csv: encoding utf-8-sig, delimiter ;" in ended.out
    assert "The first 20 of 25 refused rows" in ended.out
    assert ended.out.count("is not an e-mail address") == 20
    report = tmp_path / "people.errors.csv"
    assert ended.out.endswith(f"30 created, 0 updated, 25 refused. All refused rows: {report}\n")
    rows = list(csv.reader(report.read_text("utf-8-sig").splitlines()))
    reason = 'Column "E-Mail" is not an e-mail address, like ada@example.com.'
    assert rows == [
        ["line", "reason", "row"],
        *([str(32 + no), reason, f"'=nobody{no};Bad;;"] for no in range(25)),
    ]
    assert (await count(team.app_id, Contact), await count(team.app_id, Device)) == (30, 30)


async def test_import_again_updates_and_leaves_no_report(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("user id,name\n1,José\n".encode("cp1252"))
    (tmp_path / "people.errors.csv").write_text("of the import before")
    words = ("import-contacts", str(file), "--app-id", str(team.app_id))

    first, second = await replyhq(*words), await replyhq(*words)

    guess = "people.csv: encoding cp1252 (a guess: name the right one by --encoding if names look wrong), delimiter ,"
    assert first.out.splitlines() == [guess, "1 created, 0 updated, 0 refused"]
    assert second.out.splitlines() == [guess, "0 created, 1 updated, 0 refused"]
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", "Error: This is no text file; a CSV file is needed."),
        (b"email,name\n\n", "Error: There is nothing to import: no row stands below the header."),
    ],
)
async def test_import_of_what_is_no_table_is_refused_in_a_sentence(
    team: Team, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "people.csv"
    if content is not None:
        file.write_bytes(content)

    ended = await replyhq("import-contacts", str(file), "--email", team.email)

    assert ended.code == 1
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "people.errors.csv").exists()
    assert await count(team.app_id, Contact) == 0


async def test_import_of_bad_rows_only_fails(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text('email,note\nnobody,x\na@example.com,"never closed\n')

    ended = await replyhq("import-contacts", str(file), "--email", team.email)

    assert (ended.code, ended.err) == (1, "")
    assert "0 created, 0 updated, 2 refused" in ended.out


async def test_the_only_app_needs_no_name_and_several_are_listed(empty: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")
    create = ("create-app", "--owner-name", "Ada", "--name")

    none = await replyhq("import-contacts", str(file), DATABASE_URL=empty)
    made = [await replyhq(*create, "One", "--email", "one@example.com", REPLYHQ_PASSWORD=PASSWORD, DATABASE_URL=empty)]
    only = await replyhq("import-contacts", str(file), DATABASE_URL=empty)
    made += [await replyhq(*create, "Two", "--email", "two@example.com", REPLYHQ_PASSWORD=PASSWORD, DATABASE_URL=empty)]
    several = await replyhq("import-contacts", str(file), DATABASE_URL=empty)

    one, two = (ended.out.split()[1] for ended in made)
    assert (none.code, none.err) == (1, "Error: There is no app yet; make one with create-app.\n")
    assert (only.code, only.err) == (0, "")
    assert (several.code, several.err.splitlines()) == (
        1,
        [
            "Error: Several apps are meant; name one by its id:",
            f"  {one}  One  (one@example.com)",
            f"  {two}  Two  (two@example.com)",
        ],
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--app-id", "00000000-0000-7000-8000-00000000dead"), "Error: There is no such app."),
        (("--country", "XX"), "Error: --country is not a country code of two letters, like DE."),
    ],
)
async def test_options_that_lead_nowhere_are_told(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")

    ended = await replyhq("import-contacts", str(file), *words)

    assert (ended.code, ended.err.strip()) == (1, said)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody:x@127.0.0.1:9/none", "Error: A server cannot be reached: "),
        ("nonsense", "Error: DATABASE_URL must look like postgresql://user:password@host:5432/name."),
    ],
)
async def test_a_database_that_is_away_is_told_in_a_sentence(url: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")

    ended = await replyhq("import-contacts", str(file), DATABASE_URL=url)

    assert ended.code == 1
    assert ended.err.startswith(said)
    assert ended.err.count("\n") == 1


async def test_an_owner_is_found_and_an_agent_is_not(team: Team, tmp_path: Path) -> None:
    agent = await factories.team(factories.Role.AGENT, team.app_id)
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n")

    ended = await replyhq("import-contacts", str(file), "--email", agent.email)

    assert (ended.code, ended.err) == (1, "Error: There is no such app.\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    ended = CliRunner().invoke(app, [name, "--help"])
    assert ended.exit_code == 0, ended.stderr
    assert "Usage:" in ended.stdout
