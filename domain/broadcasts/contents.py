"""What a broadcast says to one recipient: its texts with their variables put in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from domain import templates, unsubscribes
from domain.links import stored
from domain.links.tokens import open_pixel_url
from domain.templates import Template
from models.apps import App
from models.broadcasts import Broadcast
from models.channels import ChannelKind
from models.contacts import Contact
from models.links import Link

COLUMNS = (
    Contact.name,
    Contact.emails,
    Contact.phones,
    Contact.external_id,
    Contact.locale,
    Contact.country,
    Contact.plan,
    Contact.attributes,
)
"""What texts may say of a contact."""


@dataclass(frozen=True)
class Content:
    """What a variant says, compiled. Plain when it has no variable: then all recipients get the same object."""

    title: Template
    body: Template
    data: dict[str, Any] | None
    plain: "Rendered | None"
    links: Mapping[str, Link]


class Rendered(NamedTuple):
    """What one recipient gets."""

    title: str
    body: str
    data: dict[str, Any] | None
    unsubscribe_url: str | None = None
    picture_url: str | None = None


async def compiled(session: AsyncSession, broadcast: Broadcast) -> Sequence[Content]:
    """What each variant says; a single one where there are no variants."""
    texts = [(one["title"], one["body"]) for one in broadcast.variants] or [(broadcast.title, broadcast.body)]
    links = {link.url: link for link in await stored.of(session, broadcast)}
    return [_compile(title, body, broadcast.data, links) for title, body in texts]


def _compile(title: str, body: str, data: dict[str, Any] | None, links: Mapping[str, Link]) -> Content:
    both = templates.compile(title, "title"), templates.compile(body, "body")
    is_plain = not any(template.variables for template in both)
    return Content(*both, data, Rendered(title, body, data) if is_plain else None, links)


def render(content: Content, broadcast: Broadcast, app: App, row: Any, channel: ChannelKind) -> Rendered:
    """What the recipient `row` (see `deciding.seen`) gets.

    Devices tell by themselves what is opened and followed in the app; elsewhere links are short ones that are counted.

    Raises:
        MissingValue: a variable has no value and no default.
    """
    tracked = channel is not ChannelKind.IN_APP and bool(content.links)
    if content.plain is not None and not tracked and channel is not ChannelKind.EMAIL:
        return content.plain
    platform, unsubscribe_url = row.platform.value if row.platform else "", _unsubscribe_url(broadcast, row, channel)
    values = templates.values_of(row, app_name=app.name, platform=platform, unsubscribe_url=unsubscribe_url)
    title, body, data = content.title.render(values), content.body.render(values), content.data
    if tracked:
        body = stored.shortened(body, content.links, row.seq)
        data = stored.shortened_data(data, content.links, row.seq)
    picture_url = open_pixel_url(broadcast.id, row.seq) if channel is ChannelKind.EMAIL else None
    return Rendered(title, body, data, unsubscribe_url, picture_url)


def _unsubscribe_url(broadcast: Broadcast, row: Any, channel: ChannelKind) -> str | None:
    """An e-mail has one, as mail providers ask for it."""
    if channel is not ChannelKind.EMAIL:
        return None
    return unsubscribes.link(broadcast.app_id, row.contact_id, channel, broadcast.id)
