"""Addresses of attachments, sealed, each good for one to two hours. Who has one may see the file.

A token is the app's id, the attachment's, and the hour at which it ends. Within an hour the address stays the same, so
that a browser need not load the file again.
"""

import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.clock import now
from core.seals import address, opened, sealed
from models.attachments import Attachment

HOUR = 3600
PROOF_CHARS = 22
PURPOSE = "attachment"
PATH = "/attachments"
_SAID = struct.Struct(">16s16sI")


def url(row: Attachment) -> str:
    """Where the file of `row` can be read for the next one to two hours."""
    ends = int(now().timestamp()) // HOUR + 2
    payload = _SAID.pack(row.app_id.bytes, row.id.bytes, ends)
    return address(f"{PATH}/{sealed(payload, PURPOSE, PROOF_CHARS)}")


def read(token: str) -> tuple[UUID, UUID, timedelta] | None:
    """App, attachment and for how long it is still good; None when we have not made it or it has ended."""
    if (payload := opened(token, PURPOSE, _SAID.size, PROOF_CHARS)) is None:
        return None
    app, attachment, ends = _SAID.unpack(payload)
    left = datetime.fromtimestamp(ends * HOUR, UTC) - now()
    return (UUID(bytes=app), UUID(bytes=attachment), left) if left > timedelta() else None
