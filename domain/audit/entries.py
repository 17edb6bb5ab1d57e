"""Writing the audit log. An entry tells a change as the row itself knows it: which columns, from what, to what."""

from datetime import datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState
from structlog.contextvars import get_contextvars

from domain.principals import Author
from models.audit import AuditEntry
from models.base import Model

MASK = "•••"
TEXT_MOST = 500
LIST_MOST = 50
_OWN = frozenset({"id", "app_id", "created_at", "updated_at", "search"})
Change = tuple[dict[str, Any] | None, dict[str, Any] | None]


def enter(  # noqa: PLR0913 - what an entry is made of
    session: AsyncSession,
    author: Author,
    action: str,
    *,
    app_id: UUID | None,
    entity: str,
    entity_id: UUID | None = None,
    change: Change = (None, None),
) -> None:
    """Write an entry of this transaction. `change` is what was before and what is after."""
    before, after = change
    session.add(
        AuditEntry(
            app_id=app_id,
            actor=author.actor,
            session_id=author.session_id,
            ip=author.ip or None,
            request_id=get_contextvars().get("correlation_id"),
            action=action,
            entity=entity,
            entity_id=entity_id,
            before=before,
            after=after,
        )
    )


def change_of(session: AsyncSession, row: Model) -> Change:
    """What this transaction does to `row`, as long as it is not flushed: afterwards the row has forgotten."""
    state: InstanceState[Model] = sa.inspect(row, raiseerr=True)
    names = [attribute.key for attribute in state.mapper.column_attrs if attribute.key not in _OWN]
    if row in session.deleted:
        return {name: _shown(state, name, state.dict[name]) for name in names if name in state.dict}, None
    if state.transient or state.pending:
        return None, {name: _shown(state, name, state.dict[name]) for name in names if state.dict.get(name) is not None}
    changed = [name for name in names if state.attrs[name].history.has_changes()]
    if not changed:
        return None, None
    before = {name: _shown(state, name, _old(state, name)) for name in changed}
    return before, {name: _shown(state, name, state.dict[name]) for name in changed}


def _old(state: InstanceState[Model], name: str) -> Any:
    replaced = state.attrs[name].history.deleted
    return replaced[0] if replaced else None


def _shown(state: InstanceState[Model], name: str, value: Any) -> Any:
    """A value as the log shows it: secrets and what is personal masked, long texts and lists cut."""
    info = state.mapper.columns[name].info
    hidden = info.get("secret") or info.get("personal")
    return MASK if hidden and value is not None else plain(value)


def plain(value: Any) -> Any:
    """`value` as JSON holds it, long texts and lists cut."""
    if isinstance(value, list):
        return [plain(one) for one in value[:LIST_MOST]]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in list(value.items())[:LIST_MOST]}
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | time):
        return value.isoformat()
    if isinstance(value, str):
        return value if len(value) <= TEXT_MOST else f"{value[:TEXT_MOST]}…"
    return str(value) if isinstance(value, UUID) else value
