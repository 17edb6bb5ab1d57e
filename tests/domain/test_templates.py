"""Placeholders: what is read, what is refused and where, what comes out; that reading is linear and never surprises."""

import sys
from html import escape
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from domain import templates
from domain.templates import MissingValue, Placeholder, Template
from models.contacts import Contact
from models.devices import Platform

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_-é", min_size=1, max_size=8)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)
BLANKS = st.sampled_from(["", " ", "\n\t "])
TEXTS = st.text(max_size=20).filter(lambda text: "{" not in text)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[str | Placeholder]]:
    """A text and what it should be read as."""
    pieces: list[str | Placeholder] = []
    text = ""
    for _ in range(draw(st.integers(0, 6))):
        if between := draw(TEXTS):
            text, pieces = text + between, [*pieces, between]
        path, default = draw(PATHS), draw(st.none() | st.text(max_size=10))
        a, b, c, d, e = (draw(BLANKS) for _ in range(5))
        quoted = "" if default is None else default.replace("\\", "\\\\").replace('"', '\\"')
        stands_in = "" if default is None else f'|{c}default{d}:{e}"{quoted}"{a}'
        text, pieces = f"{text}{{{{{a}{path}{b}{stands_in}}}}}", [*pieces, Placeholder(path, default)]
    end = draw(TEXTS)
    return text + end, [*pieces, end] if end else pieces


@given(written())
def test_what_is_written_is_read(case: tuple[str, list[str | Placeholder]]) -> None:
    text, pieces = case
    template = templates.compile(text, "body")
    assert template.pieces == tuple(pieces)
    values = {variable: "{{ " + variable for variable in template.variables}
    assert template.render(values) == "".join(
        piece if isinstance(piece, str) else values[piece.variable] for piece in pieces
    )


@given(st.text(max_size=200) | st.text('{}|:." \\\n\tdefaulcontxy_', max_size=200))
def test_whatever_is_given_is_read_or_invalid(text: str) -> None:
    try:
        template = templates.check(text, "body", channel_is_email=True)
    except Invalid:
        assert "{{" in text
    else:
        assert "{{" in text or template.pieces == ((text,) if text else ())


@given(st.text(max_size=100), st.text(max_size=100))
def test_a_value_is_never_read(value: str, default: str) -> None:
    quoted = default.replace("\\", "\\\\").replace('"', '\\"')
    template = templates.compile(f'<{{{{ contact.name | default: "{quoted}" }}}}>', "body")
    assert template.render({"contact.name": value}) == f"<{value or default}>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Ada", "Ada"),
        (" ", " "),
        (0, "0"),
        (7, "7"),
        (2.5, "2.5"),
        (3.0, "3"),
        (True, "true"),
        (False, "false"),
        ("{{7*7}}", "{{7*7}}"),
        ("{{ contact.email }}", "{{ contact.email }}"),
        ("{% raw %}", "{% raw %}"),
    ],
)
def test_values(value: templates.Value, shown: str) -> None:
    template = templates.compile("{{ contact.name }}", "body")
    assert template.render({"contact.name": value, "contact.email": "secret"}) == shown


def test_a_default_stands_in_for_what_is_missing_or_empty() -> None:
    template = templates.compile('Hello {{contact.name|default:"there"}}!', "body")
    for values in ({}, {"contact.name": None}, {"contact.name": ""}):
        assert template.render(values) == "Hello there!"
    assert template.render({"contact.name": "Ada"}) == "Hello Ada!"
    assert templates.compile('[{{ x | default: "" }}]', "body").render({}) == "[]"


@pytest.mark.parametrize("values", [{}, {"contact.name": None}, {"contact.name": ""}])
def test_without_a_default_it_is_missing(values: dict[str, templates.Value]) -> None:
    with pytest.raises(MissingValue) as missing:
        templates.compile('{{ app.name | default: "x" }}{{ contact.name }}', "body").render(values)
    assert missing.value.variable == "contact.name"
    assert templates.MISSING_VARIABLE == "MISSING_VARIABLE"


def test_values_and_defaults_are_escaped_and_the_text_is_not() -> None:
    template = templates.compile('<b>{{ a }}</b> & {{ b | default: "R&D" }}', "body")
    assert template.render({"a": "<i>"}, escape) == "<b>&lt;i&gt;</b> & R&amp;D"


def test_the_variables_are_in_order_each_once() -> None:
    template = templates.compile('{{ b.c }} {{ a }} {{ b.c | default: "x" }}', "body")
    assert template.variables == ("b.c", "a")


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{{}}",
        "{{ }}",
        "{{ a",
        "{{ a }",
        "{{{ a }}}",
        "{{ a. }}",
        "{{ .a }}",
        "{{ a..b }}",
        "{{ a b }}",
        "{{7*7}}",
        "{{ a | }}",
        "{{ a | default }}",
        "{{ a | default: }}",
        "{{ a | default: x }}",
        "{{ a | default: 'x' }}",
        '{{ a | default: "x }}',
        '{{ a | default: "\\x" }}',
        '{{ a | default: "x" | default: "y" }}',
        "{{ a | upper }}",
        "{{ a[0] }}",
        "{{ a() }}",
        "{{ self.__init__() }}",
        "{{ {{ a }} }}",
        '{{ "a" }}',
        "{{ a }}{{",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(Invalid, match="malformed placeholder in line 2, column ") as refused:
        templates.compile(f"one\n{text}", "body")
    assert refused.value.field == "body"


def test_where_it_is_malformed() -> None:
    with pytest.raises(Invalid) as refused:
        templates.compile("Hello {{ contact.name }},\n\nyou {{ owe }} {{ 7*7 }}", "title")
    assert refused.value.message == (
        "title has a malformed placeholder in line 3, column 15. "
        'Write {{ contact.name }} or {{ contact.name | default: "there" }}.'
    )


@pytest.mark.parametrize("text", ["{% for x in y %}", "{ contact.name }", "}} a | b", "${name} %s {0}", "{", ""])
def test_all_else_is_text(text: str) -> None:
    assert templates.compile(text, "body").render({}) == text


@pytest.mark.parametrize("name", templates.DECLARED)
def test_what_is_declared(name: str) -> None:
    assert templates.check(f"{{{{ {name} }}}}", "body", channel_is_email=True).variables == (name,)


@pytest.mark.parametrize(
    "name", ["contact.attributes.plan_2", "contact.attributes.größe", "contact.attributes.__class__"]
)
def test_any_attribute_may_be_there(name: str) -> None:
    assert templates.check(f"{{{{ {name} }}}}", "body", channel_is_email=False).variables == (name,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("contact.firstname", "contact.firstname. Did you mean contact.firstName or "),
        ("contact.__class__", "there is no variable contact.__class__. Did you mean "),
        ("name", "Did you mean app.name or contact.name?"),
        ("contact.attributes", "Did you mean contact.attributes.name or "),
        ("contact.attributes.a.b", "there is no variable contact.attributes.a.b."),
        ("zzz", "there is no variable zzz. There are contact.name, contact.firstName, "),
        ("x" * 5_000, "There are contact.name, "),
    ],
)
def test_an_unknown_variable_is_told_with_what_is_near(name: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        templates.check(f"{{{{ {name} }}}}", "body", channel_is_email=True)
    assert said in refused.value.message
    assert refused.value.field == "body"
    assert len(refused.value.message) < 500


def test_only_a_mail_can_be_unsubscribed_from() -> None:
    with pytest.raises(Invalid, match="unsubscribeUrl is for e-mails only"):
        templates.check("{{ unsubscribeUrl }}", "body", channel_is_email=False)


def test_so_many_placeholders_and_no_more() -> None:
    assert len(templates.compile("{{a}}" * 100, "body").pieces) == 100
    with pytest.raises(Invalid, match="at most 100 placeholders"):
        templates.compile("{{a}}" * 101, "body")


def test_so_long_and_no_longer() -> None:
    assert templates.compile("a" * 10_000, "body").pieces == ("a" * 10_000,)
    for text in ("a" * 10_001, "{{ a }}" * 10_000, "{{" * 500_000):
        with pytest.raises(Invalid, match=f"at most 10000 characters; it has {len(text)}"):
            templates.compile(text, "body")


@pytest.mark.parametrize(
    "text",
    [
        "{{a}} " * 50,
        "{" * 2_000,
        "{{" + " " * 2_000,
        "{{" + "a" * 2_000,
        "{{" + "a." * 1_000,
        '{{a|default:"' + '\\"' * 1_000,
        "} {" * 700,
        '{{a|default:"x"' + " " * 2_000,
        "{{a|default:" + '"' * 2_000,
    ],
)
def test_reading_is_linear(text: str) -> None:
    """Twice the text takes at most twice the lines of the compiler, and those do not grow with what a pattern takes."""
    assert lines(text * 2) <= 2 * lines(text)
    assert lines(text) <= 60 + 40 * text.count("{{a}}")


def lines(text: str) -> int:
    """How many lines of the compiler are run."""
    run = 0

    def count(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal run
        if frame.f_code.co_filename != templates.__file__:
            return None
        run += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        templates.compile(text, "body")
    except Invalid:
        pass
    finally:
        sys.settrace(before)
    return run


def test_the_values_of_a_contact() -> None:
    contact = Contact(
        name="Ada  Lovelace",
        external_id="user-1",
        emails=["ada@example.com", "a@example.com"],
        phones=[],
        time_zone="Europe/London",
        attributes={"shoes": 38.5, "vip": True, "none": None, "list": [1], "object": {"a": 1}},
    )
    values = templates.values_of(contact, app_name="Acme", platform=Platform.WEB, unsubscribe_url="https://x.example/u")
    assert {name: value for name, value in values.items() if value is not None} == {
        "contact.name": "Ada  Lovelace",
        "contact.firstName": "Ada",
        "contact.email": "ada@example.com",
        "contact.externalId": "user-1",
        "contact.timeZone": "Europe/London",
        "contact.attributes.shoes": 38.5,
        "contact.attributes.vip": True,
        "app.name": "Acme",
        "device.platform": "WEB",
        "unsubscribeUrl": "https://x.example/u",
    }


def test_nobody_has_a_value_for_what_is_declared_but_empty() -> None:
    nobody = Contact(name="", emails=[], phones=[], attributes={})
    values = templates.values_of(nobody, app_name="Acme", platform=Platform.IOS)
    assert set(values) == set(templates.DECLARED)
    for name in ("contact.name", "contact.firstName", "contact.email", "unsubscribeUrl"):
        with pytest.raises(MissingValue):
            templates.compile(f"{{{{ {name} }}}}", "body").render(values)


def test_a_template_is_a_value() -> None:
    assert templates.compile("a{{b}}", "body") == Template(("a", Placeholder("b")))
