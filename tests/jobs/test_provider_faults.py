"""A large broadcast by push while everything around it is hurt: the provider's ledger says who got it how often. Long.

`make faults` runs it. REPLYHQ_FAULT_SEEDS is a list of seeds, "1,2,3" when not set; REPLYHQ_FAULT_RECIPIENTS how many
it goes to. With REPLYHQ_FAULT_REPORT, the path of a file, what was seen is added to it as a line of docs/faults.md.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import Unavailable
from domain.links.tokens import short_url
from models.broadcasts import Broadcast as BroadcastRow
from models.broadcasts import BroadcastRecipient, BroadcastStatus, RecipientStatus
from models.devices import Device, Platform
from models.links import Link
from models.opt_outs import OptOut
from tests.jobs.test_random_faults import SEEDS
from tests.support import factories
from tests.support.balance import NOT_SENT, SENT, Balance, balance
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.house import Fault, House
from tests.support.own_servers import OwnServers, used
from tests.support.provider_ground import Ground, standing
from tests.support.waiting import until
from tests.test_broadcasts import SEND, create

RECIPIENTS = int(os.environ.get("REPLYHQ_FAULT_RECIPIENTS", "100000"))
CERTAIN = 6_000
UNWILLING_EVERY = 100
LEASE_SECONDS = 5.0
FREEZE_SECONDS = LEASE_SECONDS + 4.0
PAUSE_SECONDS = 1.5
MINUTES_MOST = 40
AT_ONCE = 32
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
SET_ACCOUNT = (
    "mutation($input: SetChannelAccountInput!) { setChannelAccount(input: $input) { userErrors { message } } }"
)
RETRY = "mutation($input: RetryBroadcastInput!) { retryBroadcast(input: $input) { userErrors { message } } }"
COUNTS = """query($id: ID!) { broadcast(id: $id) { status
  stats { totalRecipients totalSent totalFailed totalSkipped totalUncertain } } }"""
pytestmark = pytest.mark.long


@dataclass
class Scene:
    """All that is hurt, and what was done to it."""

    chance: random.Random
    servers: OwnServers
    house: House
    providers: Ground
    team: Team
    suffered: Counter[str] = field(default_factory=Counter)

    def plan(self) -> Iterator[Fault]:
        """Each fault once in every round, in an order that chance chooses."""
        house, servers = self.house, self.servers
        kinds = [house.kill_worker, house.freeze_worker, house.deploy, house.kill_api, house.kill_clocks]
        kinds += [servers.flush_valkey, servers.restart_valkey, servers.restart_postgresql]
        while True:
            yield from self.chance.sample(kinds, len(kinds))

    async def suffer(self, sending: "asyncio.Task[Any]") -> None:
        """Fault after fault until the sending has ended."""
        for fault in self.plan():
            await asyncio.sleep(self.chance.uniform(0, PAUSE_SECONDS))
            if sending.done():
                return
            await fault()
            self.suffered[fault.__name__] += 1

    def graph(self) -> Graph:
        return Graph(self.house.api.graphql, self.house.api.socket, self.team.token)


@pytest.fixture
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    chance = random.Random(getattr(request, "param", 0))
    own = {"REPLYHQ_NAMESPACE": "faults", "REPLYHQ_OUTBOUND_ALLOW_LOOPBACK": "true"}
    async with used(**own, REPLYHQ_LEASE_SECONDS=str(LEASE_SECONDS)) as servers, standing(tmp_path) as providers:
        house = House(chance, FREEZE_SECONDS)
        house.start()
        yield Scene(chance, servers, house, providers, await factories.team())
        house.stop()


async def people(app_id: UUID, count: int) -> None:
    """Contacts with an Android device each, whose token is its id; some of them do not want to be written to."""
    devices = await factories.contacts(app_id, count, Platform.ANDROID)
    unwilling = sa.select(
        sa.func.gen_random_uuid(), Device.app_id, Device.contact_id, sa.literal("MANUAL"), sa.func.now()
    )
    some = unwilling.where(Device.id.in_(devices[::UNWILLING_EVERY]))
    async with transaction() as session:
        of_app = sa.update(Device).where(Device.app_id == app_id)
        await session.execute(of_app.values(push_token=sa.cast(Device.id, sa.Text)))
        await session.execute(
            sa.insert(OptOut).from_select(["id", "app_id", "contact_id", "reason", "created_at"], some)
        )


async def ended(broadcast_id: UUID) -> bool:
    """Whether nothing more is sent. With the database away nobody knows."""
    status = sa.select(BroadcastRow.status).where(BroadcastRow.id == broadcast_id)
    try:
        async with transaction() as session:
            return await session.scalar(status) is BroadcastStatus.SENT
    except Unavailable:
        return False


async def follow_links(scene: Scene, broadcast_id: UUID, of: list[int]) -> None:
    """Recipients of whom nobody knows follow the link they got."""
    async with transaction() as session:
        link = (await session.scalars(sa.select(Link).where(Link.broadcast_id == broadcast_id))).one()
    paths = iter(httpx2.URL(short_url(link, seq)).path for seq in of)
    async with httpx2.AsyncClient(base_url=scene.house.api.url, headers=BROWSER, timeout=30) as http:

        async def follow() -> None:
            for path in paths:
                assert (await http.get(path)).status_code == 302

        await asyncio.gather(*(follow() for _ in range(AT_ONCE)))


async def uncertain(broadcast_id: UUID) -> list[tuple[int, str]]:
    """Those of whom nobody knows: number and push token."""
    async with transaction() as session:
        rows = await session.execute(
            sa.select(BroadcastRecipient.seq, BroadcastRecipient.device_id).where(
                BroadcastRecipient.broadcast_id == broadcast_id,
                BroadcastRecipient.status == RecipientStatus.UNCERTAIN,
            )
        )
    return [(seq, str(device_id)) for seq, device_id in rows]


def check_counts(found: Balance, stats: dict[str, int]) -> None:
    assert stats == {
        "totalRecipients": RECIPIENTS,
        "totalSent": found.of(*SENT),
        "totalFailed": found.of(RecipientStatus.FAILED),
        "totalSkipped": found.of(RecipientStatus.SKIPPED),
        "totalUncertain": found.of(RecipientStatus.UNCERTAIN),
    }


async def took(scene: Scene) -> int:
    """How many messages the provider has taken."""
    return scene.providers.counts("FCM").total()


async def begun(scene: Scene, count: int) -> tuple[Graph, str]:
    """A broadcast to `count` people that is being sent."""
    await people(scene.team.app_id, count)
    graph = scene.graph()
    await graph.change(SET_ACCOUNT, **scene.providers.running.accounts()["fcm"])
    broadcast_id = await create(graph, body="See https://example.com/sale", options={"channels": ["PUSH"]})
    await graph.change(SEND, id=broadcast_id)
    return graph, broadcast_id


@pytest.mark.parametrize("scene", SEEDS, indirect=True)
async def test_nobody_gets_a_push_twice_and_nobody_is_lost(scene: Scene, request: pytest.FixtureRequest) -> None:
    scene.providers.behave(lost=0.02, busy=0.01, broken=0.01, dead=0.005)
    graph, broadcast_id = await begun(scene, RECIPIENTS)
    id_, start = UUID(broadcast_id), monotonic()

    sending = asyncio.create_task(until(lambda: ended(id_), seconds=MINUTES_MOST * 60))
    await scene.suffer(sending)
    await sending
    seconds = monotonic() - start

    found = await balance(id_, scene.providers.counts("FCM"))
    report(request.node.callspec.params["scene"], found, scene.suffered, seconds)
    assert (found.doubled, found.lost) == (0, 0), found.taken
    assert found.of(*SENT, *NOT_SENT, RecipientStatus.UNCERTAIN) == RECIPIENTS
    check_counts(found, (await graph.data(COUNTS, id=broadcast_id))["broadcast"]["stats"])
    await check_settling(scene, graph, id_)
    await graph.close()


async def check_settling(scene: Scene, graph: Graph, id_: UUID) -> None:
    """Half of those who got it say so; the rest is settled by hand. Then nothing is open, and nothing more was sent."""
    before = scene.providers.counts("FCM")
    got = [seq for seq, token in await uncertain(id_) if before[token]]
    await follow_links(scene, id_, got[::2])
    assert len(await uncertain(id_)) > 0
    await graph.change(RETRY, id=str(id_), what="UNCERTAIN_AS_SENT")
    await until(lambda: ended(id_), seconds=120)
    found = await balance(id_, scene.providers.counts("FCM"))
    assert found.of(RecipientStatus.CLICKED) == len(got[::2])
    assert found.of(*SENT, *NOT_SENT) == RECIPIENTS
    check_counts(found, (await graph.data(COUNTS, id=str(id_)))["broadcast"]["stats"])
    assert scene.providers.counts("FCM") == before


def report(seed: int, found: Balance, suffered: Counter[str], seconds: float) -> None:
    """What was seen, as a line of the table in docs/faults.md."""
    faults = ", ".join(f"{name} {count}" for name, count in sorted(suffered.items()))
    unknown = RecipientStatus.UNCERTAIN
    cells: list[object] = [seed, f"{RECIPIENTS:,}", f"{seconds:.0f}", faults]
    cells += [found.of(*SENT), found.of(RecipientStatus.SKIPPED), found.of(RecipientStatus.FAILED)]
    cells += [f"{found.taken[unknown, 1]} / {found.taken[unknown, 0]}", found.doubled, found.lost]
    line = "| " + " | ".join(map(str, cells)) + " |"
    print(f"\n{line}\nuncertain: {dict(found.uncertain_by_code)}")  # noqa: T201 - for whoever runs it
    if path := os.environ.get("REPLYHQ_FAULT_REPORT"):
        with Path(path).open("a") as page:
            page.write(line + "\n")


@pytest.mark.parametrize(
    "fault", ["restart_postgresql", "restart_valkey", "flush_valkey", "deploy", "kill_clocks", "kill_api"]
)
async def test_as_long_as_workers_live_nobody_is_uncertain(scene: Scene, fault: str) -> None:
    """What a provider has answered is known, whatever happens to all else before it is written down."""
    scene.providers.behave(latency_ms=100)
    graph, broadcast_id = await begun(scene, CERTAIN)
    await until(lambda: took(scene), lambda count: count > 0)
    await getattr(scene.house if hasattr(scene.house, fault) else scene.servers, fault)()
    assert await took(scene) < CERTAIN
    await until(lambda: ended(UUID(broadcast_id)), seconds=60)
    found = await balance(UUID(broadcast_id), scene.providers.counts("FCM"))
    assert (found.doubled, found.lost, found.of(RecipientStatus.UNCERTAIN)) == (0, 0, 0), found
    await graph.close()


async def test_a_deploy_waits_for_a_batch_and_not_for_a_chunk(scene: Scene) -> None:
    """A chunk takes longer than a worker has to end; a batch does not."""
    scene.providers.behave(latency_ms=400)
    graph, broadcast_id = await begun(scene, 2_000)
    await until(lambda: took(scene), lambda count: count > 0)
    await scene.house.deploy()
    await until(lambda: ended(UUID(broadcast_id)), seconds=120)
    found = await balance(UUID(broadcast_id), scene.providers.counts("FCM"))
    assert (found.doubled, found.lost, found.of(RecipientStatus.UNCERTAIN)) == (0, 0, 0), found
    await graph.close()
