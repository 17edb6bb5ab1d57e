"""Broadcasts under random faults: processes killed or frozen, wake-ups lost. Long; `make faults` runs it.

REPLYHQ_FAULT_SEEDS is a list of seeds, "1,2,3" when not set; a failure names its seed.
"""

import os
import random
from collections.abc import Iterator

import pytest

from tests.jobs.test_faults import forget_wake_ups, messages_per_device, rows_sent
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.house import Fault, House
from tests.support.waiting import until
from tests.test_broadcasts import SEND, STATS, create

SEEDS = [int(seed) for seed in os.environ.get("REPLYHQ_FAULT_SEEDS", "1,2,3").split(",")]
RECIPIENTS = 200_000
FAULTS_LEAST = 4
FREEZE_SECONDS = 5.0
pytestmark = pytest.mark.long


def faults(house: House) -> list[Fault]:
    return [
        house.kill_worker,
        house.kill_worker,
        house.freeze_worker,
        house.kill_clock,
        house.kill_api,
        forget_wake_ups,
    ]


@pytest.fixture(params=SEEDS)
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture
def house(chance: random.Random) -> Iterator[House]:
    made = House(chance, FREEZE_SECONDS)
    made.start()
    yield made
    made.stop()


async def test_nobody_is_left_out_and_nobody_gets_it_twice(house: House, chance: random.Random, team: Team) -> None:
    await factories.contacts(team.app_id, RECIPIENTS)
    graph = Graph(house.api.graphql, house.api.socket, team.token)
    broadcast_id = await create(graph)
    await graph.change(SEND, id=broadcast_id)
    await until(lambda: rows_sent(broadcast_id), lambda count: count > 0, seconds=60)
    suffered = []
    while await rows_sent(broadcast_id) < RECIPIENTS:
        fault = chance.choice(faults(house))
        await fault()
        suffered.append(fault.__name__)
    assert len(suffered) >= FAULTS_LEAST, suffered
    seen = await until(
        lambda: graph.data(STATS, id=broadcast_id), lambda seen: seen["broadcast"]["status"] == "SENT", seconds=60
    )
    await graph.close()
    assert seen["broadcast"]["stats"]["totalSent"] == RECIPIENTS, suffered
    assert await rows_sent(broadcast_id) == RECIPIENTS, suffered
    assert await messages_per_device(team) == [1] * RECIPIENTS, suffered
