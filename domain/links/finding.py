"""Addresses of the web in texts, and what the `url` in the data of a broadcast may be."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from core.errors import Invalid

URL_MOST = 2_000
FIELD = "data.url"
REFUSED = frozenset({"javascript", "data", "vbscript", "file", "blob", "filesystem", "about", "view-source"})
"""Schemes by which an app that opens whatever it is given runs code or reads its own files."""
_WEB = ("http", "https")
# Neither blanks and quotes nor what RFC 3986 has nowhere. Braces too, so an address ends where a placeholder begins.
_URL = re.compile(r'(?<![\w/])https?://[^\s<>"{}|\\^`\x00-\x1f\x7f]+', re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):\S+", re.IGNORECASE)
_UNWANTED = re.compile(r'[\s<>"{}\\\x00-\x1f\x7f]')
_BRACKETS = {")": "(", "]": "["}
# What ends a sentence or sets in bold behind an address; of what is not ASCII all punctuation does.
_BEHIND = frozenset(".,;:!?'*")


def find(text: str) -> list[str]:
    """The web addresses in a text, in their order, each once. One that goes on with a placeholder is none."""
    found = (_address(match) for match in _URL.finditer(text) if not text.startswith("{{", match.end()))
    return list(dict.fromkeys(url for url in found if url))


def replace(text: str, instead: Callable[[str], str]) -> str:
    """The text with `instead(url)` in place of each web address."""

    def replaced(match: re.Match[str]) -> str:
        url = _address(match)
        return instead(url) + match[0][len(url) :] if url else match[0]

    return _URL.sub(replaced, text)


def _address(match: re.Match[str]) -> str:
    """The address without the punctuation behind it; empty when it is too long or names no host."""
    url = _trimmed(match[0])
    return url if len(url) <= URL_MOST and _has_host(url) else ""


def _trimmed(url: str) -> str:
    """Without punctuation at the end. A closing bracket stays when the address has the opening one."""
    spare = {closing: url.count(closing) - url.count(opening) for closing, opening in _BRACKETS.items()}
    end = len(url)
    while end and (_is_behind(url[end - 1]) or spare.get(url[end - 1], 0) > 0):
        end -= 1
        if url[end] in spare:
            spare[url[end]] -= 1
    return url[:end]


def _is_behind(char: str) -> bool:
    return char in _BEHIND or (not char.isascii() and unicodedata.category(char).startswith("P"))


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_web(url: Any) -> TypeGuard[str]:
    """Whether it is an address of the web, which is tracked, and not one of an app, such as `myapp://orders`."""
    return isinstance(url, str) and url.partition(":")[0].lower() in _WEB


def check_data(data: dict[str, Any] | None) -> None:
    """Look at the `url` in the data of a broadcast: https, http, or the scheme of an app.

    Raises:
        Invalid: it is no absolute address, too long, or of a scheme that is refused.
    """
    if not data or data.get("url") is None:
        return
    url = data["url"]
    form = _SCHEME.fullmatch(url) if isinstance(url, str) and len(url) <= URL_MOST else None
    if form is None or _UNWANTED.search(url) or (is_web(url) and not _has_host(url)):
        raise Invalid(
            f"{FIELD} must be an absolute address of at most {URL_MOST} characters, like https://example.com/offer"
            " or myapp://offer, without blanks and placeholders.",
            field=FIELD,
        )
    if form[1].lower() in REFUSED:
        raise Invalid(
            f"{FIELD} must not be a {form[1].lower()}: address; give one of the web or of your app.", field=FIELD
        )
