"""What the columns of a file mean, told by its header."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import Invalid
from domain import checks

NAME_MOST = 100
PLATFORM = "platform"
# Names without blanks, underscores and dashes, in small letters; the fields are those of `ContactFields`.
FIELDS = {
    "name": "name",
    "email": "emails",
    "mail": "emails",
    "phone": "phones",
    "externalid": "external_id",
    "userid": "external_id",
    "country": "country",
    "platform": PLATFORM,
    "locale": "locale",
    "timezone": "time_zone",
    "plan": "plan",
    "tags": "tags",
}
KEYS = ("external_id", "emails", "phones")
_BETWEEN = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class Columns:
    """The columns in their order.

    Attributes:
        names: as the header writes them.
        fields: what each is, by name of the contact's field, or `platform`; None is an attribute.
    """

    names: tuple[str, ...]
    fields: tuple[str | None, ...]

    def name_of(self, field: str) -> str | None:
        """How the header calls the column of a field."""
        return self.names[self.fields.index(field)] if field in self.fields else None


def field_of(name: str) -> str | None:
    """The field that a column of this name holds; None when it is not a known one."""
    return FIELDS.get(_BETWEEN.sub("", name).casefold())


def known(header: Sequence[str]) -> int:
    """How many names of a header are known."""
    return sum(field_of(name) is not None for name in header)


def read_header(header: Sequence[str]) -> Columns:
    """The columns that a header names; blank ones at its end do not count.

    Raises:
        Invalid: a name is missing, comes twice or is not plain text; or nothing identifies a contact.
    """
    cells = [name.strip() for name in header]
    while cells and not cells[-1]:
        cells.pop()
    names = tuple(checks.text(cell, f"The name of column {no}", most=NAME_MOST) for no, cell in enumerate(cells, 1))
    columns = Columns(names, tuple(field_of(name) for name in names))
    _refuse_doubles(columns)
    if not set(columns.fields) & set(KEYS):
        raise Invalid(
            f"The first row must name the columns, among them external id, e-mail or phone; it has {_told(names)}."
        )
    return columns


def _refuse_doubles(columns: Columns) -> None:
    first: dict[str, str] = {}
    for name, field in zip(columns.names, columns.fields, strict=True):
        earlier = first.setdefault(field or f"attribute {name}", name)
        if earlier is not name:
            raise Invalid(f'The columns "{earlier}" and "{name}" mean the same; leave one out.')


def _told(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return listed if len(listed) <= 200 else f"{listed[:200]}…"
