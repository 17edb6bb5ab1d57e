"""A test of a broadcast: a copy of it to a few contacts, sent as any other, listed and counted nowhere."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import EmptyAudience, Invalid
from core.ids import new_id
from domain import contacts, idempotency, rate_limits
from domain.broadcasts import audience, starting, ways
from domain.broadcasts.options import TITLE_MOST
from domain.broadcasts.queries import get, record
from domain.principals import Principal
from models.broadcasts import Broadcast, QuietPolicy, TargetType
from models.facts import FactKind

CONTACTS_MOST = 20


async def send_test(
    session: AsyncSession, principal: Principal, broadcast_id: UUID, contact_ids: Sequence[UUID], key: str | None = None
) -> int:
    """Send it as it stands to some contacts, at any hour; returns to how many devices and mailboxes.

    Raises:
        NotFound: no such broadcast.
        Invalid: no contact or more than 20, or some are not of this app; or a channel is not set up.
        EmptyAudience: none of them can be reached.
        RateLimited: the asker has sent as many tests as they may for now.
        IdempotencyKeyReused: `key` came before with another input.
    """
    if not 1 <= len(contact_ids) <= CONTACTS_MOST:
        raise Invalid(f"A test goes to 1 to {CONTACTS_MOST} contacts.", field="contactIds")
    broadcast = await get(session, principal.app_id, broadcast_id)
    trial = _copy(broadcast, await contacts.ids_of(session, principal.app_id, contact_ids, []))
    await ways.require_set_up(session, trial)
    reach = await audience.count(session, trial)
    if not reach.devices + reach.mailboxes:
        raise EmptyAudience("None of these contacts can be reached.", field="contactIds")
    asked = {"test": [broadcast_id, contact_ids]}
    if not await idempotency.claim(session, principal.app_id, key, asked, trial.id):
        await rate_limits.spend_test_broadcast(session, principal)
        session.add(trial)
        record(session, principal.author, FactKind.BROADCAST_TESTED, broadcast)
        await starting.start(session, trial, principal.author)
    return reach.devices + reach.mailboxes


def _copy(broadcast: Broadcast, contact_ids: list[UUID]) -> Broadcast:
    return Broadcast(
        id=new_id(),
        app_id=broadcast.app_id,
        title=f"[Test] {broadcast.title}"[:TITLE_MOST],
        body=broadcast.body,
        data=broadcast.data,
        target_type=TargetType.SPECIFIC_USERS,
        contact_ids=contact_ids,
        channels=broadcast.channels,
        variants=broadcast.variants,
        quiet_policy=QuietPolicy.IGNORE,
        ignores_cap=True,
        is_test=True,
    )
