"""Random contacts and random conditions, for the two evaluators to be held against each other."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from core.ids import new_id
from domain.segments import conditions, fields
from domain.segments.conditions import All, Broadcast, Condition, Did, Event, Field, Not
from domain.segments.evaluating import Snapshot
from domain.segments.fields import OPERATORS, ORDERED, Kind, Operator, Spec
from domain.segments.times import Duration, Relative
from models.broadcasts import BroadcastRecipient
from models.contacts import Contact
from models.devices import Device, Platform
from models.events import Event as EventRow

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROADCASTS = (UUID(int=1), UUID(int=2))
KEYS = ("a", "b", "0", "-1", "ä ö")
NAMES = ("order", "Order", "view")
ATTRIBUTES = [f"attributes.{'.'.join(path)}" for one in KEYS for path in ((one,), (one, "a"), ("a", one, "b"))]
DURATIONS = (1, 60, 3_600, 86_400, 604_800)

words = st.sampled_from(["", " ", "a", "A", "b", "ab", "ä", "ÄÖ", "ß", "💥", "e\u0301", "null", "1", "true", "\n"])
moments = st.sampled_from([AT + timedelta(seconds=sign * one) for one in (0, *DURATIONS) for sign in (-1, 1)])
stamps = moments.map(lambda at: at.isoformat()) | st.sampled_from(
    [
        "2026-03-01",
        "2026-02-29",
        "2024-02-29",
        "2026-03-01T12:00Z",
        "2026-03-01T13:00:00.000+01:00",
        "2026-03-01T12:00",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00Z\n",
        " 2026-03-01",
        "1026-03-01",
        "2026-03-01T11:59:59.999999Z",
    ]
)
patterns = st.sampled_from(["%", "_", "/", "\\", "a%b", "_b", "/%"])
texts = words | patterns | stamps | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
numbers = st.sampled_from([0, -0.0, 1, 1.0, -1, 0.1, 2**53, 2**53 + 1, 2.0**53, 2**63 - 1, 1e19, 1e22, 1e-7]) | (
    st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
)
scalars = texts | numbers | st.booleans()
objects = st.recursive(
    st.none() | scalars | st.lists(scalars | st.none(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
properties = st.dictionaries(st.sampled_from(KEYS), objects, max_size=4)
durations = st.sampled_from(DURATIONS).map(Duration)
instants = moments | st.sampled_from(DURATIONS).flatmap(lambda one: st.sampled_from([one, -one])).map(Relative)


def values(spec: Spec, operator: Operator) -> st.SearchStrategy[Any]:
    """Values that a field of a kind may be compared with."""
    if operator is Operator.EXISTS:
        return st.booleans()
    if operator is Operator.WITHIN_LAST:
        return durations
    if operator is Operator.STARTS_WITH:
        return texts
    if operator in ORDERED:
        return instants | numbers if spec.kind is Kind.JSON else instants
    single = {
        Kind.INSTANT: instants,
        Kind.JSON: scalars,
        Kind.PLATFORM: st.sampled_from([one.value for one in Platform]),
    }
    one = single.get(spec.kind, texts.map(spec.normal))
    many = operator in {Operator.IN, Operator.NOT_IN}
    return st.lists(one, min_size=1, max_size=4).map(tuple) if many else one


def comparisons(names: list[str], operator: Operator, spec_of: Any) -> st.SearchStrategy[Field]:
    """Comparisons by one operator of fields that it suits."""
    suited = [name for name in names if operator in OPERATORS[spec_of(name, "").kind]]
    return st.sampled_from(suited).flatmap(
        lambda name: values(spec_of(name, ""), operator).map(lambda value: Field(name, operator, value))
    )


FIELDS = [*fields.FIELDS, *ATTRIBUTES]
PATHS = [name.removeprefix("attributes.") for name in ATTRIBUTES]


def of_fields(operator: Operator) -> st.SearchStrategy[Field]:
    return comparisons(FIELDS, operator, fields.spec)


def of_events(operator: Operator) -> st.SearchStrategy[Event]:
    """Counts of events whose properties are compared by `operator`."""
    return st.builds(
        Event,
        st.sampled_from([*NAMES, conditions.ANY_EVENT]),
        st.sampled_from(sorted(conditions.COUNTING)),
        st.integers(0, 3),
        st.none() | durations,
        st.lists(comparisons(PATHS, operator, conditions.property_spec), max_size=2).map(tuple),
    )


broadcasts = st.builds(Broadcast, st.sampled_from(Did), st.none() | st.sampled_from(BROADCASTS), st.none() | durations)
leaves = st.sampled_from(Operator).flatmap(lambda one: of_fields(one) | of_events(one)) | broadcasts
trees: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda some: All(tuple(some)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: conditions.Any(tuple(some)))
        | inner.map(Not)
    ),
    max_leaves=6,
)
some_times = st.none() | moments
devices = st.builds(
    Device,
    platform=st.sampled_from(Platform),
    app_version=st.none() | texts,
    last_seen_at=some_times,
)
events = st.builds(EventRow, name=st.sampled_from(NAMES), properties=properties, occurred_at=moments)
recipients = st.builds(
    BroadcastRecipient,
    broadcast_id=st.sampled_from(BROADCASTS),
    sent_at=some_times,
    opened_at=some_times,
    clicked_at=some_times,
)
contacts = st.builds(
    Contact,
    name=texts,
    emails=st.lists(texts.map(str.lower), max_size=2),
    phones=st.lists(texts, max_size=2),
    locale=st.none() | texts,
    time_zone=st.none() | texts,
    country=st.none() | st.sampled_from(["DE", "FR"]),
    plan=st.none() | words,
    created_at=moments,
    tags=st.lists(words, max_size=3),
    attributes=properties,
)


@st.composite
def snapshots(draw: Any) -> Snapshot:
    """A contact with some devices, events and broadcasts; without ids and an app as yet."""
    return Snapshot(
        draw(contacts),
        draw(st.lists(devices, max_size=2)),
        draw(st.lists(events, max_size=4)),
        draw(st.lists(recipients, max_size=3)),
    )


def placed(people: list[Snapshot], app_id: UUID) -> dict[UUID, Snapshot]:
    """The same people, as rows of an app, by the id of the contact."""
    numbers = dict.fromkeys(BROADCASTS, 0)
    for one in people:
        one.contact.id, one.contact.app_id = new_id(), app_id
        for row in (*one.devices, *one.events):
            row.id, row.app_id, row.contact_id = new_id(), app_id, one.contact.id
        for row in one.recipients:
            numbers[row.broadcast_id] += 1
            row.seq, row.device_id, row.contact_id = numbers[row.broadcast_id], new_id(), one.contact.id
            row.platform = Platform.WEB
    return {one.contact.id: one for one in people}


EXACT = ["", "a", "A", "ab", "%", "_", "/", "\\", "a%b", "ä", "1", "true", "null", "2026-03-01", "2026-03-01T12:00:00Z"]
EXACT_TIMES = [AT + timedelta(seconds=seconds) for seconds in (-86_401, -86_400, -1, 0, 1)]
EXACT_JSON = [
    None,
    *EXACT,
    0,
    1,
    1.5,
    -1,
    2**53,
    2**53 + 1,
    2.0**63,
    1e22,
    True,
    False,
    [],
    ["a", 1, True, ["b"]],
    {"a": "a"},
]


def exact_people() -> list[Snapshot]:
    """For each value of the pools a contact that has it, in every field that can."""
    bare: dict[str, Any] = {"name": "", "emails": [], "phones": [], "tags": [], "attributes": {}, "created_at": AT}
    texts_of = [{"name": one, "emails": [one.lower()], "plan": one, "tags": [one, "b"]} for one in EXACT]
    changes: list[dict[str, Any]] = [
        *texts_of,
        *({"attributes": {"a": one}} for one in EXACT_JSON),
        *({"created_at": one} for one in EXACT_TIMES),
    ]
    people = [Contact(**bare | one) for one in changes]
    return [Snapshot(one, [Device(platform=Platform.IOS, last_seen_at=one.created_at)]) for one in people]


def exact_comparisons() -> list[Field]:
    """Every operator of a field of each kind, with every value of the pools that it can take."""
    names = ("name", "plan", "emails", "tags", "createdAt", "lastSeenAt", "platform", "attributes.a")
    pairs = [(name, spec, one) for name in names for spec in [fields.spec(name, "")] for one in OPERATORS[spec.kind]]
    return [Field(name, one, value) for name, spec, one in pairs for value in _exact_values(spec, one)]


def _exact_values(spec: Spec, operator: Operator) -> list[Any]:
    times = [*EXACT_TIMES, Relative(0), Relative(-86_400)]
    single: list[Any] = [one for one in EXACT_JSON if isinstance(one, str | int | float)]
    if operator is Operator.EXISTS:
        return [True, False]
    if operator is Operator.WITHIN_LAST:
        return [Duration(86_400), Duration(1)]
    if operator in ORDERED and spec.kind is Kind.JSON:
        return times + [one for one in single if not isinstance(one, str | bool)]
    if spec.kind is Kind.INSTANT:
        return times
    if spec.kind is not Kind.JSON or operator is Operator.STARTS_WITH:
        single = ["IOS", "WEB"] if spec.kind is Kind.PLATFORM else [spec.normal(one) for one in EXACT]
    return [(one, "b") for one in single] if operator in {Operator.IN, Operator.NOT_IN} else single
