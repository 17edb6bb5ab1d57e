"""This process with signing keys of the test's choice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.config import config

OLD_KEY, NEW_KEY = "the-old-key-of-the-tests-0123456789", "the-new-key-of-the-tests-0123456789"


@contextmanager
def signing(key: str, *before: str) -> Iterator[None]:
    """This process with these signing keys, the first of which signs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLYHQ_SECRET_KEY", key)
        patch.setenv("REPLYHQ_SECRET_KEYS_BEFORE", ",".join(before))
        config.cache_clear()
        yield
    config.cache_clear()
