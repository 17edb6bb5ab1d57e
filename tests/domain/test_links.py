"""Addresses in texts, what data may lead to, signed tokens, links kept once."""

import asyncio
import re
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.config import config
from core.database import transaction
from core.errors import Invalid
from core.ids import new_id
from domain.links import finding, stored, tokens
from models.broadcasts import Broadcast
from models.links import Link
from tests.support import factories
from tests.support.factories import Team
from tests.support.waiting import until, waits_for_a_lock

BEHIND = [
    ".",
    ",",
    "!",
    "?",
    "...",
    ")",
    "]",
    "'",
    "*",
    ":",
    ";",
    "\u2019",
    "»",
    "。",
    "\uff09",
    ").",
    "?)",
    ">",
    '"',
    " (a)",
]
URL_TEXTS = st.text(max_size=300) | st.text("htps:/.()[]{}a.? \n", max_size=300)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("See https://example.com/a?b=c&d=%20#e now", ["https://example.com/a?b=c&d=%20#e"]),
        ("HTTP://EXAMPLE.COM", ["HTTP://EXAMPLE.COM"]),
        ("https://a.example\nhttps://b.example https://a.example", ["https://a.example", "https://b.example"]),
        ("(see https://en.example/wiki/A_(b))", ["https://en.example/wiki/A_(b)"]),
        ("(https://a.example/x)", ["https://a.example/x"]),
        ("[https://a.example/[1]]", ["https://a.example/[1]"]),
        ('<a href="https://a.example/x">y</a>', ["https://a.example/x"]),
        ("https://größe.example/straße", ["https://größe.example/straße"]),
        ("https://a.example:8080/~b/-_/", ["https://a.example:8080/~b/-_/"]),
        ("https://a.example/?q={{ contact.name }} https://b.example", ["https://b.example"]),
        ('{{ contact.plan | default: "https://a.example/x" }}', ["https://a.example/x"]),
        ("{{app.name}}https://a.example", ["https://a.example"]),
        ("example.com ftp://a.example xhttps://a.example mailto:a@b.example https:/a https://", []),
        ("https:///x https://:80 https://a:99999 https://[ https://a:b http://?", []),
        ("https://a.example/?u=https://b.example/", ["https://a.example/?u=https://b.example/"]),
        ("https://a.example/" + "a" * 3_000, []),
    ],
)
def test_what_is_found(text: str, found: list[str]) -> None:
    assert finding.find(text) == found


@given(st.from_regex(r"https?://[a-z]{1,9}(\.[a-z]{2,5}){1,2}(/[a-zA-Z0-9_~/-]{0,20})?", fullmatch=True))
@pytest.mark.parametrize("behind", BEHIND)
def test_punctuation_behind_is_no_part_of_it(behind: str, url: str) -> None:
    assert finding.find(f"See {url}{behind}") == [url]
    assert finding.find(f"({url}{behind}\n") == [url]


@given(URL_TEXTS)
def test_what_is_found_is_there_and_is_replaced(text: str) -> None:
    found = finding.find(text)
    assert all(url in text and re.match(r"https?://[^\s]+$", url, re.IGNORECASE) for url in found)
    assert finding.replace(text, lambda url: url) == text
    seen: list[str] = []
    finding.replace(text, lambda url: seen.append(url) or url)  # type: ignore[func-returns-value]
    assert set(found) <= set(seen)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"url": None},
        {"action": "javascript:alert(1)"},
        {"url": "https://example.com/x?y#z"},
        {"url": "HTTP://a.example"},
        {"url": "myapp://orders/5"},
        {"url": "com.acme.shop:/a"},
        {"url": "tel:+4912"},
    ],
)
def test_data_may_lead_to_the_web_and_to_an_app(data: dict[str, object] | None) -> None:
    finding.check_data(data)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "JavaScript://%0aalert(1)", "data:text/html,x", "vbscript:x"])
def test_data_may_not_lead_to_code(url: str) -> None:
    with pytest.raises(Invalid, match=f"must not be a {url.partition(':')[0].lower()}: address") as refused:
        finding.check_data({"url": url})
    assert refused.value.field == "data.url"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/offer",
        "example.com",
        "//example.com",
        "https://",
        "http:",
        "https:a",
        "java\tscript:x",
        " javascript:x",
        "https://a.example/ b",
        "https://a.example/{{ contact.name }}",
        "https://a:b",
        "file:///etc/passwd\n",
        "x:",
        "\x01javascript:x",
        "https://a.example/" + "a" * 2_000,
        "https://a.example\\@b.example",
        5,
        ["x"],
        {},
        True,
    ],
)
def test_data_leads_somewhere_or_not_at_all(url: object) -> None:
    with pytest.raises(Invalid, match="must be an absolute address") as refused:
        finding.check_data({"url": url})
    assert refused.value.field == "data.url"


PLACE = st.tuples(st.uuids(), st.integers(1, 65_535), st.integers(1, 2**32 - 1))


@given(PLACE)
def test_a_token_says_what_it_was_made_of(place: tuple[UUID, int, int]) -> None:
    id_, no, seq = place
    link, pixel = tokens.short_url(Link(broadcast_id=id_, no=no), seq), tokens.open_pixel_url(id_, seq)
    token, of_pixel = link.rpartition("/")[2], pixel.rpartition("/")[2].removesuffix(".gif")
    assert link == f"http://127.0.0.1:8000/l/{token}"
    assert pixel == f"http://127.0.0.1:8000/o/{of_pixel}.gif"
    assert tokens.read_link(token) == place
    assert tokens.read_open(of_pixel) == (id_, seq)
    assert (len(token), len(of_pixel)) == (44, 41)
    assert tokens.read_link(of_pixel) is tokens.read_open(token) is None


@given(PLACE, st.integers(0, 43), st.sampled_from("ABab01-_=.é\0"))
def test_a_token_that_was_changed_is_none(place: tuple[UUID, int, int], at: int, char: str) -> None:
    id_, no, seq = place
    token = tokens.short_url(Link(broadcast_id=id_, no=no), seq).rpartition("/")[2]
    changed = token[:at] + char + token[at + 1 :]
    assert tokens.read_link(changed) == (place if changed == token else None)


@given(st.text(max_size=60))
def test_what_we_have_not_made_is_none(token: str) -> None:
    assert tokens.read_link(token) is None
    assert tokens.read_open(token) is None


@pytest.mark.parametrize(
    ("name", "value", "start"),
    [
        ("PUBLIC_URL", "https://app.example.com/team/", "https://app.example.com/team/l/"),
        ("HOST", "::1", "http://[::1]:8000/l/"),
    ],
)
def test_where_short_addresses_begin(monkeypatch: pytest.MonkeyPatch, name: str, value: str, start: str) -> None:
    monkeypatch.setenv(f"REPLYHQ_{name}", value)
    config.cache_clear()
    try:
        assert tokens.short_url(Link(broadcast_id=new_id(), no=1), 1).startswith(start)
    finally:
        monkeypatch.undo()
        config.cache_clear()


def test_another_key_makes_other_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = new_id()
    token = tokens.short_url(Link(broadcast_id=id_, no=1), 1).rpartition("/")[2]
    monkeypatch.setenv("REPLYHQ_SECRET_KEY", "another-secret-of-the-tests-just-as-long-as-it")
    config.cache_clear()
    try:
        assert tokens.read_link(token) is None
    finally:
        monkeypatch.undo()
        config.cache_clear()


BODY = "Buy: https://a.example/1. Or https://b.example/2, https://a.example/1!"


async def prepare(broadcast: Broadcast) -> list[tuple[int, str]]:
    async with transaction() as session:
        return [(link.no, link.url) for link in await stored.prepare(session, broadcast)]


async def test_each_address_is_kept_once(team: Team) -> None:
    broadcast = await factories.broadcast(team, body=BODY, data={"url": "https://c.example/3", "action": "open"})
    links = [(1, "https://a.example/1"), (2, "https://b.example/2"), (3, "https://c.example/3")]
    assert await prepare(broadcast) == links
    assert await prepare(broadcast) == links
    async with transaction() as session:
        rows = (await session.scalars(sa.select(Link).filter_by(broadcast_id=broadcast.id).order_by(Link.no))).all()
    assert [(row.no, row.url, row.app_id) for row in rows] == [(*link, team.app_id) for link in links]


async def test_two_at_once_keep_them_once(team: Team) -> None:
    broadcast = await factories.broadcast(team, body=BODY)
    async with transaction() as session:
        first = await stored.prepare(session, broadcast)
        second = asyncio.create_task(prepare(broadcast))
        await until(waits_for_a_lock)
    assert (
        await second
        == [(link.no, link.url) for link in first]
        == [(1, "https://a.example/1"), (2, "https://b.example/2")]
    )


async def test_what_was_sent_goes_on_leading_where_it_did(team: Team) -> None:
    broadcast = await factories.broadcast(team, body=BODY)
    await prepare(broadcast)
    broadcast.body, broadcast.data = "https://c.example https://b.example/2", {"url": "myapp://x"}
    assert await prepare(broadcast) == [
        (1, "https://a.example/1"),
        (2, "https://b.example/2"),
        (3, "https://c.example"),
    ]


async def test_nothing_to_follow_nothing_kept(team: Team) -> None:
    assert await prepare(await factories.broadcast(team, body="Hello", data={"url": "myapp://x"})) == []


def test_a_recipient_gets_short_ones_for_those_that_are_kept() -> None:
    id_ = new_id()
    links = {
        url: Link(broadcast_id=id_, no=no, url=url)
        for no, url in enumerate(("https://a.example", "https://b.example/"), 1)
    }
    one, two = (tokens.short_url(link, 7) for link in links.values())
    text = "(https://a.example) https://b.example/, https://b.example/x https://c.example."
    assert stored.shortened(text, links, 7) == f"({one}) {two}, https://b.example/x https://c.example."
    assert stored.shortened_data({"url": "https://a.example", "a": 1}, links, 7) == {"url": one, "a": 1}
    assert stored.shortened_data({"url": "myapp://x"}, links, 7) == {"url": "myapp://x"}
    assert stored.shortened_data({"url": ["x"]}, links, 7) == {"url": ["x"]}
    assert stored.shortened_data(None, links, 7) is None
