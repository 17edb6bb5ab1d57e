r"""Texts with placeholders: `Hello {{ contact.name | default: "there" }}`. No loops, no conditions, no expressions.

A placeholder is a path, names parted by dots, and perhaps what stands in for a value that is missing. In the quotes
`\"` is a quote and `\\` a backslash. Blanks do not matter. `{{` begins a placeholder wherever it stands outside of
quotes; all else is text. Values are put in as they are: what looks like a placeholder inside of one is never read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from core.errors import Invalid

TEXT_MOST = 10_000
PLACEHOLDERS_MOST = 100
MISSING_VARIABLE = "MISSING_VARIABLE"
"""The error code of a recipient who is skipped because of `MissingValue`."""
UNSUBSCRIBE_URL = "unsubscribeUrl"
ATTRIBUTES = "contact.attributes."
DECLARED = (
    "contact.name",
    "contact.firstName",
    "contact.email",
    "contact.phone",
    "contact.externalId",
    "contact.locale",
    "contact.timeZone",
    "contact.country",
    "contact.plan",
    "app.name",
    "device.platform",
    UNSUBSCRIBE_URL,
)
"""What a message to a contact may say, besides `contact.attributes.<name>`."""
SHOWN_MOST = 100
_FORM = 'Write {{ contact.name }} or {{ contact.name | default: "there" }}.'
_BLANKS = re.compile(r"\s*")
_PATH = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_BAR, _DEFAULT, _COLON, _END = (re.compile(mark) for mark in (r"\|", r"default\b", ":", r"\}\}"))
_LITERAL = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')

Scalar = str | int | float | bool
Value = Scalar | None


class MissingValue(Exception):
    """A variable has no value and its placeholder no default: this recipient gets nothing.

    Attributes:
        variable: the path.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} has no value, and its placeholder no default.")
        self.variable = variable


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What a value is put in for; `default` is None when there is none."""

    variable: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text, piece by piece."""

    pieces: tuple[str | Placeholder, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The paths of its placeholders in the order in which they occur, each once."""
        return tuple(dict.fromkeys(piece.variable for piece in self.pieces if isinstance(piece, Placeholder)))

    def render(self, values: Mapping[str, Value], escape: Callable[[str], str] = str) -> str:
        """The text with its values.

        Args:
            values: by path. None and the empty text count as missing.
            escape: what each value and default passes, such as `html.escape`; the text between them does not.

        Raises:
            MissingValue: a variable has no value and its placeholder no default.
        """
        return "".join(
            piece if isinstance(piece, str) else escape(_value(piece, values.get(piece.variable)))
            for piece in self.pieces
        )


def _value(placeholder: Placeholder, value: Value) -> str:
    if value is None or value == "":
        if placeholder.default is None:
            raise MissingValue(placeholder.variable)
        return placeholder.default
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON does not tell 3 from 3.0
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def compile(text: str, field: str) -> Template:  # noqa: A001  read with its module, it says what it does
    """Read a text in linear time.

    Args:
        text: 10,000 characters and 100 placeholders at most.
        field: where it came from.

    Raises:
        Invalid: it is too long, has too many placeholders, or one that is malformed; says where.
    """
    if len(text) > TEXT_MOST:
        raise Invalid(f"{field} must have at most {TEXT_MOST} characters; it has {len(text)}.", field=field)
    reader = _Reader(text, field)
    pieces: list[str | Placeholder] = []
    while (start := text.find("{{", reader.at)) >= 0:
        pieces += [text[reader.at : start]] if start > reader.at else []
        pieces.append(reader.placeholder(start))
        reader.count()
    rest = text[reader.at :]
    return Template((*pieces, rest) if rest else tuple(pieces))


class _Reader:
    """A place in a text that only moves forward."""

    def __init__(self, text: str, field: str) -> None:
        self.text, self.field, self.at = text, field, 0
        self._placeholders = 0

    def count(self) -> None:
        """One placeholder more."""
        self._placeholders += 1
        if self._placeholders > PLACEHOLDERS_MOST:
            raise Invalid(f"{self.field} may hold at most {PLACEHOLDERS_MOST} placeholders.", field=self.field)

    def placeholder(self, start: int) -> Placeholder:
        """The one that begins at `start`; leaves off behind it."""
        self.at = start + 2
        path = self._take(_PATH)
        if path is None:
            self._malformed(start)
        default = self._default(start) if self._take(_BAR) else None
        if not self._take(_END):
            self._malformed(start)
        return Placeholder(path[0], default)

    def _default(self, start: int) -> str:
        literal = self._take(_LITERAL) if self._take(_DEFAULT) and self._take(_COLON) else None
        if literal is None:
            self._malformed(start)
        return _ESCAPED.sub(r"\1", literal[1])

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What comes next, past blanks, if it is that."""
        blanks = _BLANKS.match(self.text, self.at)
        found = pattern.match(self.text, blanks.end() if blanks else self.at)
        if found:
            self.at = found.end()
        return found

    def _malformed(self, start: int) -> NoReturn:
        line, column = self.text.count("\n", 0, start) + 1, start - self.text.rfind("\n", 0, start)
        raise Invalid(
            f"{self.field} has a malformed placeholder in line {line}, column {column}. {_FORM}", field=self.field
        )


def check(text: str, field: str, channel_is_email: bool) -> Template:
    """Read a text that goes to contacts.

    Raises:
        Invalid: as `compile`, or it has a variable that there is not; says which are near to it.
    """
    template = compile(text, field)
    for variable in template.variables:
        _check(variable, field, channel_is_email)
    return template


def _check(variable: str, field: str, channel_is_email: bool) -> None:
    if variable == UNSUBSCRIBE_URL and not channel_is_email:
        raise Invalid(f"{field}: {UNSUBSCRIBE_URL} is for e-mails only; take it out.", field=field)
    of_attributes = variable.startswith(ATTRIBUTES) and variable.count(".") == ATTRIBUTES.count(".")
    if variable not in DECLARED and not of_attributes:
        raise Invalid(f"{field}: there is no variable {variable[:SHOWN_MOST]}. {_near(variable)}", field=field)


def _near(variable: str) -> str:
    near = get_close_matches(variable, (*DECLARED, f"{ATTRIBUTES}name"), cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(DECLARED)}, {ATTRIBUTES}<name>."


def values_of(contact: Any, *, app_name: str, platform: str, unsubscribe_url: str | None = None) -> dict[str, Value]:
    """What `DECLARED` and the attributes stand for at one recipient. Attributes that are lists or objects are none.

    Args:
        contact: the row, or a slim one with its columns.
        app_name: what the app is called.
        platform: of the device.
        unsubscribe_url: of the recipient of an e-mail.
    """
    return {
        "contact.name": contact.name,
        "contact.firstName": contact.name.partition(" ")[0],
        "contact.email": contact.emails[0] if contact.emails else None,
        "contact.phone": contact.phones[0] if contact.phones else None,
        "contact.externalId": contact.external_id,
        "contact.locale": contact.locale,
        "contact.timeZone": contact.time_zone,
        "contact.country": contact.country,
        "contact.plan": contact.plan,
        "app.name": app_name,
        "device.platform": platform,
        UNSUBSCRIBE_URL: unsubscribe_url,
        **{f"{ATTRIBUTES}{name}": value for name, value in contact.attributes.items() if isinstance(value, Scalar)},
    }
