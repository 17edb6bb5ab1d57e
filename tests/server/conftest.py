from collections.abc import Iterator

import pytest
import structlog

from tests.server.face import Face, running


@pytest.fixture(scope="session")
def face() -> Iterator[Face]:
    """One server for all tests that do not need limits of their own."""
    with running() as started:
        yield started


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Logs are made but not printed: drawing the tracebacks of provoked bugs takes a second each."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    yield
    structlog.configure(**before)
