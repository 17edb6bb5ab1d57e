"""Short addresses, sealed: of a link for one recipient, and of the picture whose loading says that a mail was opened.

A token is the broadcast's id, the link's number (2 bytes) and the recipient's (4 bytes), and its seal.
"""

import struct
from uuid import UUID

from core.seals import address, opened, sealed
from models.links import Link

_LINK, _OPEN = struct.Struct(">16sHI"), struct.Struct(">16sI")
_LINK_PURPOSE, _OPEN_PURPOSE = "tracked link", "open pixel"


def short_url(link: Link, seq: int) -> str:
    """The address by which the recipient `seq` of its broadcast follows `link`."""
    return address(f"/l/{sealed(_LINK.pack(link.broadcast_id.bytes, link.no, seq), _LINK_PURPOSE)}")


def open_pixel_url(broadcast_id: UUID, seq: int) -> str:
    """The address of the picture in the mail to the recipient `seq`."""
    return address(f"/o/{sealed(_OPEN.pack(broadcast_id.bytes, seq), _OPEN_PURPOSE)}.gif")


def read_link(token: str) -> tuple[UUID, int, int] | None:
    """Broadcast, number of the link, and recipient; None when we have not made it."""
    if (payload := opened(token, _LINK_PURPOSE, _LINK.size)) is None:
        return None
    broadcast, no, seq = _LINK.unpack(payload)
    return UUID(bytes=broadcast), no, seq


def read_open(token: str) -> tuple[UUID, int] | None:
    """Broadcast and recipient; None when we have not made it."""
    if (payload := opened(token, _OPEN_PURPOSE, _OPEN.size)) is None:
        return None
    broadcast, seq = _OPEN.unpack(payload)
    return UUID(bytes=broadcast), seq
