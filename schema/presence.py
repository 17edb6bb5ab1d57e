"""Who of the team is there, and who looks at a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import strawberry

from schema.auth import AdminUser
from schema.context import Info
from schema.views import plain, view


@dataclass(frozen=True)
class People:
    """Some people of a team, and the conversation that they look at, if any."""

    user_ids: Sequence[UUID]
    conversation_id: str = ""


async def _loaded(row: People, info: Info) -> list[Any]:
    """Those who have an account still."""
    return [one for one in await info.context.loaders.user.load_many(list(row.user_ids)) if one]


@view(People, description="Who of the team looks at a conversation at this moment.")
class ConversationViewers:
    """Viewers."""

    conversation_id: strawberry.ID = plain("The conversation.")
    user_ids: list[strawberry.ID] = plain("The people, once each, you among them.")

    @strawberry.field(description="The same people.")
    async def users(row: strawberry.Parent[People], info: Info) -> list[AdminUser]:
        """Who they are."""
        return await _loaded(row, info)


@view(People, description="Who of the team is there at this moment: has a websocket open.")
class TeamPresence:
    """Those who are there."""

    user_ids: list[strawberry.ID] = plain("The people, once each, you among them.")

    @strawberry.field(description="The same people.")
    async def users(row: strawberry.Parent[People], info: Info) -> list[AdminUser]:
        """Who they are."""
        return await _loaded(row, info)
