"""Downloads that are too long for GraphQL, as CSV.

A front end asks with the header Authorization, as for GraphQL, and saves what comes.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.exports import audit, recipients
from server.exports.downloads import Download, answer
from server.graphql.view import GraphQLView

DOWNLOADS = {
    "/exports/audit.csv": audit.DOWNLOAD,
    "/exports/broadcasts/{id}/recipients.csv": recipients.DOWNLOAD,
}


def routes(view: GraphQLView) -> list[Route]:
    """The downloads, for those whom `view` lets in."""
    return [_route(path, download, view) for path, download in DOWNLOADS.items()]


def _route(path: str, download: Download, view: GraphQLView) -> Route:
    async def answered(request: Request) -> Response:
        return await answer(download, view, request)

    route = Route(path, answered)
    route.methods = {"GET"}  # a HEAD would be entered as an export, of which nothing came
    return route
