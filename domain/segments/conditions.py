"""A condition on contacts: a tree, read from JSON and written back.

Absent is what a contact does not have: a column that is NULL, an empty name, a key that is missing or null, no device.
A comparison with something absent is false. `neq` and `not_in` are the opposites of `eq` and `in`, so of something
absent they are true: who has no plan is not on the plan "free". `not` turns any condition round; there is no third
value. Texts are compared letter by letter, upper and lower case apart. Where a contact has several, such as e-mails,
tags or devices, one that fits is enough, and none may fit `neq` and `not_in`. Of an attribute that is a list only
`contains` holds, for an entry that is equal. A value of another kind, such as a text where a number is compared, is
as good as absent.
"""

import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from core.errors import Invalid
from core.ids import parse_id
from domain.segments import fields, times, values
from domain.segments.fields import OPERATORS, ORDERED, Kind, Operator, Spec
from domain.segments.times import Duration
from domain.segments.values import Value

DEEPEST = 8
NODES_MOST = 100
NAME_MOST = 100
COUNT_MOST = 10_000
ANY_EVENT = "*"
COUNTING = ORDERED | {Operator.EQ, Operator.NEQ}
Json = dict[str, typing.Any]
E = typing.TypeVar("E", bound=StrEnum)


class Did(StrEnum):
    """What became of a broadcast at a contact. Each includes those after it."""

    RECEIVED = "received"
    OPENED = "opened"
    CLICKED = "clicked"


@dataclass(frozen=True)
class All:
    """Every one of `conditions` holds."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Any:
    """At least one of `conditions` holds."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """`condition` does not hold."""

    condition: "Condition"


@dataclass(frozen=True)
class Field:
    """A comparison of a field of the contact, or of the properties of an event."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True)
class Event:
    """How often the contact did something.

    Attributes:
        name: what they did; `*` is anything.
        count: what `operator` compares the number of events with.
        within: how long ago they may be, up to the moment of asking; None is ever.
        properties: what each event that counts must have; their fields are paths.
    """

    name: str
    operator: Operator = Operator.GTE
    count: int = 1
    within: Duration | None = None
    properties: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Broadcast:
    """What the contact did with a broadcast, or with any when `broadcast_id` is None, `within` as of an event."""

    did: Did
    broadcast_id: UUID | None = None
    within: Duration | None = None


Condition = All | Any | Not | Field | Event | Broadcast


def parse(json: object, field: str = "conditions") -> Condition:
    """The condition that `json` is: a tree as `dump` writes it, or flat, `{"conditions": [...]}`, which is `all`.

    A comparison of a field may also stand in an object of its own, as in GraphQL: `{"field": {"field": "plan", …}}`.

    Args:
        json: what came in, at most 8 levels deep, of at most 100 conditions.
        field: where it stands in the input; errors name the place inside it, like `conditions.all.2.value`.

    Raises:
        Invalid: it is no condition.
    """
    return _Reader().condition(json, field, 1)


class _Reader:
    """One reading: counts the conditions."""

    def __init__(self) -> None:
        self._nodes = 0
        self._kinds: dict[str, Callable[[object, str, int], Condition]] = {
            "all": lambda value, at, depth: All(self._several(value, at, depth)),
            "any": lambda value, at, depth: Any(self._several(value, at, depth)),
            "not": lambda value, at, depth: Not(self.condition(value, at, depth + 1)),
            "conditions": lambda value, at, depth: All(self._several(value, at, depth)),
            "field": lambda value, at, _: _field(_object(value, at), at),
            "event": lambda value, at, _: self._event(_object(value, at), at),
            "broadcast": lambda value, at, _: _broadcast_of(_object(value, at), at),
            "json": lambda value, at, depth: self.condition(value, at, depth + 1),
        }

    def condition(self, json: object, at: str, depth: int) -> Condition:
        """One condition with all below it."""
        self._count(at)
        if depth > DEEPEST:
            raise Invalid(f"{at} is deeper than {DEEPEST} levels; write it flatter.", field=at)
        node = _object(json, at)
        if isinstance(node.get("field"), str):
            return _field(node, at)
        if len(node) != 1 or (kind := next(iter(node))) not in self._kinds:
            raise Invalid(f"{at} must have one key: all, any, not, field, event or broadcast.", field=at)
        return self._kinds[kind](node[kind], f"{at}.{kind}", depth)

    def _count(self, at: str) -> None:
        self._nodes += 1
        if self._nodes > NODES_MOST:
            raise Invalid(f"{at} is one too many: a condition is made of {NODES_MOST} at most.", field=at)

    def _several(self, json: object, at: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(json, list) or not json:
            raise Invalid(f"{at} must be a list of conditions, one at least.", field=at)
        return tuple(self.condition(one, f"{at}.{no}", depth + 1) for no, one in enumerate(json))

    def _event(self, node: Json, at: str) -> Event:
        _refuse_others(node, {"name", "operator", "count", "within", "properties"}, at)
        operator = _choice(Operator, node.get("operator"), f"{at}.operator", COUNTING, Operator.GTE)
        name = values.text(node.get("name"), f"{at}.name", NAME_MOST).strip()
        properties = node.get("properties")
        if properties is not None and not isinstance(properties, list):
            raise Invalid(f"{at}.properties must be a list of comparisons.", field=f"{at}.properties")
        compared = [self._property(one, f"{at}.properties.{no}") for no, one in enumerate(properties or ())]
        return Event(name, operator, _number_of(node, at), _duration(node, at), tuple(compared))

    def _property(self, json: object, at: str) -> Field:
        self._count(at)
        return parse_property(json, at)


def _object(json: object, at: str) -> Json:
    if not isinstance(json, dict):
        raise Invalid(f"{at} must be an object.", field=at)
    return json


def _refuse_others(node: Json, known: Collection[str], at: str) -> None:
    """Refuse keys that mean nothing here: they are mistyped, and meant something."""
    for key in node:
        if key not in known:
            there = f"{at}.{key}"
            raise Invalid(f"{there} means nothing here; there are {', '.join(sorted(known))}.", field=there)


def _choice(kind: type[E], value: object, at: str, allowed: Collection[E], default: E | None = None) -> E:
    """One of the words that are allowed here, in upper or lower case."""
    if value is None and default is not None:
        return default
    word = value.lower() if isinstance(value, str) else None
    found = next((one for one in kind if one.value == word and one in allowed), None)
    if found is None:
        suiting = ", ".join(one.value for one in kind if one in allowed)
        raise Invalid(f"{at} must be one of {suiting}.", field=at)
    return found


def _field(node: Json, at: str, *, properties: bool = False) -> Field:
    """A comparison of a field of the contact, or of the properties of an event."""
    _refuse_others(node, {"field", "operator", "value"}, at)
    name = values.text(node.get("field"), f"{at}.field")
    spec = property_spec(name, f"{at}.field") if properties else fields.spec(name, f"{at}.field")
    operator = _choice(Operator, node.get("operator"), f"{at}.operator", OPERATORS[spec.kind])
    return Field(name, operator, values.read(spec, operator, node.get("value"), f"{at}.value"))


def parse_property(json: object, at: str) -> Field:
    """A comparison of a property of an event; `at` is where it stands.

    Raises:
        Invalid: it is none.
    """
    return _field(_object(json, at), at, properties=True)


def property_spec(name: str, at: str = "field") -> Spec:
    """The property of an event that is called `name`."""
    return Spec(Kind.JSON, "properties", path=fields.keys(name, at))


def _number_of(node: Json, at: str) -> int:
    count = node.get("count")
    if count is None:
        return 1
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= COUNT_MOST:
        raise Invalid(f"{at}.count must be a whole number from 0 to {COUNT_MOST}.", field=f"{at}.count")
    return count


def _duration(node: Json, at: str) -> Duration | None:
    within = node.get("within")
    return None if within is None else times.duration(within, f"{at}.within")


def _broadcast_of(node: Json, at: str) -> Broadcast:
    _refuse_others(node, {"did", "broadcastId", "within"}, at)
    chosen, there = node.get("broadcastId"), f"{at}.broadcastId"
    did = _choice(Did, node.get("did"), f"{at}.did", list(Did))
    return Broadcast(did, None if chosen is None else parse_id(chosen, there), _duration(node, at))


def dump(condition: Condition) -> Json:
    """The canonical form in JSON: `parse` reads it back as the same condition."""
    match condition:
        case All(conditions):
            return {"all": [dump(one) for one in conditions]}
        case Any(conditions):
            return {"any": [dump(one) for one in conditions]}
        case Not(inner):
            return {"not": dump(inner)}
        case Field(field, operator, value):
            return {"field": field, "operator": operator.value, "value": values.written(value)}
        case Event():
            return {"event": _event(condition)}
        case Broadcast():
            return {"broadcast": _broadcast(condition)}


def _event(event: Event) -> Json:
    counted = {"name": event.name, "operator": event.operator.value, "count": event.count}
    properties = {"properties": [dump(one) for one in event.properties]} if event.properties else {}
    return counted | _within(event.within) | properties


def _broadcast(broadcast: Broadcast) -> Json:
    chosen = {"broadcastId": str(broadcast.broadcast_id)} if broadcast.broadcast_id else {}
    return {"did": broadcast.did.value} | chosen | _within(broadcast.within)


def _within(within: times.Duration | None) -> dict[str, str]:
    return {"within": str(within)} if within else {}


def opposite_of(comparison: Field) -> Field | None:
    """The comparison that `comparison` is the opposite of; None when it is no opposite."""
    match comparison.operator, comparison.value:
        case Operator.NEQ, value:
            return replace(comparison, operator=Operator.EQ, value=value)
        case Operator.NOT_IN, value:
            return replace(comparison, operator=Operator.IN, value=value)
        case Operator.EXISTS, False:
            return replace(comparison, value=True)
    return None


def broadcast_ids(condition: Condition) -> set[UUID]:
    """The broadcasts that a condition names."""
    match condition:
        case All(conditions) | Any(conditions):
            return set().union(*map(broadcast_ids, conditions))
        case Not(inner):
            return broadcast_ids(inner)
        case Broadcast(broadcast_id=UUID() as id_):
            return {id_}
    return set()
