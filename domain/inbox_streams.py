"""The event streams of the inbox, by name: who changes something appends to them, who watches follows them."""

from uuid import UUID


def whole(conversation_id: UUID) -> str:
    """All that happens in a conversation, notes included: for the team."""
    return f"conversation:{conversation_id}"


def seen_by_contact(conversation_id: UUID) -> str:
    """What happens to the messages that the contact sees: for their devices."""
    return f"thread:{conversation_id}"


def inbox(app_id: UUID) -> str:
    """What happens to the conversations of an app: for its lists."""
    return f"inbox:{app_id}"


def of_conversation(app_id: UUID, conversation_id: UUID) -> list[str]:
    """Who of the team may follow what happens to a conversation: those who have it before them, and in a list."""
    return [whole(conversation_id), inbox(app_id)]


def agent(user_id: UUID) -> str:
    """What is given to one person of the team."""
    return f"agent:{user_id}"
