"""The link by which a contact opts out without signing in: in the foot of a message and in List-Unsubscribe.

Its token says who, of what, and which broadcast led there, and is signed. It never expires: nobody may be made to look
for a newer message to get rid of them all.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit
from core.config import config
from core.errors import Invalid, NotFound, RateLimited
from core.security import keyed_hashes
from domain import opt_outs
from domain.opt_outs import OptOutFields
from domain.principals import Author
from models.channels import ChannelKind
from models.opt_outs import OptOutReason

PATH = "/unsubscribe"
PURPOSE = "unsubscribe"
TOKEN_CHARS = 200
PER_MINUTE = 10
"""Times one link may be used. Those who use many are mail providers, who press the button for their people."""


@dataclass(frozen=True)
class Unsubscribe:
    """What a link is for; `broadcast_id` is None when no broadcast led to it."""

    app_id: UUID
    contact_id: UUID
    channel: ChannelKind
    broadcast_id: UUID | None


def link(app_id: UUID, contact_id: UUID, channel: ChannelKind, broadcast_id: UUID | None) -> str:
    """The address at which a contact opts out of `channel`: a GET shows a button, a POST does it (RFC 8058)."""
    ids = [one.bytes for one in (app_id, contact_id, broadcast_id) if one]
    said = urlsafe_b64encode(b":".join([channel.value.encode(), b"".join(ids)])).rstrip(b"=").decode()
    return f"{config().public_url.rstrip('/')}{PATH}?token={said}.{keyed_hashes(said, PURPOSE)[0]}"


def read(token: str) -> Unsubscribe:
    """What a link is for.

    Args:
        token: what follows `?token=`.

    Raises:
        Invalid: we did not sign it.
    """
    said, _, signature = token.partition(".")
    if len(token) > TOKEN_CHARS or not _is_ours(said, signature):
        raise Invalid("This link is not valid. Take it from the message again, whole.")
    channel, _, ids = urlsafe_b64decode(said + "=" * (-len(said) % 4)).partition(b":")
    app_id, contact_id, *led = (UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16))
    return Unsubscribe(app_id, contact_id, ChannelKind(channel.decode()), led[0] if led else None)


def _is_ours(said: str, signature: str) -> bool:
    given = signature.encode(errors="replace")
    return any(hmac.compare_digest(given, one.encode()) for one in keyed_hashes(said, PURPOSE))


async def spend(wanted: Unsubscribe) -> None:
    """Spend one use of a link.

    Raises:
        RateLimited: it was used 10 times within a minute.
    """
    wait = await ratelimit.allow(f"unsubscribe:{wanted.contact_id}", PER_MINUTE, 60.0)
    if wait > 0:
        raise RateLimited("Too many requests. Try again in a minute.", retry_after=wait)


async def unsubscribe(session: AsyncSession, wanted: Unsubscribe, ip: str) -> None:
    """Opt the contact out; whoever has the link may. Once is as good as often; of one who is gone nothing is said."""
    author = Author(f"contact:{wanted.contact_id}", ip)
    fields = OptOutFields(
        contact_id=wanted.contact_id, channel=wanted.channel, reason=OptOutReason.UNSUBSCRIBED, note=None
    )
    try:
        await opt_outs.opt_out(session, wanted.app_id, author, fields, broadcast_id=wanted.broadcast_id)
    except NotFound:
        return
