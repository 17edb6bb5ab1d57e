from collections.abc import Iterator

import pytest

from tests.server.face import Face, running


@pytest.fixture(scope="session")
def face() -> Iterator[Face]:
    """One server for all tests that do not need limits of their own."""
    with running() as started:
        yield started
