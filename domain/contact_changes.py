"""What has changed of contacts, told to workflows: the tags that are new, the fields that are not what they were.

From nothing to a value is a change, so a new contact changes all that is set of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from domain import workflow_signals
from domain.segments.fields import ATTRIBUTES, FIELDS, PATH_MOST
from domain.workflow_signals import Signal
from models.contacts import Contact
from models.workflows import TriggerKind

Values = Mapping[str, Any]
"""The fields of a contact by the name of their column; what is absent is nothing."""
NOBODY: Values = {}
NAMES = {spec.attribute: name for name, spec in FIELDS.items() if spec.model is Contact and name != "createdAt"}
"""What the fields that can change are called in conditions and triggers."""
_COLUMNS = (*NAMES, ATTRIBUTES)
_KINDS = (TriggerKind.TAG_ADDED, TriggerKind.ATTRIBUTE_CHANGED, TriggerKind.SEGMENT_ENTERED)


def values_of(contact: Contact) -> Values:
    """What a contact is like now."""
    return {name: getattr(contact, name) for name in _COLUMNS}


async def matter(session: AsyncSession, app_id: UUID) -> bool:
    """Whether any workflow of the app cares for changes of contacts."""
    return await workflow_signals.are_awaited(session, app_id, _KINDS)


async def held(session: AsyncSession, app_id: UUID, ids: Collection[UUID], *, lock: bool) -> dict[UUID, Values]:
    """What some contacts of the app are like, by id; with `lock` nobody changes them until the transaction ends."""
    columns = [getattr(Contact, name) for name in _COLUMNS]
    these = Contact.id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.UUID)))
    rows = sa.select(Contact.id, *columns).where(Contact.app_id == app_id, these).order_by(Contact.id)
    found = await session.execute(rows.with_for_update(key_share=True) if lock else rows)
    return {id_: dict(zip(_COLUMNS, values, strict=True)) for id_, *values in found}


async def tell(session: AsyncSession, app_id: UUID, changes: Iterable[tuple[UUID, Values, Values]]) -> None:
    """Write down what has become of some contacts, each with their values before and after, by one statement."""
    told = [signal for id_, before, after in changes for signal in signals(id_, before, after)]
    await workflow_signals.write(session, app_id, told)


def signals(contact_id: UUID, before: Values, after: Values) -> Sequence[Signal]:
    """What there is to tell of one contact."""
    had = set(before.get("tags") or ())
    tags = [tag for tag in after.get("tags") or () if tag not in had]
    kinds = {TriggerKind.TAG_ADDED: tags, TriggerKind.ATTRIBUTE_CHANGED: list(changed(before, after))}
    return [Signal(contact_id, kind, keys) for kind, keys in kinds.items() if keys]


def changed(before: Values, after: Values) -> Iterator[str]:
    """The names of the fields that are not what they were, as triggers write them."""
    for column, name in NAMES.items():
        if not _is_same(before.get(column) or None, after.get(column) or None):
            yield name
    yield from _inside(before.get(ATTRIBUTES) or {}, after.get(ATTRIBUTES) or {}, (ATTRIBUTES,))


def _inside(before: Values, after: Values, path: tuple[str, ...]) -> Iterator[str]:
    """The paths through objects to what has changed, as far as triggers can name them: a key has no dot."""
    for key in (key for key in {**before, **after} if "." not in key):
        old, new = before.get(key), after.get(key)
        if not _is_same(old, new):
            yield ".".join((*path, key))
            if len(path) < PATH_MOST:
                yield from _inside(_object(old), _object(new), (*path, key))


def _object(value: Any) -> Values:
    return value if isinstance(value, dict) else {}


def _is_same(old: Any, new: Any) -> bool:
    """Whether two values are one as JSON has it: true is not 1, and 1 is 1.0."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    return bool(old == new)
