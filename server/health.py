"""Is the process alive, and can it serve."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import orjson
import sqlalchemy as sa
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

import migrations
from core.config import config
from core.database import transaction
from core.redis_client import reach
from core.tenancy import MissingRights
from server.refusals import JSON, Refused

log = structlog.get_logger(__name__)
CHECK_SECONDS = 2.0


async def healthz(_request: Request) -> Response:
    """200 as long as the event loop turns. Says nothing about database and Redis: restarting would not mend them."""
    return _json({"status": "alive"})


async def readyz(_request: Request) -> Response:
    """200 when PostgreSQL and Redis answer and all migrations are applied; else 503 with what is `missing`."""
    names = list(CHECKS)
    answers = await asyncio.gather(*(_passes(name) for name in names))
    missing = [name for name, passed in zip(names, answers, strict=True) if not passed]
    if missing:
        return _json({"status": "unavailable", "missing": missing}, 503)
    return _json({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Prometheus text for REPLYHQ_METRICS_ALLOWED; 404 for all others, and for what a proxy passes on."""
    if not _may_measure(request):
        raise Refused(404, "Not Found", code="NOT_FOUND")
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _may_measure(request: Request) -> bool:
    if request.client is None or {"forwarded", "x-forwarded-for"} & set(request.headers):
        return False
    try:
        caller = ip_address(request.client.host)
    except ValueError:
        return False
    return any(caller in network for network in config().metrics_allowed)


async def _passes(name: str) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await CHECKS[name]()
    except MissingRights as error:
        log.error("not ready", part=name, error=str(error))  # noqa: TRY400  it says all there is to know
        return False
    except Exception as error:  # noqa: BLE001
        log.warning("not ready", part=name, error=type(error).__name__)
        return False
    return True


async def _postgresql() -> None:
    async with transaction() as session:
        await session.execute(sa.text("SELECT 1"))


async def _redis() -> None:
    async with reach(CHECK_SECONDS) as client:
        await client.ping()


async def _migrations() -> None:
    async with transaction() as session:
        applied = await session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if applied != migrations.newest():
        raise LookupError(f"the database is at {applied}")


CHECKS: dict[str, Callable[[], Awaitable[None]]] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "migrations": _migrations,
}


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=JSON)
