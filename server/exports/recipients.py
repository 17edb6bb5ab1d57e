"""`GET /exports/broadcasts/<id>/recipients.csv`: who a broadcast goes to, with the filters of `broadcastRecipients`."""

from collections.abc import AsyncIterator
from uuid import UUID

from starlette.requests import Request

from core.ids import parse_id
from domain.broadcasts import exporting
from domain.broadcasts.exporting import Line
from domain.broadcasts.recipients import Filter
from domain.permissions import Permission
from domain.principals import Principal
from models.broadcasts import RecipientStatus
from models.devices import Platform
from server.exports import asking
from server.exports.downloads import Download, Rows

HEADER = (
    *("seq", "external_id", "name", "email", "platform", "country", "status", "channel", "error_code", "variant"),
    *("sent_at", "delivered_at", "opened_at", "clicked_at", "deferred_until"),
)
PARAMETERS = ("status", "code", "platform", "country", "variant")


async def _begin(asker: Principal, request: Request) -> AsyncIterator[Rows]:
    wanted, id_ = _filter(asking.given(request.query_params, PARAMETERS)), parse_id(request.path_params["id"], "id")
    await exporting.begin(asker, id_, wanted)
    return _slices(asker.app_id, id_, wanted)


def _filter(given: dict[str, str]) -> Filter:
    return Filter(
        status=asking.choice(given, "status", RecipientStatus),
        code=given.get("code"),
        platform=asking.choice(given, "platform", Platform),
        country=given.get("country"),
        variant=asking.number(given, "variant"),
    )


async def _slices(app_id: UUID, broadcast_id: UUID, wanted: Filter) -> AsyncIterator[Rows]:
    lines = await exporting.slice_after(app_id, broadcast_id, wanted, 0)
    while lines:
        yield [_row(line) for line in lines]
        lines = await exporting.slice_after(app_id, broadcast_id, wanted, lines[-1].recipient.seq)


def _row(line: Line) -> tuple[object, ...]:
    one = line.recipient
    return (
        *(one.seq, line.external_id, line.name, line.email, one.platform, one.country, one.status, one.channel),
        *(one.error_code, one.variant),
        *(one.sent_at, one.delivered_at, one.opened_at, one.clicked_at, one.deferred_until),
    )


DOWNLOAD = Download("recipients", [Permission.VIEW_BROADCASTS, Permission.VIEW_CONTACTS], HEADER, _begin)
