"""GraphiQL, the in-browser IDE, from files of our own: it works without any other host."""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
# Nothing inline, neither script nor style, and no other host.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Files(StaticFiles):
    """The page's files. A browser keeps them and asks whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, or 304."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def routes() -> list[BaseRoute]:
    """The page at /graphiql and its files below it."""
    return [Route("/graphiql", page), Mount("/graphiql/static", Files(directory=STATIC))]


async def page(_request: Request) -> Response:
    """The IDE. It asks this server's /graphql, and nobody else."""
    return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})
