"""Who types."""

from dataclasses import dataclass

import strawberry

from domain.seats import Side
from domain.typists import Typist as TypistRow
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, plain, view

described(Side, "The two who converse.", CONTACT="The contact.", TEAM="A person of the team.")
SAID = "Say so again within this many seconds, about every half of them; null when you do not type any more."


@dataclass(frozen=True)
class Typing:
    """Who types in a conversation."""

    conversation_id: str
    typists: list[TypistRow]

    @property
    def names(self) -> list[str]:
        """Of the people of the team."""
        return [one.name for one in self.typists]


@view(TypistRow, description="Somebody who types.")
class Typist:
    """A typist."""

    side: Side = plain("The contact, or somebody of the team.")

    @strawberry.field(description="Who of the team; null when it is the contact.")
    async def user(row: strawberry.Parent[TypistRow], info: Info) -> AdminUser | None:
        """Who it is."""
        found: AdminUserRow | None = await info.context.loaders.user.load(row.id) if row.side is Side.TEAM else None
        return found  # type: ignore[return-value]


@view(Typing, description="Who else types in a conversation at this moment.")
class ConversationTyping:
    """All who type."""

    conversation_id: strawberry.ID = plain("The conversation.")
    typists: list[Typist] = plain("Everybody but you, once each.")


@view(Typing, description="Who of the team types in a conversation of this device's contact.")
class OwnConversationTyping:
    """The team types."""

    conversation_id: strawberry.ID = plain("The conversation.")
    names: list[str] = plain("What the people are called; empty when nobody types.")


@strawberry.input(description="That you type, or do not any more.")
class SetTypingInput:
    """Typing."""

    conversation_id: strawberry.ID = plain("The conversation.")
    is_typing: bool = plain("What you do. It ends by itself, when you send something, and with your websocket.")


@strawberry.type(description="How long you are said to type.")
class SetTypingPayload(Payload):
    """When it ends."""

    expires_in_seconds: float | None = plain(SAID)
