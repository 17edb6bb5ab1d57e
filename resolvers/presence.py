"""Who of the team is there, and who looks at a conversation."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from core.ids import parse_id
from domain import presence, viewers
from domain.permissions import Permission
from schema.context import Info
from schema.permissions import requires
from schema.presence import ConversationViewers, People, TeamPresence


@strawberry.type
class Subscription:
    """See who is there."""

    @strawberry.subscription(
        description="Who of the team is there: at once, then whenever somebody has come or gone.",
        graphql_type=TeamPresence,
        extensions=requires(Permission.VIEW_TEAM),
    )
    async def presence_changed(self, info: Info) -> AsyncGenerator[People, None]:
        """Of the app."""
        async with aclosing(presence.follow(info.context.asker().app_id)) as lists:
            async for people in lists:
                yield People(people)

    @strawberry.subscription(
        description="Who of the team looks at a conversation: at once, then whenever that changes. As long as you are"
        " subscribed you are one of them: subscribe while the conversation is open before somebody.",
        graphql_type=ConversationViewers,
        extensions=requires(Permission.VIEW_CONVERSATIONS),
    )
    async def viewers_changed(
        self,
        info: Info,
        conversation_id: Annotated[strawberry.ID, strawberry.argument(description="The conversation.")],
        unseen: Annotated[
            bool, strawberry.argument(description="Only see who looks, as a list of conversations does.")
        ] = False,
    ) -> AsyncGenerator[People, None]:
        """Of a conversation."""
        id_ = parse_id(conversation_id, "conversationId")
        async with aclosing(viewers.follow(info.context.asker(), id_, unseen=unseen)) as lists:
            async for people in lists:
                yield People(people, str(id_))
