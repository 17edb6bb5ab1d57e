"""Conditions in Python, for one contact whose rows are at hand. What `compiling` selects is what holds here."""

import operator as op
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from domain.segments import conditions, fields, times
from domain.segments.conditions import All, Broadcast, Condition, Did, Event, Field, Not
from domain.segments.fields import Kind, Operator, Spec
from domain.segments.times import Duration, Relative
from domain.segments.values import is_number
from models.broadcasts import BroadcastRecipient
from models.contacts import Contact
from models.devices import Device
from models.events import Event as EventRow

COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: op.eq,
    Operator.GT: op.gt,
    Operator.GTE: op.ge,
    Operator.LT: op.lt,
    Operator.LTE: op.le,
    Operator.NEQ: op.ne,
}
TIMES = {Did.RECEIVED: "sent_at", Did.OPENED: "opened_at", Did.CLICKED: "clicked_at"}


class HasProperties(Protocol):
    """What has a JSON object of properties."""

    @property
    def properties(self) -> Any:
        """The object."""


@dataclass(frozen=True)
class Snapshot:
    """A contact with all that conditions can ask of them: rows, stored or not."""

    contact: Contact
    devices: Sequence[Device] = ()
    events: Sequence[EventRow] = ()
    recipients: Sequence[BroadcastRecipient] = ()


def holds(condition: Condition, of: Snapshot, at: datetime) -> bool:
    """Whether `condition` holds for a contact at `at`."""
    match condition:
        case All(several):
            return all(holds(one, of, at) for one in several)
        case conditions.Any(several):
            return any(holds(one, of, at) for one in several)
        case Not(inner):
            return not holds(inner, of, at)
        case Field():
            return _field(condition, of, at)
        case Event():
            return _event(condition, of.events, at)
        case Broadcast():
            return _broadcast(condition, of.recipients, at)


def _field(comparison: Field, of: Snapshot, at: datetime) -> bool:
    spec = fields.spec(comparison.field, "field")
    rows = [of.contact] if spec.model is Contact else of.devices
    return _any_of(rows, spec, comparison, at)


def _any_of(rows: Iterable[object], spec: Spec, comparison: Field, at: datetime) -> bool:
    """Whether a comparison holds for any of the values that the rows have; an opposite one holds for none."""
    if opposite := conditions.opposite_of(comparison):
        return not _any_of(rows, spec, opposite, at)
    found = [value for row in rows for value in _values(getattr(row, spec.attribute), spec)]
    return any(_fits(value, spec, comparison, at) for value in found)


def _values(held: Any, spec: Spec) -> list[Any]:
    """The values in an attribute of a row; none when it is absent."""
    if spec.kind in {Kind.TEXTS, Kind.LIST}:
        return list(held)
    for key in spec.path:
        held = held.get(key) if isinstance(held, dict) else None
    return [] if held is None or (held == "" and spec.kind is Kind.TEXT) else [held]


def _fits(held: Any, spec: Spec, comparison: Field, at: datetime) -> bool:
    """Whether a value that is there fits a comparison that is no opposite."""
    value: Any = comparison.value
    match comparison.operator:
        case Operator.EXISTS:
            return True
        case Operator.IN:
            return any(_equal(held, one) for one in value)
        case Operator.CONTAINS:
            return _contains(held, spec, value)
        case Operator.STARTS_WITH:
            return isinstance(held, str) and held.startswith(value)
    if isinstance(value, datetime | Relative | Duration):
        return _timely(held, comparison.operator, value, at)
    return _ordered(held, comparison.operator, value)


def _contains(held: Any, spec: Spec, value: Any) -> bool:
    """A list has an entry, a text has a part."""
    if isinstance(held, list):
        return any(_equal(one, value) for one in held)
    if spec.kind is Kind.LIST:
        return bool(held == value)
    return isinstance(held, str) and isinstance(value, str) and value in held


def _ordered(held: Any, operator: Operator, value: Any) -> bool:
    if operator is Operator.EQ:
        return _equal(held, value)
    return is_number(held) and COMPARE[operator](_exact(held), _exact(value))


def _equal(held: Any, value: Any) -> bool:
    """Whether two single values of JSON are equal: true is no number."""
    if is_number(held) and is_number(value):
        return _exact(held) == _exact(value)
    if isinstance(held, bool) or isinstance(value, bool):
        return held is value
    return isinstance(held, str) and bool(held == value)


def _exact(number: float) -> Decimal:
    """A number as it is written, which is how PostgreSQL compares it."""
    return Decimal(repr(number))


def _timely(held: Any, operator: Operator, value: Any, at: datetime) -> bool:
    when = times.absolute(held) if isinstance(held, str) else held
    if not isinstance(when, datetime):
        return False
    if isinstance(value, Duration):
        return _recent(when, value, at)
    return COMPARE[operator](when, times.resolved(value, at))


def _recent(when: datetime, within: Duration | None, at: datetime) -> bool:
    return within is None or at - within.delta <= when <= at


def _event(event: Event, events: Iterable[EventRow], at: datetime) -> bool:
    named = (one for one in events if event.name in {one.name, conditions.ANY_EVENT})
    number = sum(_counts(event, one, at) for one in named)
    return COMPARE[event.operator](number, event.count)


def _counts(event: Event, row: EventRow, at: datetime) -> bool:
    return _recent(row.occurred_at, event.within, at) and fit(event.properties, row, at)


def fit(comparisons: Iterable[Field], of: HasProperties, at: datetime) -> bool:
    """Whether the properties of something, such as an event, fit all comparisons."""
    return all(_any_of([of], conditions.property_spec(one.field), one, at) for one in comparisons)


def _broadcast(broadcast: Broadcast, recipients: Iterable[BroadcastRecipient], at: datetime) -> bool:
    named = broadcast.broadcast_id
    own = [one for one in recipients if named is None or one.broadcast_id == named]
    reached = [getattr(one, TIMES[broadcast.did]) for one in own]
    return any(when is not None and _recent(when, broadcast.within, at) for when in reached)
