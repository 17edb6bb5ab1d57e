"""The page behind the unsubscribe link of a message. It asks nobody to sign in.

A GET only shows a button: mail scanners follow every link. A POST does it, whether the button sends it or a mail
provider, who sends `List-Unsubscribe=One-Click` (RFC 8058); what it carries does not matter.
"""

from math import ceil

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.database import transaction
from core.errors import DomainError, Invalid, RateLimited, Unavailable
from core.tenancy import bound_to
from domain import unsubscribes
from domain.unsubscribes import Unsubscribe
from models.channels import ChannelKind
from server.graphql.context import address_of
from server.graphql.rate_limits import Toll
from server.graphql.view import GraphQLView

POLICY = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
BUTTON = '<form method="post"><button type="submit">Unsubscribe</button></form>'
WHAT = {
    ChannelKind.IN_APP: "messages inside the app",
    ChannelKind.PUSH: "push notifications",
    ChannelKind.EMAIL: "e-mails",
    ChannelKind.WHATSAPP: "WhatsApp messages",
}


def routes(view: GraphQLView) -> list[Route]:
    """The page; those who make tokens up spend of their address what `view` gives to strangers."""

    async def page(request: Request) -> Response:
        toll = Toll(view.spend, address_of(request))
        try:
            wanted = await _wanted(request, toll)
            if request.method == "POST":
                return await _done(wanted, address_of(request))
        except (Invalid, RateLimited, Unavailable) as error:
            return _refused(error)
        return _page("Unsubscribe", f"<p>Do you want to get no more {WHAT[wanted.channel]} from us?</p>\n{BUTTON}")

    return [Route(unsubscribes.PATH, page, methods=["GET", "POST"])]


async def _wanted(request: Request, toll: Toll) -> Unsubscribe:
    """What the link is for. A good one pays for itself: mail providers come for many people from few addresses."""
    try:
        wanted = unsubscribes.read(request.query_params.get("token", ""))
    except Invalid:
        await toll.pay(None)
        raise
    await unsubscribes.spend(wanted)
    return wanted


async def _done(wanted: Unsubscribe, ip: str) -> Response:
    with bound_to(wanted.app_id):
        async with transaction() as session:
            await unsubscribes.unsubscribe(session, wanted, ip)
    return _page("You are unsubscribed", f"<p>You will get no more {WHAT[wanted.channel]} from us.</p>")


def _refused(error: DomainError) -> Response:
    if isinstance(error, RateLimited):
        return _page("Too many requests", "<p>Try again in a minute.</p>", 429, ceil(error.retry_after))
    if isinstance(error, Unavailable):
        return _page("Not at present", "<p>This does not work at present. Try again in a minute.</p>", 503, 60)
    return _page("This link is not valid", "<p>Take it from the message again, whole.</p>", 400)


def _page(title: str, body: str, status: int = 200, retry_after: int | None = None) -> Response:
    headers = {"Content-Security-Policy": POLICY} | ({"Retry-After": str(retry_after)} if retry_after else {})
    return HTMLResponse(PAGE.format(title=title, body=body), status, headers)
