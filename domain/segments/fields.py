"""What a condition can ask of a contact: the fields, what kind each is, and the operators that suit it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from core.errors import Invalid
from models.contacts import Contact
from models.devices import Device

ATTRIBUTES = "attributes"
PATH_MOST = 5
KEY_MOST = 100


class Operator(StrEnum):
    """How a field is compared."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    EXISTS = "exists"
    WITHIN_LAST = "within_last"


ORDERED = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})


class Kind(Enum):
    """What a field holds.

    TEXT: one text. TEXTS: several, an operator asks whether any does. LIST: several marks; `contains` asks for a whole
    one. PLATFORM: that of any device. INSTANT: a time. JSON: whatever the app has put there.
    """

    TEXT = auto()
    TEXTS = auto()
    LIST = auto()
    PLATFORM = auto()
    INSTANT = auto()
    JSON = auto()


_CHOICE = frozenset({Operator.EQ, Operator.NEQ, Operator.IN, Operator.NOT_IN, Operator.EXISTS})
_TEXT = _CHOICE | {Operator.CONTAINS, Operator.STARTS_WITH}
_INSTANT = ORDERED | {Operator.EQ, Operator.NEQ, Operator.EXISTS, Operator.WITHIN_LAST}
OPERATORS: dict[Kind, frozenset[Operator]] = {
    Kind.TEXT: _TEXT,
    Kind.TEXTS: _TEXT,
    Kind.LIST: _TEXT,
    Kind.PLATFORM: _CHOICE,
    Kind.INSTANT: _INSTANT,
    Kind.JSON: frozenset(Operator),
}


@dataclass(frozen=True)
class Spec:
    """A field.

    Attributes:
        attribute: of the row that holds it.
        model: whose row that is; of devices, any of the contact's.
        normal: how its texts are kept, so that a condition compares alike.
        path: the keys that lead to a value inside JSON.
    """

    kind: Kind
    attribute: str
    model: type[Contact | Device] = Contact
    normal: Callable[[str], str] = str
    path: tuple[str, ...] = ()


FIELDS = {
    "name": Spec(Kind.TEXT, "name"),
    "externalId": Spec(Kind.TEXT, "external_id"),
    "emails": Spec(Kind.TEXTS, "emails", normal=str.lower),
    "phones": Spec(Kind.TEXTS, "phones"),
    "locale": Spec(Kind.TEXT, "locale"),
    "timeZone": Spec(Kind.TEXT, "time_zone"),
    "country": Spec(Kind.TEXT, "country", normal=str.upper),
    "plan": Spec(Kind.TEXT, "plan"),
    "createdAt": Spec(Kind.INSTANT, "created_at"),
    "tags": Spec(Kind.LIST, "tags"),
    "platform": Spec(Kind.PLATFORM, "platform", Device, str.upper),
    "appVersion": Spec(Kind.TEXT, "app_version", Device),
    "lastSeenAt": Spec(Kind.INSTANT, "last_seen_at", Device),
}

ALIASES = {"last_active": "lastSeenAt"}
"""What fields are called elsewhere."""


def spec(name: str, at: str) -> Spec:
    """The field of a contact that is called `name`; `at` is where the condition says so.

    Raises:
        Invalid: there is none.
    """
    if found := FIELDS.get(ALIASES.get(name, name)):
        return found
    first, _, rest = name.partition(".")
    if first != ATTRIBUTES:
        known = ", ".join(FIELDS)
        raise Invalid(f"{at} is no field of a contact; there are {known} and {ATTRIBUTES}.<key>.", field=at)
    return Spec(Kind.JSON, ATTRIBUTES, path=keys(rest, at))


def keys(dotted: str, at: str) -> tuple[str, ...]:
    """The keys of a path like `address.city`.

    Raises:
        Invalid: there are none or too many, or one is empty or too long.
    """
    found = tuple(dotted.split("."))
    if len(found) > PATH_MOST or not all(1 <= len(key) <= KEY_MOST for key in found):
        raise Invalid(
            f"{at} must name 1 to {PATH_MOST} keys, parted by dots, each of 1 to {KEY_MOST} characters.", field=at
        )
    return found
