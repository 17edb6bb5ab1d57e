"""What became of each recipient, held against what the simulated providers have taken."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from core.database import transaction
from models.broadcasts import BroadcastRecipient, RecipientStatus

SENT = frozenset({RecipientStatus.SENT, RecipientStatus.DELIVERED, RecipientStatus.OPENED, RecipientStatus.CLICKED})
NOT_SENT = frozenset({RecipientStatus.SKIPPED, RecipientStatus.FAILED})


@dataclass(frozen=True)
class Balance:
    """A broadcast at its end, by status, and how many of each status were taken so many times."""

    taken: Counter[tuple[RecipientStatus, int]]
    uncertain_by_code: Counter[str]

    @property
    def doubled(self) -> int:
        """Recipients that a provider has taken twice."""
        return sum(count for (_, times), count in self.taken.items() if times > 1)

    @property
    def lost(self) -> int:
        """Recipients whose row says something else than the ledger, or nothing yet."""
        return sum(count for (status, times), count in self.taken.items() if times <= 1 and not _agrees(status, times))

    def of(self, *statuses: RecipientStatus) -> int:
        """How many have one of these statuses."""
        return sum(count for (status, _), count in self.taken.items() if status in statuses)


def _agrees(status: RecipientStatus, times: int) -> bool:
    if status in SENT:
        return times == 1
    if status in NOT_SENT:
        return times == 0
    return status is RecipientStatus.UNCERTAIN and times <= 1


async def balance(broadcast_id: UUID, ledger: Counter[str]) -> Balance:
    """The recipients by status and by how often the ledger has them, whose addresses are the ids of devices."""
    async with transaction() as session:
        columns = (BroadcastRecipient.device_id, BroadcastRecipient.status, BroadcastRecipient.error_code)
        found = await session.execute(sa.select(*columns).where(BroadcastRecipient.broadcast_id == broadcast_id))
        rows = found.all()
    return Balance(
        Counter((status, ledger[str(device_id)]) for device_id, status, _ in rows),
        Counter(code for _, status, code in rows if status is RecipientStatus.UNCERTAIN),
    )
