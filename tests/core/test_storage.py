"""Files in a bucket, and in a folder of this machine."""

import os
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from core import storage
from core.config import config
from core.errors import Misconfigured, NotFound, Unavailable
from tests.core import s3_server
from tests.core.s3_server import S3Server

CONTENT = os.urandom(12_000_000)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The store of each test is its own."""
    monkeypatch.setenv("REPLYHQ_STATE_DIR", str(tmp_path))
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    config.cache_clear()
    storage._store.cache_clear()


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Server]:
    async with s3_server.running() as (server, url):
        for name, value in {
            "REPLYHQ_STORAGE_URL": "s3://files/attachments",
            "REPLYHQ_UPLOAD_SECONDS": "5",
            "AWS_ENDPOINT": url,
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "-",
            "AWS_REGION": "here",
        }.items():
            monkeypatch.setenv(name, value)
        _forget()
        yield server


async def read(key: str, start: int = 0, end: int = len(CONTENT)) -> bytes:
    return b"".join([part async for part in await storage.read(key, start, end)])


async def _a_life(key: str, content: bytes) -> None:
    await storage.put(key, BytesIO(content))
    assert await read(key, 0, len(content)) == content
    assert await read(key, 5, 900) == content[5:900]
    await storage.put(key, BytesIO(content))
    await storage.remove([key, "app/never"])
    with pytest.raises(NotFound):
        await read(key)


@pytest.mark.parametrize("size", [1_000, len(CONTENT)])
async def test_in_a_folder(size: int) -> None:
    await _a_life("app/file", CONTENT[:size])


@pytest.mark.parametrize("size", [1_000, len(CONTENT)])
async def test_in_a_bucket(bucket: S3Server, size: int) -> None:
    await _a_life("app/file", CONTENT[:size])
    assert bucket.objects == {}
    assert bucket.parted == (2 if size > storage.PART_BYTES else 0), "large ones go in parts"


async def test_a_bucket_that_is_away_or_refuses_is_unavailable(
    bucket: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other-key")
    _forget()
    with pytest.raises(Unavailable):
        await storage.put("app/file", BytesIO(b"x"))
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("REPLYHQ_UPLOAD_SECONDS", "1")
    _forget()
    with pytest.raises(Unavailable):
        await storage.put("app/file", BytesIO(b"x"))


async def test_the_folder_is_for_nobody_else(tmp_path: Path) -> None:
    await storage.put("app/file", BytesIO(b"x"))
    assert (tmp_path / "attachments").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["memory:///", "file:///etc", "http://example.com"])
async def test_no_other_place_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REPLYHQ_STORAGE_URL", url)
    _forget()
    with pytest.raises(Misconfigured):
        await storage.put("app/file", BytesIO(b"x"))
