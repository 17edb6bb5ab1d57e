"""Taking in a file: read up to its limit into a file without a name, checked, then kept under its row.

The row is committed before its object is written, and says when that is complete. Who is killed in between leaves a row
that can be swept, and nothing else: the file without a name goes with the process.
"""

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import IO
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core import ratelimit, storage
from core.clock import now
from core.config import MIB, config
from core.database import transaction
from core.errors import Invalid, NotFound, RateLimited, TooLarge
from core.ids import new_id
from domain import facts, idempotency
from domain.attachments import checking, names, types
from domain.attachments.checking import Looks
from domain.attachments.types import FileType
from domain.audit import entries
from domain.principals import Principal
from models.attachments import Attachment
from models.facts import FactKind

RETRY_SECONDS = 2.0
HOUR = 3600.0
_under_way: Counter[str] = Counter()


@dataclass(frozen=True)
class Offer:
    """What a sender says of a file.

    Attributes:
        content_type: its type, as they declare it.
        name: what it is called there.
        size: in bytes; None when they do not say.
        key: by which the same upload is known again.
    """

    content_type: str | None
    name: str
    size: int | None = None
    key: str | None = None


@dataclass(frozen=True)
class _Received:
    file: IO[bytes]
    size: int
    sha256: str


async def receive(principal: Principal, offer: Offer, body: AsyncIterator[bytes]) -> Attachment:
    """Keep a file. What is refused is not read to its end, and nothing of it stays.

    Raises:
        UnsupportedFile: it is of no type that is taken, not of the declared one, or another one besides.
        TooLarge: it has more bytes than its kind may have.
        Invalid: it took too long.
        RateLimited: too many are under way, or were within the hour.
        IdempotencyKeyReused: the key came before with another file.
        Unavailable: it could not be kept; the same again, with the same key, will do.
    """
    type_ = types.declared(offer.content_type)
    if offer.size is not None and offer.size > type_.most_bytes:
        raise _too_large(type_)
    await _spend(principal)
    with _admitted(principal.actor), _nameless() as file:
        try:
            async with asyncio.timeout(config().upload_seconds):
                received = await _read(type_, body, file)
        except TimeoutError:
            raise Invalid(f"An upload may take {config().upload_seconds:g} seconds at most.") from None
        looks = await asyncio.to_thread(checking.check_whole, type_, file, received.size)
        row = await _entered(principal, offer, type_, received, looks)
        return row if row.stored_at else await _stored(principal, row, file)


async def _spend(principal: Principal) -> None:
    """What nobody attaches is kept for a day, so it must not be much."""
    most = config().rate_uploads_per_hour
    wait = await ratelimit.allow(f"uploads:{principal.app_id}:{principal.actor}", most, HOUR)
    if wait > 0:
        raise RateLimited(f"At most {most} uploads an hour. Wait {ceil(wait)} seconds.", retry_after=wait)


@contextmanager
def _admitted(actor: str) -> Iterator[None]:
    """Each costs memory and disk, so they are few; and nobody has all of them."""
    conf = config()
    if _under_way.total() >= conf.uploads_at_once or _under_way[actor] >= conf.uploads_at_once_each:
        raise RateLimited("Too many uploads at once. Wait until one has ended.", retry_after=RETRY_SECONDS)
    _under_way[actor] += 1
    try:
        yield
    finally:
        _under_way[actor] -= 1
        if not _under_way[actor]:
            del _under_way[actor]


def _nameless() -> IO[bytes]:
    """Beside the other files of this machine: the usual place for such files may be in memory."""
    folder = config().state_dir / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - the caller closes it
    return file


async def _read(type_: FileType, body: AsyncIterator[bytes], file: IO[bytes]) -> _Received:
    digest, size, head = hashlib.sha256(), 0, b""
    async for part in body:
        size += len(part)
        if size > type_.most_bytes:
            raise _too_large(type_)
        if len(head) < types.HEAD_BYTES:
            head += part[: types.HEAD_BYTES - len(head)]
            if len(head) == types.HEAD_BYTES:
                checking.check_head(type_, head)
        digest.update(part)
        await asyncio.to_thread(file.write, part)
    if len(head) < types.HEAD_BYTES:
        checking.check_head(type_, head)
    return _Received(file, size, digest.hexdigest())


def _too_large(type_: FileType) -> TooLarge:
    most = type_.most_bytes
    told = f"{most // MIB} MiB" if most >= MIB else f"{most} bytes"
    return TooLarge(f"A file of the kind {type_.kind.value} may have {told} at most.")


async def _entered(
    principal: Principal, offer: Offer, type_: FileType, received: _Received, looks: Looks
) -> Attachment:
    """The row, committed: a new one, or that of the first arrival."""
    id_, name = new_id(), names.cleaned(offer.name, type_)
    asked = [principal.actor, type_.content_type, name, received.sha256]
    async with transaction() as session:
        if known := await idempotency.claim(session, principal.app_id, offer.key, {"attachment": asked}, id_):
            return await _known(session, principal.app_id, known)
        row = Attachment(
            id=id_,
            app_id=principal.app_id,
            uploader=principal.actor,
            kind=type_.kind,
            content_type=type_.content_type,
            size=received.size,
            sha256=received.sha256,
            file_name=name,
            width=looks.width,
            height=looks.height,
            storage_key=f"{principal.app_id}/{id_}",
        )
        session.add(row)
    return row


async def _known(session: AsyncSession, app_id: UUID, id_: UUID, *, lock: bool = False) -> Attachment:
    own = sa.select(Attachment).where(Attachment.app_id == app_id, Attachment.id == id_)
    row = await session.scalar(own.with_for_update() if lock else own)
    if row is None:
        raise NotFound("The file was not attached within a day, and is gone. Upload it with a new idempotencyKey.")
    return row


async def _stored(principal: Principal, row: Attachment, file: IO[bytes]) -> Attachment:
    """Write the object, then say so. Two that do it at once write the same."""
    await storage.put(row.storage_key, file)
    async with transaction() as session:
        row = await _known(session, principal.app_id, row.id, lock=True)
        if row.stored_at is None:
            _, written = entries.change_of(session, Attachment(**_columns(row)))
            row.stored_at = now()
            facts.record(session, principal.author, FactKind.ATTACHMENT_UPLOADED, row, change=(None, written))
    return row


def _columns(row: Attachment) -> dict[str, object]:
    return {name: getattr(row, name) for name in Attachment.__mapper__.column_attrs.keys()}  # noqa: SIM118
