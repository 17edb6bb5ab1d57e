"""Tracked links and the pictures in mails, over HTTP, as browsers, mail services and scanners ask for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
import sqlalchemy as sa
import structlog

from core.database import transaction
from core.errors import Unavailable
from core.ids import new_id
from domain.links import stored, tokens
from models.broadcasts import Broadcast, BroadcastRecipient, BroadcastTally, RecipientStatus
from models.links import Link
from server import links
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import address, local_client
from tests.support.processes import Api
from tests.support.waiting import until

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
TARGET = "https://shop.example/größe;a=1?q=%20~x&r=[1]#top"
LOCATION = "https://shop.example/gr%C3%B6%C3%9Fe;a=1?q=%20~x&r=[1]#top"
COUNTS = (BroadcastTally.delivered, BroadcastTally.opened, BroadcastTally.clicked, BroadcastTally.machine_opened)


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser, which shows where it is led instead of going there."""
    headers = {"User-Agent": CHROME}
    async with local_client(base_url=api.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
async def broadcast(team: Team) -> Broadcast:
    """One with two links, to two people."""
    return await factories.sending(team, 2, body=f"See {TARGET} and https://other.example")


async def links_of(broadcast: Broadcast) -> list[Link]:
    async with transaction() as session:
        return await stored.prepare(session, broadcast)


async def path_of(broadcast: Broadcast, seq: int = 1, no: int = 1) -> str:
    """Where the recipient follows a link."""
    return urlsplit(tokens.short_url((await links_of(broadcast))[no - 1], seq)).path


def pixel_of(broadcast: Broadcast, seq: int = 1) -> str:
    return urlsplit(tokens.open_pixel_url(broadcast.id, seq)).path


async def counts(broadcast: Broadcast) -> tuple[int, ...]:
    """Delivered, opened, clicked, opened by a machine."""
    async with transaction() as session:
        sums = sa.select(*map(sa.func.sum, COUNTS)).where(BroadcastTally.broadcast_id == broadcast.id)
        return tuple((await session.execute(sums)).one())


async def status(broadcast: Broadcast, seq: int = 1) -> RecipientStatus:
    async with transaction() as session:
        own = sa.select(BroadcastRecipient.status).filter_by(broadcast_id=broadcast.id, seq=seq)
        return (await session.scalars(own)).one()


async def test_a_link_leads_to_what_was_stored_and_counts(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    answer = await http.get(await path_of(broadcast))
    assert (answer.status_code, answer.headers["Location"], answer.content) == (302, LOCATION, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert await status(broadcast) is RecipientStatus.CLICKED
    assert await status(broadcast, 2) is RecipientStatus.PENDING
    assert await counts(broadcast) == (1, 1, 1, 0)


async def test_nothing_in_the_address_says_where_to(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    path = await path_of(broadcast, no=2)
    for query in ("?url=https://evil.example", "?next=//evil.example", "?to=https://evil.example#https://evil.example"):
        assert (await http.get(path + query)).headers["Location"] == "https://other.example"


async def test_each_link_counts_for_who_follows_it_once(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    paths = [await path_of(broadcast, seq, no) for seq in (1, 2) for no in (1, 2)]
    answers = await asyncio.gather(*(http.get(path) for path in paths * 5))
    assert {answer.status_code for answer in answers} == {302}
    assert await counts(broadcast) == (2, 2, 2, 0)


async def test_a_head_is_led_there_and_not_counted(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    answer = await http.head(await path_of(broadcast))
    assert (answer.status_code, answer.headers["Location"]) == (302, LOCATION)
    assert (await http.head(pixel_of(broadcast))).headers["Content-Type"] == "image/gif"
    assert await counts(broadcast) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"User-Agent": "BarracudaCentral/1.0"},
        {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
        {"User-Agent": ""},
    ],
)
async def test_a_scanner_is_led_there_and_not_counted(
    http: httpx2.AsyncClient, broadcast: Broadcast, headers: dict[str, str]
) -> None:
    answer = await http.get(await path_of(broadcast), headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, LOCATION)
    assert await counts(broadcast) == (0, 0, 0, 0)


async def test_a_count_that_has_to_wait_keeps_nobody(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    path = await path_of(broadcast)
    async with transaction() as session:
        await session.scalars(sa.select(BroadcastRecipient).filter_by(broadcast_id=broadcast.id).with_for_update())
        assert (await http.get(path)).headers["Location"] == LOCATION
        assert await counts(broadcast) == (0, 0, 0, 0)
    assert await until(lambda: counts(broadcast), any) == (1, 1, 1, 0)


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (2, 3), (9, 4)])
async def test_a_count_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, failures: int, tries: int) -> None:
    made = 0

    async def count() -> None:
        nonlocal made
        made += 1
        if made <= failures:
            raise Unavailable("away")

    monkeypatch.setattr(links, "PAUSES", (0, 0, 0, 0))
    with structlog.testing.capture_logs() as logs:
        await links._count(count)
    assert made == tries
    assert [log["reason"] for log in logs] == ["the database is away"] * (failures >= tries)


async def test_counts_that_wait_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()
    monkeypatch.setattr(links, "UNDER_WAY_MOST", 3)
    monkeypatch.setattr(links, "PATIENCE_SECONDS", 0)
    made = 0

    async def count() -> None:
        nonlocal made
        made += 1
        await released.wait()

    with structlog.testing.capture_logs() as logs:
        await asyncio.gather(*(links._count(count) for _ in range(5)))
    assert [log["reason"] for log in logs] == ["too many wait"] * 2
    released.set()
    await asyncio.gather(*links._under_way)
    assert made == 3


async def test_other_methods_are_not_taken(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    assert (await http.post(await path_of(broadcast))).status_code == 405
    assert (await http.options(pixel_of(broadcast))).status_code == 405
    assert await counts(broadcast) == (0, 0, 0, 0)


async def test_a_token_that_is_not_ours_leads_nowhere(
    http: httpx2.AsyncClient, broadcast: Broadcast, team: Team
) -> None:
    path = await path_of(broadcast)
    other = await path_of(await factories.expanded(team, body="https://evil.example"))
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    of_another = other[:30] + path[30:], path[:30] + other[30:]
    pixel = pixel_of(broadcast).removesuffix(".gif").replace("/o/", "/l/")
    for bad in (changed, *of_another, path[:-1], path + "A", "/l/x", "/l/%00", pixel):
        answer = await http.get(bad)
        assert (answer.status_code, answer.headers.get("Location")) == (404, None), bad
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "This link leads nowhere" in answer.text
    assert await counts(broadcast) == (0, 0, 0, 0)


async def test_a_link_of_a_broadcast_that_is_gone_leads_nowhere(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    unknown = urlsplit(tokens.short_url(Link(broadcast_id=broadcast.id, no=9), 1)).path
    gone = urlsplit(tokens.short_url(Link(broadcast_id=new_id(), no=1), 1)).path
    assert [(await http.get(path)).status_code for path in (unknown, gone)] == [404, 404]
    assert await counts(broadcast) == (0, 0, 0, 0)


async def test_a_loaded_picture_is_an_open(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    for _ in range(2):
        answer = await http.get(pixel_of(broadcast))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.content[:10] == b"GIF89a\x01\x00\x01\x00"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert await status(broadcast) is RecipientStatus.OPENED
    assert await counts(broadcast) == (1, 1, 0, 0)


@pytest.mark.parametrize("agent", ["Mozilla/5.0", GMAIL, "python-requests/2.32.3"])
async def test_a_picture_that_a_machine_loads_is_counted_apart(
    http: httpx2.AsyncClient, broadcast: Broadcast, agent: str
) -> None:
    for _ in range(2):
        assert (await http.get(pixel_of(broadcast), headers={"User-Agent": agent})).status_code == 200
    assert await status(broadcast) is RecipientStatus.PENDING
    assert await counts(broadcast) == (0, 0, 0, 1)
    await http.get(await path_of(broadcast))
    assert await counts(broadcast) == (1, 1, 1, 1)


async def test_a_picture_that_is_not_ours_is_none(http: httpx2.AsyncClient, broadcast: Broadcast) -> None:
    path = pixel_of(broadcast)
    link = (await path_of(broadcast)).replace("/l/", "/o/") + ".gif"
    for bad in (path.replace("/o/", "/o/A"), path.removesuffix(".gif"), "/o/x.gif", link):
        assert (await http.get(bad)).status_code == 404, bad
    assert await counts(broadcast) == (0, 0, 0, 0)


@pytest.fixture(scope="module")
def strict(database: None) -> Iterator[Api]:
    """An API that lets an address visit twice a minute."""
    api = Api(REPLYHQ_RATE_VISITS_PER_MINUTE="2")
    api.start()
    yield api
    api.stop()


async def test_an_address_visits_as_often_as_it_may(strict: Api, broadcast: Broadcast) -> None:
    path, seen = await path_of(broadcast), {"User-Agent": CHROME, "X-Forwarded-For": address()}
    async with local_client(base_url=strict.url, headers=seen, timeout=30) as http:
        answers = [await http.get(one) for one in (path, "/l/guessed", path, pixel_of(broadcast))]
        assert [answer.status_code for answer in answers] == [302, 404, 429, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"visits";q=2;w=60'
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 30
        assert "Too many requests" in answers[2].text
        elsewhere = await http.get(path, headers={"X-Forwarded-For": address()})
    assert elsewhere.status_code == 302
