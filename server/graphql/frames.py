"""The shapes of graphql-transport-ws messages that a client may send."""

from collections.abc import Callable, Mapping
from typing import Any

ID_CHARS = 128
Message = Mapping[str, Any]


def fault(message: object) -> str | None:
    """What is wrong with a decoded message, in words short enough for a close reason; None when nothing is."""
    if not isinstance(message, dict):
        return "A message must be a JSON object"
    kind = message.get("type")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    return check(message) if check else "Unknown message type"


def _with_payload(message: Message) -> str | None:
    payload = message.get("payload")
    return None if payload is None or isinstance(payload, dict) else "payload must be an object"


def _with_id(message: Message) -> str | None:
    given = message.get("id")
    if not isinstance(given, str) or not given:
        return "id must be a string that is not empty"
    return None if len(given) <= ID_CHARS else f"id must not be longer than {ID_CHARS} characters"


def _subscribe(message: Message) -> str | None:
    payload = message.get("payload")
    if wrong := _with_id(message):
        return wrong
    if not isinstance(payload, dict):
        return "payload must be an object"
    if not isinstance(payload.get("query"), str):
        return "query must be a string"
    return _optional(payload)


def _optional(payload: Message) -> str | None:
    """Members that may be absent or null."""
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName must be a string"
    for name in ("variables", "extensions"):
        if not isinstance(payload.get(name), dict | None):
            return f"{name} must be an object"
    return None


_CHECKS: dict[str, Callable[[Message], str | None]] = {
    "connection_init": _with_payload,
    "ping": _with_payload,
    "pong": _with_payload,
    "subscribe": _subscribe,
    "complete": _with_id,
}
