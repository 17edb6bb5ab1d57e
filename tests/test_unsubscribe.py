"""The unsubscribe link, as people, mail providers and mail scanners use it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core.config import config
from core.database import transaction
from core.errors import Invalid
from core.ids import new_id
from core.security import keyed_hashes
from domain import unsubscribes
from domain.unsubscribes import Unsubscribe
from models.channels import ChannelKind
from models.facts import Fact
from models.opt_outs import OptOut, OptOutReason
from tests.support import audited, factories
from tests.support.factories import Team
from tests.support.graph import address, local_client
from tests.support.processes import Api

EMAIL = ChannelKind.EMAIL
ONE_CLICK = {"content": "List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
NO_LINK = "<title>This link is not valid</title>"
DONE = "<title>You are unsubscribed</title>"


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with local_client(base_url=api.url, headers={"X-Forwarded-For": address()}) as client:
        yield client


@pytest.fixture
async def ada(team: Team) -> UUID:
    return (await factories.person(team.app_id)).id


async def opt_outs(contact_id: UUID) -> list[tuple[ChannelKind | None, OptOutReason]]:
    async with transaction() as session:
        own = sa.select(OptOut.channel, OptOut.reason).where(OptOut.contact_id == contact_id)
        return [tuple(row) for row in await session.execute(own)]


@given(st.uuids(), st.uuids(), st.sampled_from(ChannelKind), st.none() | st.uuids())
def test_a_link_says_what_it_was_made_for(app: UUID, contact: UUID, channel: ChannelKind, led: UUID | None) -> None:
    url = unsubscribes.link(app, contact, channel, led)
    start, _, token = url.partition("?token=")
    assert start == f"{config().public_url}/unsubscribe"
    assert unsubscribes.read(token) == Unsubscribe(app, contact, channel, led)
    assert len(url) < 150
    assert httpx2.URL(f"https://example.com{url}").params["token"] == token


@given(st.integers(0, 150), st.characters())
def test_a_link_that_was_changed_is_none(at: int, put: str) -> None:
    token = unsubscribes.link(UUID(int=1), UUID(int=2), EMAIL, UUID(int=3)).partition("=")[2]
    changed = token[:at] + put + token[at + 1 :]
    if changed != token:
        with pytest.raises(Invalid):
            unsubscribes.read(changed)


async def test_a_get_shows_a_button_and_does_nothing(http: httpx2.AsyncClient, team: Team, ada: UUID) -> None:
    link = unsubscribes.link(team.app_id, ada, EMAIL, None)
    for method in ("GET", "HEAD", "GET"):
        page = await http.request(method, link)
        assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<form method="post"><button type="submit">Unsubscribe</button></form>' in page.text
    assert "e-mails" in page.text
    assert "<script" not in page.text
    policy = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    assert page.headers["content-security-policy"] == policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert await opt_outs(ada) == []


@pytest.mark.parametrize("body", [{}, ONE_CLICK, {"data": {}}, {"files": {"List-Unsubscribe": (None, "One-Click")}}])
async def test_a_post_opts_out_of_this_channel_once(
    http: httpx2.AsyncClient, team: Team, ada: UUID, body: dict[str, object]
) -> None:
    broadcast = new_id()
    link = unsubscribes.link(team.app_id, ada, EMAIL, broadcast)
    for _ in range(2):
        page = await http.post(link, **body)
        assert (page.status_code, DONE in page.text) == (200, True)
    assert await opt_outs(ada) == [(EMAIL, OptOutReason.UNSUBSCRIBED)]
    (entry,) = await audited.entries(ada)
    assert (entry.action, entry.actor, entry.app_id) == ("contact.opted_out", f"contact:{ada}", team.app_id)
    assert entry.ip == http.headers["X-Forwarded-For"]
    assert entry.request_id
    async with transaction() as session:
        (fact,) = await session.scalars(sa.select(Fact).where(Fact.entity_id == ada))
    assert (fact.kind, fact.actor) == ("contact.opted_out", f"contact:{ada}")
    assert fact.data == {"channel": "EMAIL", "broadcast_id": str(broadcast)}


async def test_eight_posts_at_once_are_one(http: httpx2.AsyncClient, team: Team, ada: UUID) -> None:
    link = unsubscribes.link(team.app_id, ada, ChannelKind.PUSH, None)
    pages = await asyncio.gather(*(http.post(link) for _ in range(8)))
    assert [page.status_code for page in pages] == [200] * 8
    assert await opt_outs(ada) == [(ChannelKind.PUSH, OptOutReason.UNSUBSCRIBED)]
    assert await audited.actions(ada) == ["contact.opted_out"]


async def test_who_is_gone_is_answered_as_who_is_there(http: httpx2.AsyncClient, team: Team, ada: UUID) -> None:
    there, gone = (unsubscribes.link(team.app_id, one, EMAIL, None) for one in (ada, new_id()))
    elsewhere = unsubscribes.link((await factories.team()).app_id, ada, EMAIL, None)
    for method in ("GET", "POST"):
        pages = [await http.request(method, link) for link in (there, gone, elsewhere)]
        assert {(page.status_code, page.text) for page in pages} == {(200, pages[0].text)}
    assert await opt_outs(ada) == [(EMAIL, OptOutReason.UNSUBSCRIBED)]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_we_did_not_sign_is_refused(http: httpx2.AsyncClient, team: Team, ada: UUID, method: str) -> None:
    token = unsubscribes.link(team.app_id, ada, EMAIL, None).partition("=")[2]
    said = token.partition(".")[0]
    (of_another_purpose,) = keyed_hashes(said, "suppression")
    made_up = ["", "x", ".", token[:-1], f"{token}x", said, f"{said}.{of_another_purpose}", "%00", "ä" * 9]
    paths = ["/unsubscribe", *(f"/unsubscribe?token={one}" for one in made_up)]
    pages = [await http.request(method, path) for path in paths]
    assert {(page.status_code, NO_LINK in page.text) for page in pages} == {(400, True)}
    assert len({page.text for page in pages}) == 1
    assert await opt_outs(ada) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(http: httpx2.AsyncClient, team: Team, ada: UUID, method: str) -> None:
    assert (await http.request(method, unsubscribes.link(team.app_id, ada, EMAIL, None))).status_code == 405


async def test_guessing_spends_the_address_and_a_link_itself(database: None) -> None:
    api = Api(REPLYHQ_RATE_IP_PER_MINUTE="5")
    team, ip = await factories.team(), address()
    people = [(await factories.person(team.app_id)).id for _ in range(8)]
    links = [unsubscribes.link(team.app_id, one, EMAIL, None) for one in people]
    api.start()
    try:
        async with local_client(base_url=api.url, headers={"X-Forwarded-For": ip}) as http:
            guesses = [await http.post("/unsubscribe?token=guess") for _ in range(6)]
            assert [page.status_code for page in guesses] == [400] * 5 + [429]
            assert 0 < int(guesses[-1].headers["Retry-After"]) <= 12
            # a mail provider comes for many people from one address
            assert [(await http.post(link)).status_code for link in links] == [200] * 8
            often = [await http.post(links[0]) for _ in range(10)]
            assert [page.status_code for page in often] == [200] * 9 + [429]
    finally:
        api.stop()
