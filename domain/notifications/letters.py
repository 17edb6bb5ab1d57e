"""What a mail says of notifications: what happened, how often and with whom; never what somebody wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.config import config
from models.apps import App
from models.broadcasts import Broadcast
from models.contacts import Contact
from models.conversations import Conversation
from models.notifications import EmailMode, NotificationType
from models.workflows import Workflow

if TYPE_CHECKING:
    from domain.notifications.mailing import Unread

LINES_MOST = 20
NAME_MOST = 80
# One and several; {name} is that of whom or what it is about.
_SAYS: dict[NotificationType, tuple[str, str]] = {
    NotificationType.NEW_MESSAGE: ("A new message from {name}", "{count} new messages from {name}"),
    NotificationType.UNASSIGNED_MESSAGE: (
        "A new message from {name}, whom nobody answers",
        "{count} new messages from {name}, whom nobody answers",
    ),
    NotificationType.CONVERSATION_ASSIGNED: ("The conversation with {name} was given to you",) * 2,
    NotificationType.MENTION: (
        "You were mentioned beside the conversation with {name}",
        "You were mentioned {count} times beside the conversation with {name}",
    ),
    NotificationType.BROADCAST_SENT: ('The broadcast "{name}" was sent',) * 2,
    NotificationType.BROADCAST_FAILED: ('The broadcast "{name}" has failed',) * 2,
    NotificationType.WORKFLOW_FAILED: (
        'A run of the workflow "{name}" has failed',
        '{count} runs of the workflow "{name}" have failed',
    ),
    NotificationType.WEBHOOK_DISABLED: ("A webhook was disabled: its server is gone, or has failed for too long",) * 2,
}


@dataclass(frozen=True)
class Line:
    """A line of a mail: a type, how often, and the name of what it is about, None when it has none."""

    type: NotificationType
    count: int
    name: str | None


class Letter(NamedTuple):
    """A mail."""

    subject: str
    body: str


def letter(app: str, mode: EmailMode, lines: Sequence[Line], total: int) -> Letter:
    """The mail of so many notifications, of which `lines` are the newest."""
    said = [f"- {_said(line)}" for line in lines]
    if total > len(lines):
        said.append(f"- and {total - len(lines)} more")
    noun = "notification" if total == 1 else "notifications"
    title = f"ReplyHQ: {total} {noun} in {_plain(app)}"
    link = f"{config().public_url.rstrip('/')}/notifications"
    why = "at once" if mode is EmailMode.AT_ONCE else "by digest"
    foot = f"You get such mails {why}, as your notification settings say; change them there."
    return Letter(title, "\n".join([*said, "", link, "", foot, ""]))


def _said(line: Line) -> str:
    one, several = _SAYS[line.type]
    return (one if line.count == 1 else several).format(count=line.count, name=_plain(line.name or "somebody"))


def _plain(name: str) -> str:
    """A name in one line."""
    text = " ".join(name.split())
    return text if len(text) <= NAME_MOST else f"{text[: NAME_MOST - 1]}…"


async def names(session: AsyncSession, unread: "Sequence[Unread]") -> dict[UUID, str | None]:
    """What the things are called that notifications are about, and their apps."""
    entities = {one.entity_id for one in unread}
    apps = sa.select(App.id, App.name).where(App.id.in_({one.app_id for one in unread}))
    contacts = sa.select(Conversation.id, Contact.name).join(Contact, Contact.id == Conversation.contact_id)
    broadcasts = sa.select(Broadcast.id, Broadcast.title).where(Broadcast.id.in_(entities))
    workflows = sa.select(Workflow.id, Workflow.name).where(Workflow.id.in_(entities))
    all_ = sa.union_all(apps, contacts.where(Conversation.id.in_(entities)), broadcasts, workflows)
    return dict((await session.execute(all_)).all())
