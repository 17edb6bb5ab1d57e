"""`GET /exports/audit.csv`: the audit log, by the filters of AuditLogFilterInput; several actions parted by commas."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from starlette.requests import Request

from domain.audit import export
from domain.audit.export import Line
from domain.audit.listing import Filter
from domain.permissions import Permission
from domain.principals import Principal
from server.exports import asking
from server.exports.downloads import Download, Rows

HEADER = (
    *("created_at", "action", "actor", "email", "entity", "entity_id"),
    *("before", "after", "ip", "session_id", "request_id", "id"),
)
PARAMETERS = ("actions", "actorId", "entity", "entityId", "ip", "since", "until")


async def _begin(asker: Principal, request: Request) -> AsyncIterator[Rows]:
    wanted = _filter(asking.given(request.query_params, PARAMETERS))
    await export.begin(asker, wanted)
    return _slices(asker.app_id, wanted)


def _filter(given: dict[str, str]) -> Filter:
    actions = given.pop("actions", None)
    read: Mapping[str, Any] = {
        "actor_id": asking.id_(given, "actorId"),
        "entity_id": asking.id_(given, "entityId"),
        "since": asking.instant(given, "since"),
        "until": asking.instant(given, "until"),
    }
    return Filter(actions.split(",") if actions else None, entity=given.get("entity"), ip=given.get("ip"), **read)


async def _slices(app_id: UUID, wanted: Filter) -> AsyncIterator[Rows]:
    lines = await export.slice_below(app_id, wanted, None)
    while lines:
        yield [_row(line) for line in lines]
        lines = await export.slice_below(app_id, wanted, lines[-1].entry.id)


def _row(line: Line) -> tuple[object, ...]:
    entry = line.entry
    return (
        *(entry.created_at, entry.action, entry.actor, line.email, entry.entity, entry.entity_id),
        *(entry.before, entry.after, entry.ip, entry.session_id, entry.request_id, entry.id),
    )


DOWNLOAD = Download("audit", [Permission.VIEW_AUDIT_LOG], HEADER, _begin)
