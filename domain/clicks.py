"""What a person does with a link of a broadcast, and a person or a machine with the picture in its mail, counted.

They come together (see `core.batcher`) and may come again and in any order: see `receipts.advance`.
"""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from core.batcher import Batcher
from core.clock import now
from core.database import transaction
from domain.broadcasts import receipts
from domain.broadcasts.receipts import Place, Step

LARGEST = 2_000


async def clicked(broadcast_id: UUID, seq: int) -> None:
    """The recipient `seq` has followed a link, and so has opened the message and had it delivered.

    Raises:
        Unavailable: it could not be counted.
    """
    await _counted.ask(((broadcast_id, seq), Step.CLICKED))


async def opened(broadcast_id: UUID, seq: int, *, by_machine: bool) -> None:
    """The picture in the mail to the recipient `seq` was loaded. By a machine it says nothing of the person.

    Raises:
        Unavailable: it could not be counted.
    """
    await _counted.ask(((broadcast_id, seq), Step.MACHINE_OPENED if by_machine else Step.OPENED))


async def _count_all(asked: list[tuple[Place, Step]]) -> Sequence[None]:
    places: defaultdict[Place, set[Step]] = defaultdict(set)
    for place, step in asked:
        places[place].add(step)
    async with transaction(across_apps=True) as session:
        await receipts.advance(session, places, now())
    return [None] * len(asked)


_counted = Batcher(_count_all, largest=LARGEST)
