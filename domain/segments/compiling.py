"""Conditions as SQL: one expression over contacts, everything bound.

An expression is true where its condition holds, false or NULL elsewhere, so that indexes serve it; `Not` makes the
difference. Sub-selects name the app too. Nothing in the data can make an expression fail: JSON is compared as JSON,
and cast to a time only where a pattern has matched.
"""

import operator as op
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from domain.segments import conditions, fields, times
from domain.segments.conditions import All, Broadcast, Condition, Did, Event, Field, Not
from domain.segments.fields import Kind, Operator, Spec
from domain.segments.times import Duration, Relative
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient
from models.contacts import Contact
from models.devices import Device
from models.events import Event as EventRow

Where = sa.ColumnElement[bool]
COMPARE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: op.eq,
    Operator.GT: op.gt,
    Operator.GTE: op.ge,
    Operator.LT: op.lt,
    Operator.LTE: op.le,
}
TIMES: dict[Did, Any] = {
    Did.RECEIVED: BroadcastRecipient.sent_at,
    Did.OPENED: BroadcastRecipient.opened_at,
    Did.CLICKED: BroadcastRecipient.clicked_at,
}


class _Asking(NamedTuple):
    """Whose contacts are asked for, and when."""

    app_id: UUID
    at: datetime


async def plan_by_values(session: AsyncSession) -> None:
    """Let PostgreSQL plan each statement of this transaction for the values that it has.

    A statement that has run five times is else planned once for all values: for a rare value of an attribute, or for a
    small app, as for a common value and a large one.
    """
    await session.execute(sa.text("SET LOCAL plan_cache_mode = 'force_custom_plan'"))


def where(condition: Condition, app_id: UUID, at: datetime) -> Where:
    """What is true of exactly those contacts of the app for which `condition` holds at `at`."""
    return sa.and_(Contact.app_id == app_id, _compiled(condition, _Asking(app_id, at)))


def _compiled(condition: Condition, asking: _Asking) -> Where:
    match condition:
        case All(several):
            return sa.and_(*(_compiled(one, asking) for one in several))
        case conditions.Any(several):
            return sa.or_(*(_compiled(one, asking) for one in several))
        case Not(inner):
            return _opposite(_compiled(inner, asking))
        case Field():
            return _field(condition, asking)
        case Event():
            return _event(condition, asking)
        case Broadcast():
            return _broadcast(condition, asking)


def _opposite(expression: Where) -> Where:
    """True where `expression` is false or NULL. EXISTS is never NULL, and NOT EXISTS is planned better."""
    return sa.not_(expression) if isinstance(expression, sa.Exists) else expression.is_not(True)


def _field(comparison: Field, asking: _Asking) -> Where:
    if opposite := conditions.opposite_of(comparison):
        return _opposite(_field(opposite, asking))
    spec = fields.spec(comparison.field, "field")
    compared = _compared(getattr(spec.model, spec.attribute), spec, comparison, asking.at)
    if spec.model is Contact:
        return compared
    own = sa.select(Device.id).where(Device.app_id == asking.app_id, Device.contact_id == Contact.id)
    return own.where(compared).exists()


def _compared(column: Any, spec: Spec, comparison: Field, at: datetime) -> Where:
    """What a comparison, which is no opposite, asks of a column."""
    if comparison.operator is Operator.EXISTS:
        return _there(column, spec)
    return _KINDS[spec.kind](column, spec, comparison, at)


def _there(column: Any, spec: Spec) -> Where:
    """Whether a column holds anything."""
    if spec.kind is Kind.JSON:
        return sa.func.jsonb_typeof(_inside(column, spec.path)) != "null"
    if spec.kind in {Kind.TEXTS, Kind.LIST}:
        return sa.func.cardinality(column) > 0
    there: Where = column != "" if spec.kind is Kind.TEXT else column.is_not(None)
    return there


def _text(column: Any, spec: Spec, comparison: Field, _at: datetime) -> Where:
    value: Any = comparison.value
    if spec.kind is Kind.PLATFORM:
        column = sa.type_coerce(column, sa.Text)
    if comparison.operator is Operator.IN:
        return sa.and_(column != "", column == sa.any_(sa.literal(list(value), sa.ARRAY(sa.Text))))
    compared = column == value if comparison.operator is Operator.EQ else _like(column, comparison)
    return sa.and_(column != "", compared) if value == "" else compared


def _like(column: Any, comparison: Field) -> Where:
    find = column.startswith if comparison.operator is Operator.STARTS_WITH else column.contains
    found: Where = find(comparison.value, autoescape=True)
    return found


def _texts(column: Any, spec: Spec, comparison: Field, _at: datetime) -> Where:
    value: Any = comparison.value
    whole = {Operator.EQ} | ({Operator.CONTAINS} if spec.kind is Kind.LIST else set())
    if comparison.operator in whole:
        return _array(column, "@>", [value])
    if comparison.operator is Operator.IN:
        return _array(column, "&&", list(value))
    each = sa.func.unnest(column).table_valued("value").render_derived(name="each")
    return sa.select(sa.literal(1)).select_from(each).where(_like(each.c.value, comparison)).exists()


def _array(column: Any, operator: str, values: list[str]) -> Where:
    found: Where = column.bool_op(operator)(sa.literal(values, sa.ARRAY(sa.Text)))
    return found


def _instant(column: Any, _spec: Spec, comparison: Field, at: datetime) -> Where:
    value: Any = comparison.value
    if isinstance(value, Duration):
        return sa.and_(column >= at - value.delta, column <= at)
    compared: Where = COMPARE[comparison.operator](column, times.resolved(value, at))
    return compared


def _json(column: Any, spec: Spec, comparison: Field, at: datetime) -> Where:
    value: Any = comparison.value
    inner = _inside(column, spec.path)
    match comparison.operator:
        case Operator.EQ:
            return _equal(column, spec.path, value)
        case Operator.IN:
            return _any_of(inner, list(value))
        case Operator.CONTAINS:
            listed = sa.and_(_is(inner, "array"), inner.bool_op("@>")(sa.literal(value, JSONB)))
            return sa.or_(listed, _like_json(inner, comparison)) if isinstance(value, str) else listed
        case Operator.STARTS_WITH:
            return _like_json(inner, comparison)
    if isinstance(value, datetime | Relative | Duration):
        return _instant(_as_instant(inner), spec, comparison, at)
    compared: Where = COMPARE[comparison.operator](inner, sa.literal(value, JSONB))
    return sa.and_(_is(inner, "number"), compared)


def _any_of(inner: Any, values: list[Any]) -> Where:
    equal: Where = inner == sa.any_(sa.literal(values, sa.ARRAY(JSONB)))
    return equal


def _inside(column: Any, path: tuple[str, ...]) -> Any:
    """The JSON at the end of a path through objects; NULL where there is none. A key is never a place in a list."""
    for key in path:
        column = column.op("->", return_type=JSONB())(sa.literal(key, sa.Text))
    return column


def _equal(column: Any, path: tuple[str, ...], value: Any) -> Where:
    """Whether the single value at the end of a path is `value`: asked of the whole, so that an index can answer."""
    for key in reversed(path):
        value = {key: value}
    equal: Where = column.bool_op("@>")(sa.literal(value, JSONB))
    return equal


def _is(inner: Any, kind: str) -> Where:
    return sa.func.jsonb_typeof(inner) == kind


def _plain_text(inner: Any) -> Any:
    """The text that a JSON string is; NULL for anything else."""
    text = inner.op("#>>", return_type=sa.Text())(sa.literal([], sa.ARRAY(sa.Text)))
    return sa.case((_is(inner, "string"), text))


def _like_json(inner: Any, comparison: Field) -> Where:
    return _like(_plain_text(inner), comparison)


def _as_instant(inner: Any) -> Any:
    """The instant that a JSON string is; NULL for anything else."""
    text = _plain_text(inner)
    whole = sa.case((sa.func.length(text) == times.DATE_LENGTH, text.concat(times.MIDNIGHT)), else_=text)
    return sa.case((text.regexp_match(times.INSTANT), sa.cast(whole, sa.TIMESTAMP(timezone=True))))


_KINDS: dict[Kind, Callable[[Any, Spec, Field, datetime], Where]] = {
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.LIST: _texts,
    Kind.PLATFORM: _text,
    Kind.INSTANT: _instant,
    Kind.JSON: _json,
}


def _event(event: Event, asking: _Asking) -> Where:
    own = sa.select(EventRow.id).where(
        EventRow.app_id == asking.app_id,
        EventRow.contact_id == Contact.id,
        *([] if event.name == conditions.ANY_EVENT else [EventRow.name == event.name]),
        *_recent(EventRow.occurred_at, event.within, asking.at),
        *(_property(one, asking.at) for one in event.properties),
    )
    return _counted(event, partial(_at_least, own))


def _recent(column: Any, within: Duration | None, at: datetime) -> list[Where]:
    return [column >= at - within.delta, column <= at] if within else []


def _property(comparison: Field, at: datetime) -> Where:
    if opposite := conditions.opposite_of(comparison):
        return _opposite(_property(opposite, at))
    return _compared(EventRow.properties, conditions.property_spec(comparison.field), comparison, at)


def _at_least(rows: sa.Select[UUID], number: int) -> Where:
    """Whether there are so many rows; no more of them are looked at."""
    if number == 0:
        return sa.true()
    return (rows.offset(number - 1) if number > 1 else rows).exists()


def _counted(event: Event, at_least: Callable[[int], Where]) -> Where:
    """Every comparison of a number of rows, said by what is at least there."""
    match event.operator:
        case Operator.GTE:
            return at_least(event.count)
        case Operator.GT:
            return at_least(event.count + 1)
        case Operator.LT:
            return _opposite(at_least(event.count))
        case Operator.LTE:
            return _opposite(at_least(event.count + 1))
    exactly = sa.and_(at_least(event.count), _opposite(at_least(event.count + 1)))
    return exactly if event.operator is Operator.EQ else _opposite(exactly)


def _broadcast(broadcast: Broadcast, asking: _Asking) -> Where:
    column = TIMES[broadcast.did]
    sent = (
        sa.select(BroadcastRecipient.seq)
        .join(BroadcastRow, BroadcastRow.id == BroadcastRecipient.broadcast_id)
        .where(
            BroadcastRow.app_id == asking.app_id,
            BroadcastRecipient.contact_id == Contact.id,
            column.is_not(None),
            *_recent(column, broadcast.within, asking.at),
        )
    )
    if broadcast.broadcast_id:
        sent = sent.where(BroadcastRow.id == broadcast.broadcast_id)
    return sent.exists()
