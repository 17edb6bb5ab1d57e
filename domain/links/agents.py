"""Who asks for a link or a picture, by what they say of themselves: a person, or one of the machines that read mail.

Mail services load pictures before anybody has seen them, scanners follow links to look for harm, messengers draw
previews. A machine that says it is a browser passes for a person: nothing here finds it out.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

AGENT_CHARS = 300


class Visitor(StrEnum):
    """Who asks."""

    PERSON = "PERSON"
    MAIL_PROXY = "MAIL_PROXY"
    SCANNER = "SCANNER"
    PREVIEW = "PREVIEW"
    ROBOT = "ROBOT"


class Sign(NamedTuple):
    """What tells a visitor by the User-Agent, and who says so."""

    pattern: str
    visitor: Visitor
    source: str


_CRAWLERS = "https://github.com/monperrus/crawler-user-agents"
_GUIDE = "https://suped.com/learn/email-deliverability/how-can-i-identify-bot-user-agents-in-my-email-click-data"
_GATEWAYS = "https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect"
SIGNS = (
    # Apple's Mail Privacy Protection says this and no more
    Sign(r"^Mozilla/5\.0$", Visitor.MAIL_PROXY, "https://github.com/ua-parser/uap-core/issues/509"),
    Sign(r"GoogleImageProxy|via ggpht\.com", Visitor.MAIL_PROXY, "https://github.com/gshutler/useragent/pull/33"),
    Sign(r"YahooMailProxy", Visitor.MAIL_PROXY, "https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"),
    Sign(r"Barracuda|Proofpoint|Mimecast|CiscoSecureEmail|\bTMES\b", Visitor.SCANNER, _GATEWAYS),
    # Safe Links of Microsoft often says nothing, and no browser does
    Sign(r"^$", Visitor.SCANNER, _GATEWAYS),
    Sign(r"Slackbot|facebookexternal|Snap URL Preview", Visitor.PREVIEW, _GUIDE),
    Sign(r"^WhatsApp/|TelegramBot|Discordbot|Twitterbot|SkypeUriPreview|BingPreview", Visitor.PREVIEW, _CRAWLERS),
    Sign(
        r"python-requests|aiohttp|\bWget|^Java/|\bcurl/|Jetty|Apache-HttpClient|lua-resty-http", Visitor.ROBOT, _GUIDE
    ),
    Sign(r"Go-http-client|HeadlessChrome|axios/|node-fetch|libwww-perl|python-urllib|httpx/", Visitor.ROBOT, _CRAWLERS),
    # CUBOT makes telephones
    Sign(r"(?<!cu)bot(?![a-z])|crawler|spider|scanner", Visitor.ROBOT, _CRAWLERS),
)
_COMPILED = tuple((re.compile(sign.pattern, re.IGNORECASE), sign.visitor) for sign in SIGNS)
# A page that is fetched in case somebody wants it: by the standard, by Chromium and Safari before it, by old browsers.
_AHEAD = {
    "sec-purpose": ("prefetch",),
    "purpose": ("prefetch", "preview"),
    "x-purpose": ("preview",),
    "x-moz": ("prefetch",),
}


def classify(agent: str) -> Visitor:
    """Who asks, by the header User-Agent, empty when there is none. Of several signs the first of the table counts."""
    said = agent.strip()[:AGENT_CHARS]
    return next((visitor for pattern, visitor in _COMPILED if pattern.search(said)), Visitor.PERSON)


def is_ahead(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetches this before anybody has asked for it. Names of headers in lower case."""
    return any(headers.get(name, "").strip().lower().startswith(values) for name, values in _AHEAD.items())


def is_person(headers: Mapping[str, str]) -> bool:
    """Whether a person asks, and now. Names of headers in lower case."""
    return not is_ahead(headers) and classify(headers.get("user-agent", "")) is Visitor.PERSON
