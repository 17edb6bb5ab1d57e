"""One PostgreSQL and one Valkey for the whole run; each parallel worker has a database, copied from a migrated one."""

import gc
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import structlog
from hypothesis import HealthCheck, settings

from channels.http import Http
from core.config import config
from core.embedded import EmbeddedServers
from server.migrate import upgrade
from tests.support import databases, factories
from tests.support.factories import Team
from tests.support.graph import Graph, address, from_address
from tests.support.processes import Api, Process
from tests.support.processes import clock as clock_process
from tests.support.processes import worker as worker_process
from tests.support.receiver import Receiver, receiving

# Machines are noisy: how long an example takes says nothing.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
SECRET = "a-secret-of-the-tests-long-enough-to-sign-with"
ENCRYPTION_KEYS = "test:dGhpcnR5LXR3by1ieXRlcy1mb3ItdGhlLXRlc3RzISE="
TEMPLATE = "replyhq"
# All tests come from one address, and some send often: only those of the rate limits have the real ones.
RATE_LIMITS = (
    "IP_PER_MINUTE",
    "USER_PER_MINUTE",
    "KEY_PER_MINUTE",
    "DEVICE_PER_MINUTE",
    "APP_PER_MINUTE",
    "ALL_DEVICES_PER_MINUTE",
    "BROADCASTS_PER_HOUR",
    "TEST_BROADCASTS_PER_HOUR",
)
_servers: EmbeddedServers | None = None
_folder: Path | None = None


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts the servers and migrates the template; workers find both in their environment."""
    if _is_controller(config):
        _start_servers()
    os.environ["REPLYHQ_ENVIRONMENT"] = "development"
    os.environ["REPLYHQ_SECRET_KEY"] = SECRET
    os.environ["REPLYHQ_ENCRYPTION_KEYS"] = ENCRYPTION_KEYS
    os.environ["REPLYHQ_TWO_FACTOR_REQUIRED"] = "false"
    for name in RATE_LIMITS:
        os.environ[f"REPLYHQ_RATE_{name}"] = "10000000"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    os.environ["REPLYHQ_NAMESPACE"] = f"test-{worker}"
    os.environ["REPLYHQ_LEASE_SECONDS"] = "2"
    os.environ["REPLYHQ_WORKER_NICENESS"] = "0"
    os.environ["REPLYHQ_LOG_LEVEL"] = "ERROR"
    os.environ["DATABASE_URL"] = with_database(os.environ["TEST_DATABASE_URL"], f"test_{worker}")
    os.environ["REDIS_URL"] = os.environ["TEST_REDIS_URL"]


def _start_servers() -> None:
    global _servers, _folder
    _folder = Path(tempfile.mkdtemp(prefix="replyhq-test-"))
    _folder.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    _servers = EmbeddedServers(_folder / "state", durable=False)
    urls = _servers.start()
    os.environ["REPLYHQ_STATE_DIR"] = str(_folder / "files")
    os.environ["TEST_DATABASE_URL"], os.environ["TEST_REDIS_URL"] = urls.database_url, urls.redis_url
    os.environ["DATABASE_URL"] = with_database(urls.database_url, TEMPLATE)
    upgrade()
    config.cache_clear()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left running."""
    if _servers is not None and _folder is not None:
        _servers.stop()
        shutil.rmtree(_folder, ignore_errors=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected stays to the end: the garbage collector need not look through it again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 20)


def with_database(url: str, name: str) -> str:
    """`url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="session", autouse=True)
def logs() -> None:
    """Importing `jobs` sets logs up as a worker has them; tests see all that is logged."""
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def database() -> Iterator[None]:
    """This worker's own database."""
    name = urlsplit(os.environ["DATABASE_URL"]).path[1:]
    databases.create(name, TEMPLATE)
    yield
    databases.drop(name)


@pytest.fixture(scope="module", autouse=True)
def clean_slate(database: None) -> None:
    """Nothing is due of other modules."""
    databases.clear(os.environ["DATABASE_URL"])


@pytest.fixture(scope="session")
def servers(database: None) -> EmbeddedServers | None:
    """The embedded servers, for tests that stop one (only where tests do not run in parallel)."""
    return _servers


@pytest.fixture(scope="session")
def api(database: None) -> Iterator[Api]:
    """An API process."""
    yield from _running(Api(REPLYHQ_INTROSPECTION="true", REPLYHQ_SIGN_UP_OPEN="true"))


@pytest.fixture(scope="module")
def worker(database: None) -> Iterator[Process]:
    """A worker process and a clock, gone after the module: other modules play the worker themselves."""
    started = clock_process()
    started.start()
    yield from _running(worker_process())
    started.stop()


def _running(process: Process) -> Iterator[Process]:
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def team(database: None) -> Team:
    """A new app and its owner."""
    return await factories.team()


@pytest.fixture
async def graph(api: Api, team: Team) -> AsyncIterator[Graph]:
    """The API, asked by the owner of a new app, from an address of their own: tries are counted by address."""
    client = from_address(api, team.token, address())
    yield client
    await client.close()


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """A server on this machine, which requests may go to."""
    monkeypatch.setenv("REPLYHQ_OUTBOUND_ALLOW_LOOPBACK", "true")
    config.cache_clear()
    client = Http(allow_loopback=True)
    monkeypatch.setattr("jobs.workflows.http", lambda: client)
    async with receiving(random.Random(0)) as made:
        yield made
    await client.close()
    monkeypatch.undo()
    config.cache_clear()
