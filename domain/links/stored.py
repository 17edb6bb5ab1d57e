"""The links of a broadcast: kept once each, and put for by short ones in what a recipient gets."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.batcher import Batcher
from core.database import transaction
from domain.links import finding
from domain.links.tokens import short_url
from models.broadcasts import Broadcast
from models.links import Link

Place = tuple[UUID, int]


async def prepare(session: AsyncSession, broadcast: Broadcast) -> list[Link]:
    """Store each web address in the bodies and in `data.url` of a broadcast that starts; returns its links.

    Done again it adds what is not there yet and changes nothing else: what has been sent goes on leading where it did.
    """
    await session.execute(sa.select(Broadcast.id).where(Broadcast.id == broadcast.id).with_for_update(key_share=True))
    links = await of(session, broadcast)
    known = {link.url for link in links}
    fresh = [url for url in _addresses(broadcast) if url not in known]
    first = len(links) + 1
    added = [
        Link(app_id=broadcast.app_id, broadcast_id=broadcast.id, no=no, url=url)
        for no, url in enumerate(fresh, start=first)
    ]
    session.add_all(added)
    await session.flush()
    return [*links, *added]


def _addresses(broadcast: Broadcast) -> list[str]:
    url = (broadcast.data or {}).get("url")
    bodies = [broadcast.body, *(variant["body"] for variant in broadcast.variants)]
    found = [address for body in bodies for address in finding.find(body)]
    return list(dict.fromkeys([*found, *([url] if finding.is_web(url) else [])]))


async def of(session: AsyncSession, broadcast: Broadcast) -> list[Link]:
    """The links of a broadcast, by number."""
    own = sa.select(Link).where(Link.app_id == broadcast.app_id, Link.broadcast_id == broadcast.id)
    return list(await session.scalars(own.order_by(Link.no)))


def shortened(text: str, links: Mapping[str, Link], seq: int) -> str:
    """What the recipient `seq` reads: a text, placeholders filled, with short addresses for those in `links`."""
    return finding.replace(text, lambda url: short_url(links[url], seq) if url in links else url)


def shortened_data(data: dict[str, Any] | None, links: Mapping[str, Link], seq: int) -> dict[str, Any] | None:
    """The data of a broadcast for the recipient `seq`; an address that is not in `links`, an app's, stays."""
    url = (data or {}).get("url")
    return {**(data or {}), "url": short_url(links[url], seq)} if isinstance(url, str) and url in links else data


async def _read(places: list[Place]) -> Sequence[str | None]:
    wanted = sa.tuple_(Link.broadcast_id, Link.no).in_(set(places))
    async with transaction(across_apps=True) as session:
        rows = await session.execute(sa.select(Link.broadcast_id, Link.no, Link.url).where(wanted))
        urls = {(broadcast_id, no): url for broadcast_id, no, url in rows}
    return [urls.get(place) for place in places]


targets = Batcher(_read)
"""Where links lead: `await targets.ask((broadcast_id, no))`, None when there is no such link."""
