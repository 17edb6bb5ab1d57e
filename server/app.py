"""The application: routes, what stands before them, and what it holds while it runs."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from core import redis_client
from core.config import Config
from core.database import dispose
from core.guard import require_safe
from core.logging import configure_logging
from core.pubsub import hub
from domain import arrivals, proofs, rate_limits
from domain.auth import authenticate, prove
from server import attachments, exports, graphiql, links, unsubscribe
from server.graphql.rate_limits import HEADERS
from server.graphql.schema import schema
from server.graphql.view import GraphQLView
from server.health import healthz, metrics, readyz
from server.middleware import BodyLimit, Correlation, KnownHosts, SecurityHeaders
from server.refusals import BAD_INPUT, Refused
from server.sockets import Sockets

Resources = Callable[[], AbstractAsyncContextManager[None]]
REQUEST_HEADERS = ("Authorization", "Content-Type", "X-Requested-With", "Apollo-Require-Preflight", "X-Request-Id")
ANSWER_HEADERS = ("X-Request-Id", "Retry-After", "Content-Range", *HEADERS)
PREFLIGHT_SECONDS = 600


def create_app() -> Starlette:
    """The product, with the configuration of this process. `serve.py` runs it; other ASGI servers can too.

    Raises:
        SetUpError: the configuration must not be used in production.
    """
    require_safe()
    view = GraphQLView(
        schema(), authenticate=authenticate, prove=prove, arrive=arrivals.arrive, spend=rate_limits.spend_request
    )
    return assemble(view, partial(resources, view.sockets))


@asynccontextmanager
async def resources(sockets: Sockets) -> AsyncIterator[None]:
    """What the product holds open: the hub of ticks, Redis, PostgreSQL. Rights that change are told to `sockets`."""
    configure_logging()
    # What is loaded by now stays for good; without this a full collection walks all of it, 100 ms at a time.
    gc.freeze()
    await hub().connect()
    keeping = asyncio.create_task(proofs.keep_true(sockets.look_again))
    try:
        yield
    finally:
        await hub().disconnect()
        await keeping
        await redis_client.close()
        await dispose()


def assemble(view: GraphQLView, held: Resources = nullcontext) -> Starlette:
    """The application around a view; `held` is entered when it starts and left when it stops.

    Raises:
        ValueError: `allowed_origins` has a wildcard. Origins are named one by one.
    """
    if "*" in view.conf.allowed_origins:
        raise ValueError("REPLYHQ_ALLOWED_ORIGINS must name each origin; * is not taken.")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with held(), view.sockets.watched():
            yield

    return Starlette(
        routes=_routes(view),
        middleware=_middleware(view.conf),
        exception_handlers={HTTPException: _http_error, Refused: _refused},
        lifespan=lifespan,
    )


def _routes(view: GraphQLView) -> list[BaseRoute]:
    return [
        Route("/graphql", view),
        WebSocketRoute("/graphql", view),
        *exports.routes(view),
        *attachments.routes(view),
        *unsubscribe.routes(view),
        *links.routes(),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        *(graphiql.routes() if view.conf.graphiql else ()),
    ]


def _middleware(conf: Config) -> list[Middleware]:
    """Outermost first. CORS stands before the masking of errors, so that a page can read a 500 too."""
    return [
        Middleware(SecurityHeaders, https_only=conf.environment == "production"),
        Middleware(
            CORSMiddleware,
            allow_origins=list(conf.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=list(REQUEST_HEADERS),
            expose_headers=list(ANSWER_HEADERS),
            max_age=PREFLIGHT_SECONDS,
        ),
        Middleware(Correlation),
        Middleware(KnownHosts, hosts=_hosts(conf)),
        Middleware(BodyLimit, most=conf.max_body_bytes, elsewhere=attachments.body_limits(conf)),
    ]


def _hosts(conf: Config) -> list[str]:
    """The names by which the API may be called: in development any."""
    if conf.environment == "development":
        return ["*"]
    return [urlsplit(conf.public_url).hostname or "", *conf.allowed_hosts]


async def _http_error(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in the same shape as every other refusal."""
    if not isinstance(error, HTTPException):
        raise error
    code = "NOT_FOUND" if error.status_code == 404 else BAD_INPUT
    return Refused(error.status_code, error.detail, code=code, headers=error.headers).response()


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.response()
