"""What can be said of a webhook, and the rules of each field."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypedDict

from core.addresses import parse_url
from core.errors import Invalid
from domain import checks
from models.webhooks import WebhookEventType

URL_MOST = 2_000
DESCRIPTION_MOST = 500
HEADERS_MOST = 10
VALUE_MOST = 1_000
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What the request itself is made of, and what a receiver proves it by.
_OURS = re.compile(
    r"(webhook-.*|proxy-.*|sec-.*|host|connection|keep-alive|te|trailer|upgrade|expect|transfer-encoding"
    r"|content-.*|accept-encoding|user-agent|cookie)",
    re.IGNORECASE,
)


class Header(NamedTuple):
    """A header that goes along; one without a value keeps the value that it has."""

    name: str
    value: str | None


class WebhookFields(TypedDict, total=False):
    """What can be said of a webhook; a key that is absent is left as it is."""

    url: str
    description: str | None
    event_types: Collection[WebhookEventType]
    headers: Sequence[Header]


def url(text: str) -> str:
    """Where requests may go.

    Raises:
        Invalid: it is no URL, or leads to where requests never go.
    """
    cleaned = checks.text(text, "url", most=URL_MOST)
    try:
        return str(parse_url(cleaned))
    except ValueError as error:
        raise Invalid(f"url {error}.", field="url") from None


def event_types(chosen: Collection[WebhookEventType]) -> list[str]:
    """Each once, in the order of the vocabulary.

    Raises:
        Invalid: there is none.
    """
    if not chosen:
        raise Invalid("Choose one event type at least; webhookEventTypes lists them.", field="eventTypes")
    return [one.value for one in WebhookEventType if one in chosen]


def description(text: str | None) -> str | None:
    """What the team says of it.

    Raises:
        Invalid: it is too long.
    """
    return checks.optional_text(text, "description", most=DESCRIPTION_MOST)


def headers(given: Sequence[Header], held: dict[str, str]) -> dict[str, str]:
    """The headers by their names; `held` are those before, whose values may stay.

    Raises:
        Invalid: one breaks a rule.
    """
    checks.at_most(list(given), "headers", HEADERS_MOST)
    known = {name.lower(): value for name, value in held.items()}
    found: dict[str, str] = {}
    for at, one in enumerate(given):
        _check_name(one.name, f"headers.{at}.name", found)
        value = known.get(one.name.lower()) if one.value is None else one.value
        found[one.name] = _checked_value(value, f"headers.{at}.value")
    return found


def _check_name(name: str, field: str, found: Collection[str]) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(f"{field} is no name of a header, like X-Shop.", field=field)
    if _OURS.fullmatch(name):
        raise Invalid(f"{field} is a header that the request needs itself; take another name.", field=field)
    if name.lower() in {one.lower() for one in found}:
        raise Invalid(f"{field} comes twice.", field=field)


def _checked_value(value: str | None, field: str) -> str:
    if value is None:
        raise Invalid(f"{field} is missing, and there is none to keep.", field=field)
    if len(value) > VALUE_MOST or not _VALUE.fullmatch(value):
        raise Invalid(f"{field} must have 1 to {VALUE_MOST} visible characters of ASCII.", field=field)
    return value
