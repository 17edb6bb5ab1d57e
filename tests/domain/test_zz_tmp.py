"""CSV files as people have them: from bytes to contacts. Nothing here touches a database."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from domain import contacts
from domain.imports.reports import Refused, RefusedFile, guarded
from domain.imports.rows import Key, Row, read_row
from domain.imports.table import Table, open_table
from domain.imports.text import LINE_MOST
from models.devices import Platform

ANY_TEXT = settings(deadline=None, max_examples=6000)


def table(content: str | bytes, encoding: str | None = None) -> Table:
    return open_table(io.BytesIO(content.encode() if isinstance(content, str) else content), encoding)


def read(content: str | bytes, country: str | None = None) -> Iterator[Row | Refused]:
    """Every row, or why it was refused."""
    understood = table(content)
    for record in understood.records:
        try:
            yield read_row(record, understood.columns, country)
        except Invalid as error:
            yield Refused(record.line, error.message, record.text)


def only(content: str | bytes, country: str | None = None) -> Row:
    (row,) = read(content, country)
    assert isinstance(row, Row), row
    return row


def reasons(content: str | bytes) -> dict[int, str]:
    return {one.line: one.reason for one in read(content) if isinstance(one, Refused)}


def lines_read(content: str) -> list[int]:
    return [one.record.line for one in read(content) if isinstance(one, Row)]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("email,name\na@example.com,José\n".encode(), "utf-8-sig"),
        ("email,name\na@example.com,José\n".encode("utf-8-sig"), "utf-8-sig"),
        ("email,name\na@example.com,José\n".encode("utf-16"), "utf-16"),
        ("email,name\na@example.com,José\n".encode("cp1252"), "cp1252"),
    ],
)
def test_text_is_read_in_its_encoding(content: bytes, encoding: str) -> None:
    assert table(content).encoding.name == encoding
    assert only(content).fields["name"] == "José"


def test_only_what_is_not_said_by_the_file_is_a_guess() -> None:
    assert not table("email\n").encoding.guessed
    assert table("email\nJosé".encode("cp1252")).encoding.guessed
    assert table("email\n田中太郎, 佐藤花子".encode("cp932")).encoding.name == "cp932"
    assert not table("email\nJosé".encode("cp1252"), "windows-1252").encoding.guessed


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (b"", None, "empty"),
        (b"\n\n , \n", None, "name the columns"),
        (b"\n \n", None, "empty"),
        (b"PK\x03\x04 and so on", None, "Excel"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", None, "no text file"),
        (b"email\nJos\xe9", "utf-8", "not in the encoding utf-8"),
        (b"email\n", "klingon", "no encoding 'klingon'"),
        (b"email\n", "hex", "no encoding 'hex'"),
        (b"a@example.com,Ada\n", None, "name the columns"),
        (b"foo,bar\n1,2\n", None, 'it has "foo", "bar"'),
        (b"name,plan\nAda,pro\n", None, "external id, e-mail or phone"),
        (b"email,E-Mail\n", None, 'columns "email" and "E-Mail" mean the same'),
        (b"email,size,size\n", None, 'columns "size" and "size" mean the same'),
        (b"email,,name\n", None, "column 2"),
        (b"email,a\x07b\n", None, "column 2 holds a control character"),
        (b'"email,name\n', None, "quotes do not match"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_in_a_sentence(
    content: bytes, encoding: str | None, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        table(content, encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    content = f'email{delimiter}name{delimiter}note\na@example.com{delimiter}Ada{delimiter}"x,;|\t"\n'

    assert table(content).delimiter == delimiter
    assert only(content).fields["attributes"] == {"note": "x,;|"}


@pytest.mark.parametrize(
    ("spelling", "field"),
    [
        *[(name, "external_id") for name in ("external_id", "externalId", "External ID", "user_id", "USER-ID")],
        *[(name, "emails") for name in ("email", "e-mail", "E-Mail", " mail ")],
        *[(name, "time_zone") for name in ("time zone", "timeZone", "TIME_ZONE", "timezone")],
        *[(name, name.lower()) for name in ("Name", "Country", "Platform", "Locale", "PLAN", "tags")],
    ],
)
def test_columns_are_known_however_they_are_written(spelling: str, field: str) -> None:
    assert table(f"phone,{spelling}\n").columns.fields == ("phones", field)


def test_a_row_becomes_a_contact() -> None:
    row = only(
        "External ID;Name;E-Mail;Phone;Country;Platform;Locale;Time Zone;Plan;Tags;Company;Note;;\n"
        '7; Ada ;ADA@Example.com;0170 1234567;de;ios;de-DE;Europe/Berlin;pro;" a;b;; a ";Acme;;;\n'
    )

    assert (row.key, row.platform) == (Key("external_id", "7"), Platform.IOS)
    assert row.fields == {
        "external_id": "7",
        "name": "Ada",
        "emails": ["ada@example.com"],
        "phones": ["+491701234567"],
        "locale": "de-DE",
        "time_zone": "Europe/Berlin",
        "country": "DE",
        "plan": "pro",
        "tags": ["a", "b"],
        "attributes": {"Company": "Acme"},
    }


def test_a_national_number_is_of_the_row_or_of_the_import() -> None:
    content = "phone,country\n079 123 45 67,\n030 1234567,DE\n"
    rows = [row for row in read(content, "CH") if isinstance(row, Row)]

    assert [row.key for row in rows] == [Key("phones", "+41791234567"), Key("phones", "+49301234567")]
    assert [row.fields["country"] for row in rows] == [None, "DE"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("E-Mail=nobody", 'Column "E-Mail" is not an e-mail address'),
        ("Phone=abc", 'Column "Phone" is not a phone number'),
        ("Phone=0170 1234567", 'Column "Phone" is not a phone number'),
        ("Country=Germany", 'Column "Country" is not a country code'),
        ("Platform=fax", 'Column "Platform" is none of IOS, ANDROID, WEB, WHATSAPP'),
        ("Locale=german!", 'Column "Locale" is not a language tag'),
        ("Time zone=Europe/Nowhere", 'Column "Time zone" is not a time zone'),
        (f"Plan={'x' * 101}", 'Column "Plan" must have 1 to 100 characters; it has 101'),
        (f"Tags=ok;{'x' * 51}", 'Column "Tags" must have 1 to 50 characters; it has 51'),
        (f"Tags={';'.join(map(str, range(51)))}", 'Column "Tags" may hold at most 50'),
        ("Name=a\0b", 'Column "Name" holds a control character'),
        ("Note=a\0b", "attributes holds a NUL character"),
        (f"Note={'x' * 17_000}", "attributes must be at most 16384 bytes"),
    ],
)
def test_a_broken_rule_names_the_column(cell: str, said: str) -> None:
    name, _, value = cell.partition("=")

    assert reasons(f'User ID,{name}\n1,"{value}"\n')[2].startswith(said)


def test_a_row_that_nothing_identifies_is_refused() -> None:
    assert "could not be recognised" in reasons("email,name\n,Ada\n")[2]


def test_ragged_rows_are_refused_but_empty_cells_at_the_end_are_not() -> None:
    content = "email,name\na@example.com\nb@example.com,Bob,more\nc@example.com,Cy,,\n"

    assert reasons(content) == {
        2: "The row has 1 cells; the header has 2.",
        3: "The row has 3 cells; the header has 2.",
    }
    assert lines_read(content) == [4]


def test_after_an_open_quote_reading_goes_on_in_the_next_line() -> None:
    content = 'email,name\na@example.com,"Ada\nb@example.com,Bob\nc@example.com,"Cy "" X"\nd@example.com,"D"x\n'

    assert lines_read(content) == [3, 4]
    assert {line: reason[:10] for line, reason in reasons(content).items()} == {2: "The quotes", 5: "The quotes"}


def test_a_cell_may_have_lines_and_the_row_has_the_number_of_its_first() -> None:
    content = 'email,note\r\n\r\na@example.com,"one\r\ntwo"\r\n , \r\nb@example.com,x'

    assert lines_read(content) == [3, 6]
    assert only(content.rpartition("\r\n")[0]).fields["attributes"] == {"note": "one\r\ntwo"}


def test_a_file_of_an_old_mac_has_lines_too() -> None:
    assert lines_read("email,name\ra@example.com,Ada\rb@example.com,Bob") == [2, 3]


def test_a_huge_cell_costs_its_row_only() -> None:
    content = f"email,note\na@example.com,{'x' * 2_000_000}\nb@example.com,y\n"

    assert lines_read(content) == [3]
    assert f"longer than {LINE_MOST:,} characters" in reasons(content)[2]
    (refused,) = [one for one in read(content) if isinstance(one, Refused)]
    assert len(refused.text) == LINE_MOST + 1


@ANY_TEXT
@given(st.binary(max_size=400))
@example(b"email\n\0")
@example(b"\xff\xfee\0m\0a\0i\0l\0\n")
def test_no_bytes_whatever_raise_anything_but_the_declared_error(content: bytes) -> None:
    try:
        list(read(content))
    except Invalid:
        return


@ANY_TEXT
@given(st.text(st.characters(codec="utf-8"), max_size=200), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]))
@example('"\n"\r"', ",", "\n")
def test_no_text_whatever_stops_the_rows_after_it(anything: str, delimiter: str, end: str) -> None:
    columns = delimiter.join(("external_id", "email", "phone", "country", "tags", "time zone", "note"))
    good = delimiter.join(("last", "z@example.com", "", "", "", "", ""))
    content = f"{columns}{end}{anything}{end}{good}{end}"

    *_, last = read(content)

    assert isinstance(last, Row), last
    assert last.record.text == good


CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=20)


@ANY_TEXT
@given(
    st.lists(st.tuples(CELL, CELL, st.lists(CELL.filter(lambda tag: ";" not in tag), max_size=3), CELL), max_size=5),
    st.sampled_from(",;\t|"),
)
def test_what_is_written_as_csv_comes_back(people: list[tuple[str, str, list[str], str]], delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(("external id", "name", "tags", "company"))
    writer.writerows((id_, name, ";".join(tags), company) for id_, name, tags, company in people)

    back = [row.fields for row in read(text.getvalue()) if isinstance(row, Row)]

    assert [{name: row[name] for name in ("external_id", "name", "tags", "attributes")} for row in back] == [
        contacts.clean({"external_id": id_, "name": name, "tags": tags, "attributes": {"company": company}})
        for id_, name, tags, company in people
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_the_report_is_a_formula(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


def test_the_report_can_be_read_as_csv() -> None:
    text = io.StringIO()
    report = RefusedFile(text)
    report.write(Refused(3, "It is wrong.", '=1,"a"'))
    report.write(Refused(4, "Too long.", "x" * 5_000))

    header, first, second = csv.reader(io.StringIO(text.getvalue()))

    assert header == ["line", "reason", "row"]
    assert first == ["3", "It is wrong.", '\'=1,"a"']
    assert second == ["4", "Too long.", "x" * 2_000]
