"""Every export is counted against a limit and entered in the log, with what it is of, before anything of it is read."""

from dataclasses import dataclass
from math import ceil
from typing import Any
from uuid import UUID

from core import ratelimit
from core.database import transaction
from core.errors import RateLimited
from core.ratelimit import Limit
from domain.audit import entries
from domain.principals import Principal

PER_HOUR = 10
HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Export:
    """A kind of export.

    Attributes:
        what: as a sentence begins with it.
        limit: under which name it is counted, for each asker.
        action, entity: how the log calls it.
    """

    what: str
    limit: str
    action: str
    entity: str


async def begin(principal: Principal, export: Export, told: dict[str, Any], entity_id: UUID | None = None) -> None:
    """Count it and enter it; `told` is what it is of. Has its own transaction.

    Raises:
        RateLimited: more than ten of this kind within an hour.
    """
    spent = await ratelimit.spend(Limit(f"{export.limit}:{principal.actor}", PER_HOUR, HOUR_SECONDS))
    if spent.wait > 0:
        message = f"{export.what} exported {PER_HOUR} times an hour at most. Wait {ceil(spent.wait)} seconds."
        raise RateLimited(message, retry_after=spent.wait)
    async with transaction() as session:
        entries.enter(
            session,
            principal.author,
            export.action,
            app_id=principal.app_id,
            entity=export.entity,
            entity_id=entity_id,
            change=(None, entries.plain(told)),
        )
