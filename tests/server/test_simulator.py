"""`replyhq devices` against a running API: what the devices count is what the database has."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.database import transaction
from core.errors import Invalid
from core.ids import new_id
from domain import in_app_messages
from domain.in_app_messages import Draft, ReceiptKind
from models.contacts import Contact
from models.devices import Device
from models.in_app_messages import InAppMessage
from server.simulator.device import Rates
from tests.support import factories
from tests.support.commands import end, replyhq, start
from tests.support.factories import Team
from tests.support.processes import Api
from tests.support.waiting import until


async def heard(process: Process, words: str) -> None:
    """Wait until the command says `words` on stderr."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while line := (await process.stderr.readline()).decode():
            if words in line:
                return
    raise AssertionError(f"ended without saying {words!r}")


async def send(team: Team, each: int) -> list[UUID]:
    """`each` messages to every device of the app; the devices."""
    async with transaction() as session:
        devices = (await session.scalars(sa.select(Device.id).where(Device.app_id == team.app_id))).all()
        drafts = [Draft(f"test:{new_id()}", device, "Hello", "World", None) for device in devices for _ in range(each)]
        await in_app_messages.store(session, team.app_id, drafts)
    return list(devices)


async def reported(team: Team) -> dict[str, int]:
    """What the database knows of reports."""
    columns = (InAppMessage.delivered_at, InAppMessage.opened_at, InAppMessage.clicked_at)
    counts = sa.select(*map(sa.func.count, columns)).where(InAppMessage.app_id == team.app_id)
    async with transaction() as session:
        row = (await session.execute(counts)).one()
    return dict(zip(("delivered", "opened", "clicked"), row, strict=True))


def told(summary: dict[str, Any]) -> dict[str, int]:
    return {name: summary[name] for name in ("delivered", "opened", "clicked")}


@pytest.fixture
async def own_api(database: None) -> AsyncIterator[Api]:
    """An API that a test may kill."""
    process = Api()
    process.start()
    yield process
    process.stop()


async def test_devices_receive_report_and_agree_with_the_database(api: Api, team: Team) -> None:
    await factories.contacts(team.app_id, 1)
    process = await start(
        *("devices", "--count", "5", "--email", team.email, "--expect", "40", "--seed", "1", "--json"),
        *("--delivered", "0.9", "--opened", "0.6", "--clicked", "0.3", "--url", api.socket),
    )
    await heard(process, "Acme had too few devices: added 4 contacts, named Simulated, with one each.")
    await heard(process, "All 5 devices are connected.")
    await send(team, each=8)

    ended = await end(process)

    summary = json.loads(ended.out)
    assert ended.code == 0
    assert told(summary) == await reported(team)
    assert (summary["devices"], summary["connected"]) == (5, 5)
    assert (summary["received"], summary["distinct"], summary["finished"]) == (40, 40, 40)
    assert summary["repeated"] == summary["refused"] == summary["reconnects"] == 0
    assert 40 > summary["delivered"] > summary["opened"] > summary["clicked"] > 0
    async with transaction() as session:
        names = set(await session.scalars(sa.select(Contact.name).where(Contact.app_id == team.app_id)))
    assert names == {"User 0", *(f"Simulated {number}" for number in range(2, 6))}


async def test_nothing_comes_twice_when_the_api_is_killed(own_api: Api, team: Team) -> None:
    await factories.contacts(team.app_id, 3)
    await send(team, each=2)
    process = await start(
        *("devices", "--count", "3", "--email", team.email, "--expect", "12", "--json", "--url", own_api.socket),
        *("--delivered", "0.5", "--opened", "0.5", "--clicked", "0.5", "--seed", "2"),
    )
    await heard(process, "All 3 devices are connected.")
    await until(lambda: reported(team), lambda counts: counts["delivered"] > 0)
    own_api.kill()
    await send(team, each=2)
    own_api.start()

    ended = await end(process)

    summary = json.loads(ended.out)
    assert ended.code == 0
    assert (summary["received"], summary["distinct"], summary["repeated"]) == (12, 12, 0)
    assert summary["reconnects"] >= 3
    assert told(summary) == await reported(team)


async def test_ctrl_c_ends_with_a_summary(api: Api, team: Team) -> None:
    process = await start("devices", "--count", "2", "--email", team.email, "--url", api.socket)
    await heard(process, "All 2 devices are connected.")

    process.send_signal(signal.SIGINT)
    ended = await end(process)

    assert ended.code == 0
    assert "2 of 2" in ended.out
    assert "Traceback" not in ended.err


async def test_what_was_expected_and_did_not_come_is_a_failure(api: Api, team: Team) -> None:
    words = ("--count", "1", "--email", team.email, "--url", api.socket, "--expect", "1", "--seconds", "0.5", "--json")

    ended = await replyhq("devices", *words)

    assert (ended.code, json.loads(ended.out)["received"]) == (1, 0)


async def test_devices_that_the_server_does_not_know_give_up(api: Api, team: Team) -> None:
    ended = await replyhq(
        *("devices", "--count", "2", "--email", team.email, "--url", api.socket),
        REPLYHQ_SECRET_KEY="another secret than the one of the API, long enough",
    )

    assert ended.code == 1
    assert "Error: The server refused all devices: 4403 Forbidden" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--opened", "0.1", "--clicked", "0.2"),
            "Error: The rates must keep 0 <= clicked <= opened <= delivered <= 1",
        ),
        (("--url", "http://127.0.0.1/graphql"), "Error: --url must begin with ws:// or wss://."),
    ],
)
async def test_a_wrong_option_is_told(words: tuple[str, ...], said: str) -> None:
    ended = await replyhq("devices", "--count", "1", *words)

    assert ended.code == 1
    assert ended.err.startswith(said)


def test_the_rates_are_shares_of_all_messages() -> None:
    chance, rates = Random(1), Rates(0.8, 0.4, 0.1)

    steps = Counter(kind for _ in range(20_000) for kind in rates.draw(chance))

    assert steps[ReceiptKind.DELIVERED] == pytest.approx(16_000, rel=0.05)
    assert steps[ReceiptKind.OPENED] == pytest.approx(8_000, rel=0.05)
    assert steps[ReceiptKind.CLICKED] == pytest.approx(2_000, rel=0.1)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers())
def test_a_step_never_comes_without_those_before_it(one: float, two: float, three: float, seed: int) -> None:
    clicked, opened, delivered = sorted((one, two, three))

    drawn = Rates(delivered, opened, clicked).draw(Random(seed))

    assert drawn == list(ReceiptKind)[: len(drawn)]


@pytest.mark.parametrize("rates", [(1.1, 0, 0), (1, 0.5, 0.6), (0.5, 0.6, 0), (1, 1, -0.1), (float("nan"), 0, 0)])
def test_rates_that_cannot_be_are_refused(rates: tuple[float, float, float]) -> None:
    with pytest.raises(Invalid):
        Rates(*rates)
