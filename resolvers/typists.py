"""Typing, in both directions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from core.ids import parse_id
from domain import typists
from domain.permissions import Permission
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires
from schema.typists import ConversationTyping, OwnConversationTyping, SetTypingInput, SetTypingPayload, Typing

ConversationId = Annotated[strawberry.ID, strawberry.argument(description="The conversation.")]
SAY = "Tell the others in a conversation that you type, or do not any more. Say it about every four seconds."


async def _say(info: Info, input: SetTypingInput) -> float | None:
    context, id_ = info.context, parse_id(input.conversation_id, "conversationId")
    return await typists.say(context.asker(), id_, is_typing=input.is_typing, by=context.lifetime)


async def _follow(info: Info, conversation_id: strawberry.ID) -> AsyncGenerator[Typing, None]:
    id_ = parse_id(conversation_id, "conversationId")
    async with aclosing(typists.follow(info.context.asker(), id_)) as lists:
        async for others in lists:
            yield Typing(str(id_), others)


@strawberry.type
class Mutation:
    """Say that one types."""

    @mutation(Permission.EDIT_CONVERSATIONS, SetTypingPayload, f"{SAY} Not for private notes: the contact sees it.")
    async def set_typing(self, info: Info, input: SetTypingInput) -> float | None:
        """The team types."""
        return await _say(info, input)

    @mutation(Permission.CONVERSE, SetTypingPayload, SAY)
    async def set_own_typing(self, info: Info, input: SetTypingInput) -> float | None:
        """A contact types."""
        return await _say(info, input)


@strawberry.type
class Subscription:
    """See who types."""

    @strawberry.subscription(
        description="Who else types in a conversation: at once, then whenever that changes.",
        graphql_type=ConversationTyping,
        extensions=requires(Permission.VIEW_CONVERSATIONS),
    )
    def typing_changed(self, info: Info, conversation_id: ConversationId) -> AsyncGenerator[Typing, None]:
        """For the team."""
        return _follow(info, conversation_id)

    @strawberry.subscription(
        description="Who of the team types in a conversation of this device's contact: at once, then whenever that"
        " changes.",
        graphql_type=OwnConversationTyping,
        extensions=requires(Permission.CONVERSE),
    )
    def own_typing_changed(self, info: Info, conversation_id: ConversationId) -> AsyncGenerator[Typing, None]:
        """For the contact."""
        return _follow(info, conversation_id)
