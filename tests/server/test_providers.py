"""`replyhq providers`: a process of its own, whose ledger survives it."""

import json
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.base import Taken
from channels.http import Http
from channels.web_push import WebPush, WebPushAccount
from core.errors import Invalid
from server.simulator.providers.behaviour import Behaviour, Fate, Luck
from server.simulator.providers.ledger import Ledger
from tests.support.commands import Ended, end, replyhq, start
from tests.support.provider_ground import outgoing, results


async def started(folder: Path, *options: str) -> tuple[Process, dict[str, Any]]:
    process = await start("providers", "--folder", str(folder), "--json", *options)
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


async def ended(process: Process) -> Ended:
    process.terminate()
    return await end(process)


async def asked(url: str, **options: Any) -> str:
    async with aiohttp.ClientSession() as session, session.request(options.pop("method", "GET"), url, **options) as got:
        return await got.text()


async def test_what_was_taken_is_known_after_a_kill(tmp_path: Path) -> None:
    process, where = await started(tmp_path)
    assert set(where["accounts"]) == {"fcm", "apns", "webPush", "smtp"}
    to = await asked(f"{where['http']}/subscription/browser-1")
    http = Http(allow_loopback=True)
    channel = WebPush(
        WebPushAccount(json.loads((tmp_path / "credentials.json").read_text())["browser"], "mailto:a@b.example"),
        http,
        8,
    )
    assert {type(one) for one in await results(channel, [outgoing(to) for _ in range(20)])} == {Taken}
    process.send_signal(signal.SIGKILL)
    await process.wait()
    again, where = await started(tmp_path)
    lines = [json.loads(line) for line in (await asked(f"{where['http']}/ledger")).splitlines()]
    assert lines == [{"provider": "WEB_PUSH", "address": "browser-1", "count": 20}]
    assert (await ended(again)).code == 0
    await http.close()


async def test_it_behaves_as_it_is_told(tmp_path: Path) -> None:
    process, where = await started(tmp_path, "--busy", "0.25", "--retry-after", "9")
    url = f"{where['http']}/behaviour"
    assert json.loads(await asked(url))["busy"] == 0.25
    told = json.loads(await asked(url, method="POST", json={"busy": 0, "dead": 1}))
    assert (told["busy"], told["dead"], told["retry_after"]) == (0, 1, 9)
    assert "give numbers for" in await asked(url, method="POST", json={"bussy": 1})
    assert "from 0 to 1" in await asked(url, method="POST", json={"busy": 2})
    assert (await ended(process)).code == 0


async def test_a_share_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    found = await replyhq("providers", "--folder", str(tmp_path), "--busy", "2")
    assert found.code == 1
    assert "busy is a share, from 0 to 1." in found.err


async def test_shares_are_kept_and_the_dead_stay_dead() -> None:
    luck = Luck(Behaviour(busy=0.2, broken=0.1, dead=0.3, lost=0.1), seed=1)
    names = [f"n{no}" for no in range(2_000)]
    fates = [await luck.fate(name) for name in names]
    dead = {name for name, fate in zip(names, fates, strict=True) if fate is Fate.DEAD}
    assert 520 < len(dead) < 680
    assert {name for name in names if await luck.fate(name) is Fate.DEAD} == dead
    assert 220 < fates.count(Fate.BUSY) < 340
    with pytest.raises(Invalid):
        Behaviour(busy=0.6, broken=0.6)


def test_a_line_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'["FCM","a","k1"]\n["FCM","a","k2"]\n["FCM","b')
    ledger = Ledger(path)
    assert list(ledger.lines()) == [b'{"provider":"FCM","address":"a","count":2}\n']
    ledger.close()
