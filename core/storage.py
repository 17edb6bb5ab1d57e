"""Files by key: in a bucket, or in a folder of this machine. Never in memory.

Who keeps a file has a row first and removes it last (see `domain.attachments`): the store itself is never listed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from core.config import config
from core.errors import Misconfigured, NotFound, Unavailable

log = structlog.get_logger(__name__)
SCHEMES = ("s3://", "gs://", "az://")
PART_BYTES = 5 * 1024 * 1024
"""What is sent at a time: the least that S3 takes."""
READ_BYTES = 256 * 1024


async def put(key: str, file: IO[bytes]) -> None:
    """Keep what is in `file` from its start; all of it, or nothing that can be read. Again is fine.

    Raises:
        Unavailable: the store cannot be reached, or is too slow.
    """
    file.seek(0)
    with _told():
        async with asyncio.timeout(config().upload_seconds):
            await obstore.put_async(_store(), key, file, chunk_size=PART_BYTES, max_concurrency=2)


async def read(key: str, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from `start` up to `end`, which is not among them; the file is looked up before the first is asked for.

    Raises:
        NotFound: there is no such file.
        Unavailable: the store cannot be reached.
    """
    with _told():
        found = await obstore.get_async(_store(), key, options={"range": (start, end)})
    return _parts(found.stream(min_chunk_size=READ_BYTES))


async def _parts(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _told():
        async for part in stream:
            yield part


async def remove(keys: Sequence[str]) -> None:
    """Remove files, and what a broken writing left of them. One that is not there is none.

    Raises:
        Unavailable: the store cannot be reached.
    """
    for key in keys:
        with _told():
            try:
                await obstore.delete_async(_store(), key)
            except FileNotFoundError:
                log.debug("nothing to remove", key=key)
        _remove_started(key)


def _remove_started(key: str) -> None:
    """A folder keeps what was being written when the process was killed, as `<key>#<number>`; buckets hide it."""
    if not config().storage_url.get_secret_value():
        path = _folder() / key
        for started in path.parent.glob(f"{path.name}#*"):
            started.unlink(missing_ok=True)


@cache
def _store() -> ObjectStore:
    url = config().storage_url.get_secret_value()
    if not url:
        _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(_folder())
    if not url.startswith(SCHEMES):
        raise Misconfigured(f"REPLYHQ_STORAGE_URL must begin with one of {', '.join(SCHEMES)}.")
    # a bucket of one's own may be spoken to by http, where AWS_ENDPOINT says so
    return from_url(url, client_options={"timeout": f"{config().upload_seconds:.0f}s", "allow_http": True})


def _folder() -> Path:
    return config().state_dir / "attachments"


@contextmanager
def _told() -> Iterator[None]:
    """Say what failed in our own words: in those of the store there are paths and hosts."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound("There is no such file.") from None
    except (BaseError, OSError) as error:
        log.warning("file store failed", error=type(error).__name__)
        raise Unavailable("Files cannot be kept or read at present. Try again in a minute.") from error
