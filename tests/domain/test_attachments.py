"""Files: what is taken for what, what they are called, who may attach them, what is swept."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from core import storage
from core.clock import now
from core.config import config
from core.database import transaction
from core.errors import (
    Conflict,
    DomainError,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    RateLimited,
    Unavailable,
    UnsupportedFile,
)
from core.ids import new_id
from domain.attachments import attaching, checking, names, receiving, sweeping, types
from domain.attachments.receiving import Offer
from domain.principals import Author
from models.attachments import Attachment
from models.messages import Message
from tests.support import factories, files, inbox
from tests.support.factories import Team

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
GOOD = {
    "image/png": files.png(),
    "image/gif": files.GIF,
    "image/jpeg": files.JPEG,
    "image/webp": files.WEBP,
    "video/mp4": files.MP4,
    "video/quicktime": files.MOV,
    "video/webm": files.WEBM,
    "audio/mp4": files.M4A,
    "audio/webm": files.WEBM,
    "audio/mpeg": files.MP3,
    "audio/ogg": files.OGG,
    "audio/wav": files.WAV,
    "application/pdf": files.PDF,
    WORD: files.DOCX,
    SHEET: files.XLSX,
    "text/plain": "Größe\n".encode(),
    "text/csv": b"a,b\r\n1,2\r\n",
}
BAD = {
    "an SVG as an image": ("image/svg+xml", files.SVG),
    "a page": ("text/html", files.HTML),
    "a script": ("application/javascript", b"alert(1)"),
    "an archive": ("application/zip", files.ZIP),
    "no type": ("", files.png()),
    "nothing in it": ("image/png", b""),
    "a PNG as a JPEG": ("image/jpeg", files.png()),
    "a JPEG as a PNG": ("image/png", files.JPEG),
    "an SVG as a PNG": ("image/png", files.SVG),
    "a page as a GIF": ("image/gif", files.HTML),
    "a PDF as text": ("text/plain", files.PDF),
    "an image as a document": ("application/pdf", files.png()),
    "a film as a sound": ("audio/mp4", files.MOV),
    "a sound as a film": ("video/mp4", files.M4A),
    "a matroska as webm": ("video/webm", files.WEBM.replace(b"\x84webm", b"\x88matroska")),
    "a GIF that is a script": ("image/gif", b"GIF89a=1;alert(1)//\x3b"),
    "a GIF that begins a comment": ("image/gif", b"GIF89a/*\x00\x00*/=1;alert(1)//\x3b"),
    "a GIF that is a page": ("image/gif", files.GIF[:-1] + files.HTML + b"\x3b"),
    "a PNG that is a page": ("image/png", files.png(text=files.HTML)),
    "a PNG with a script far behind": ("image/png", files.png(text=b" " * 300_000 + b"<ScRiPt src=x>")),
    "a PNG with a script across two reads": (
        "image/png",
        files.png(text=b" " * (checking.SLICE_BYTES - 60) + b"<script src=x></script>" + b" " * 60),
    ),
    "a PNG with a PDF": ("image/png", files.png(text=files.PDF)),
    "a PNG with more behind": ("image/png", files.png() + b"more"),
    "half a PNG": ("image/png", files.png()[:-6]),
    "a JPEG with an archive behind": ("image/jpeg", files.JPEG + files.ZIP),
    "a film with an archive behind": ("video/mp4", files.MP4 + files.ZIP),
    "a JPEG with a Rar behind": ("image/jpeg", files.JPEG + b"Rar!\x1a\x07\x01\x00" + b"\0" * 40),
    "a PDF with an archive behind": ("application/pdf", files.PDF + files.ZIP),
    "a PDF that is a page": ("application/pdf", b"%PDF-1.7\n" + files.HTML + b"\n%%EOF"),
    "half a PDF": ("application/pdf", files.PDF[:-7]),
    "a sheet as a letter": (WORD, files.XLSX),
    "any archive as a letter": (WORD, files.ZIP),
    "a letter with macros": (WORD, files.document("word/document.xml", "word/vbaProject.bin")),
    "half a letter": (WORD, files.DOCX[:-30]),
    "a PNG that unpacks to a flood": ("image/png", files.png(100_000, 100_000)),
    "text of other bytes": ("text/plain", b"\xff\xfe\x00"),
    "text with control characters": ("text/plain", b"a\x00b"),
    "text that breaks off": ("text/plain", "ö".encode()[:1]),
}


def check(content_type: str, content: bytes) -> checking.Looks:
    type_ = types.declared(content_type)
    checking.check_head(type_, content[: types.HEAD_BYTES])
    return checking.check_whole(type_, BytesIO(content), len(content))


@pytest.mark.parametrize("content_type", GOOD)
def test_what_is_as_declared_is_taken(content_type: str) -> None:
    looks = check(content_type, GOOD[content_type])
    assert (looks.width, looks.height) == ((3, 2) if content_type.startswith("image/") else (None, None))


@pytest.mark.parametrize("case", BAD)
def test_what_is_something_else_is_refused(case: str) -> None:
    with pytest.raises(UnsupportedFile):
        check(*BAD[case])


@pytest.mark.parametrize("content_type", [one for one in GOOD if not one.startswith("text/")])
def test_no_file_passes_for_another_type(content_type: str) -> None:
    """But the same container with pictures and without, and the text that a table is."""
    taken = {one for one in types.TYPES if one != content_type and passes(one, GOOD[content_type])}
    twins = ({"video/webm", "audio/webm"}, {"video/mp4", "audio/mp4"})
    assert taken <= next((twin for twin in twins if content_type in twin), set())


def passes(content_type: str, content: bytes) -> bool:
    try:
        check(content_type, content)
    except UnsupportedFile:
        return False
    return True


def test_the_refusal_says_what_was_found() -> None:
    with pytest.raises(UnsupportedFile, match=r"^The file is declared as image/jpeg and is image/png\.$"):
        check("image/jpeg", files.png())


@pytest.mark.parametrize(
    ("name", "content_type", "cleaned"),
    [
        ("cat.png", "image/png", "cat.png"),
        ("Größe 1.PNG", "image/png", "Größe 1.PNG"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        (r"C:\Users\me\cat.png", "image/png", "cat.png"),
        ("cat.html", "image/png", "cat.html.png"),
        ("cat\u202egnp.exe", "image/png", "catgnp.exe.png"),
        ('a"b\r\nSet-Cookie: x.png', "image/png", "abSet-Cookie x.png"),
        ("", "image/jpeg", "file.jpg"),
        ("...", "image/jpeg", "file.jpg"),
        (".png", "image/png", "png.png"),
        ("con.png", "image/png", "file con.png"),
        ("a" * 300 + ".png", "image/png", "a" * 116 + ".png"),
    ],
)
def test_names_lose_their_paths_and_tricks(name: str, content_type: str, cleaned: str) -> None:
    assert names.cleaned(name, types.TYPES[content_type]) == cleaned


@given(st.text(max_size=300), st.sampled_from(sorted(types.TYPES)))
def test_any_name_becomes_one_that_can_be_saved(name: str, content_type: str) -> None:
    type_ = types.TYPES[content_type]
    cleaned = names.cleaned(name, type_)
    assert 0 < len(cleaned) <= names.MOST_CHARS
    assert not set(cleaned) & set('/\\<>:"|?*\r\n\0\u202e')
    assert not cleaned.startswith((".", " "))
    assert cleaned.rpartition(".")[2].lower() in type_.extensions
    assert names.cleaned(cleaned, type_) == cleaned
    cleaned.encode()


async def message(team: Team) -> Message:
    """One of a new contact."""
    return await (await inbox.line(team)).says()


async def attach(team: Team, *ids: UUID, author: str = "", to: Message | None = None) -> list[Attachment]:
    """By the person of `team`, to a new message."""
    row = to or await message(team)
    async with transaction() as session:
        return await attaching.attach(session, Author(author or f"user:{team.user_id}"), row, ids)


async def test_files_get_into_a_message_in_order(team: Team) -> None:
    first, second = [(await factories.attachment(team)).id for _ in range(2)]
    attached = await attach(team, second, first)
    assert [(one.id, one.position) for one in attached] == [(second, 0), (first, 1)]
    assert len({one.message_id for one in attached}) == 1
    assert await attach(team) == []


async def test_who_may_not_attach(team: Team) -> None:
    loose = (await factories.attachment(team)).id
    other = await factories.team()
    taken = await factories.attachment(team, message_id=(await message(team)).id)
    half = await factories.attachment(team, stored_at=None)
    old = await factories.attachment(team, created_at=now() - timedelta(hours=24))
    refused: list[tuple[type[DomainError], str | None, object]] = [
        (NotFound, "attachmentIds.0", attach(team, loose, author=f"device:{team.user_id}")),
        (NotFound, "attachmentIds.0", attach(team, loose, to=await message(other))),
        (NotFound, "attachmentIds.1", attach(team, loose, half.id)),
        (NotFound, "attachmentIds.0", attach(team, old.id)),
        (Conflict, "attachmentIds.1", attach(team, loose, taken.id)),
        (Invalid, "attachmentIds", attach(team, loose, loose)),
        (Invalid, "attachmentIds", attach(team, *(new_id() for _ in range(11)))),
    ]
    for kind, field, call in refused:
        with pytest.raises(kind) as error:
            await call  # type: ignore[misc]
        assert error.value.field == field
    assert [one.id for one in await attach(team, loose)] == [loose], "a refused message takes nothing"


async def test_of_two_messages_at_once_one_gets_the_file(team: Team) -> None:
    id_ = (await factories.attachment(team)).id
    messages = [await message(team), await message(team)]
    results = await asyncio.gather(*(attach(team, id_, to=one) for one in messages), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "list"]


async def body(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1_000):
        yield content[start : start + 1_000]


async def upload(team: Team, content: bytes, key: str | None = None) -> Attachment:
    return await receiving.receive(factories.principal(team), Offer("image/png", "cat.png", key=key), body(content))


def objects(app_id: UUID) -> list[str]:
    """What is kept of an app, also what is not complete."""
    folder = config().state_dir / "attachments" / str(app_id)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def rows(app_id: UUID) -> list[Attachment]:
    async with transaction() as session:
        return list(await session.scalars(sa.select(Attachment).where(Attachment.app_id == app_id)))


async def age(app_id: UUID, hours: float) -> None:
    async with transaction() as session:
        old = sa.update(Attachment).where(Attachment.app_id == app_id).values(created_at=now() - timedelta(hours=hours))
        await session.execute(old)


async def test_the_same_upload_twice_is_done_once(team: Team) -> None:
    first, second = await asyncio.gather(upload(team, files.png(), "k"), upload(team, files.png(), "k"))
    third = await upload(team, files.png(), "k")
    assert {first.id, second.id, third.id} == {one.id for one in await rows(team.app_id)}
    assert objects(team.app_id) == [str(first.id)]
    with pytest.raises(IdempotencyKeyReused):
        await upload(team, files.png(4, 4), "k")


async def test_after_a_failed_store_the_same_upload_finishes(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Away.")

    with monkeypatch.context() as patched:
        patched.setattr(storage, "put", away)
        with pytest.raises(Unavailable):
            await upload(team, files.png(), "k")
    stored = await upload(team, files.png(), "k")
    assert [(row.id, row.stored_at) for row in await rows(team.app_id)] == [(stored.id, stored.stored_at)]
    assert stored.stored_at


async def test_one_caller_has_few_uploads_at_once(team: Team) -> None:
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow() -> AsyncIterator[bytes]:
        begun.release()
        await go.wait()
        yield files.png()

    offer, other = Offer("image/png", "cat.png"), await factories.team()
    asker = factories.principal(team)
    waiting = [asyncio.create_task(receiving.receive(asker, offer, slow())) for _ in range(4)]
    for _ in waiting:
        await asyncio.wait_for(begun.acquire(), 20)
    with pytest.raises(RateLimited) as error:
        await upload(team, files.png())
    assert error.value.retry_after == receiving.RETRY_SECONDS
    await upload(other, files.png())
    go.set()
    await asyncio.gather(*waiting)
    await upload(team, files.png())


async def test_one_caller_uploads_so_much_an_hour(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLYHQ_RATE_UPLOADS_PER_HOUR", "2")
    config.cache_clear()
    try:
        for _ in range(2):
            await upload(team, files.png())
        with pytest.raises(RateLimited, match=r"^At most 2 uploads an hour"):
            await upload(team, files.png())
        await upload(await factories.team(), files.png())
    finally:
        monkeypatch.undo()
        config.cache_clear()


async def test_an_upload_that_takes_too_long_ends(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield files.png()
        await asyncio.Event().wait()

    monkeypatch.setenv("REPLYHQ_UPLOAD_SECONDS", "0.1")
    config.cache_clear()
    try:
        with pytest.raises(Invalid):
            await receiving.receive(factories.principal(team), Offer("image/png", "cat.png"), never())
    finally:
        monkeypatch.undo()
        config.cache_clear()
    assert (await rows(team.app_id), objects(team.app_id)) == ([], [])


async def test_what_no_message_took_goes_after_a_day_and_the_rest_stays(team: Team) -> None:
    loose, taken = await upload(team, files.png()), await upload(team, files.png())
    await attach(team, taken.id)
    await age(team.app_id, 24.9)
    await sweeping.sweep()
    assert objects(team.app_id) == sorted([str(loose.id), str(taken.id)])
    await age(team.app_id, 25.1)
    await asyncio.gather(sweeping.sweep(), sweeping.sweep())
    assert objects(team.app_id) == [str(taken.id)]
    assert [one.id for one in await rows(team.app_id)] == [taken.id]


KILLED = """
import asyncio, os, signal, sys
from tests.domain.test_attachments import upload
from tests.support import files
from tests.support.factories import Team
from core import storage
from domain import facts
from uuid import UUID

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Deadly:
    def __init__(self, file): self.file, self.reads = file, 0
    def seek(self, *a): return self.file.seek(*a)
    def read(self, size=-1):
        self.reads += 1
        return self.file.read(size) if self.reads < 2 else die()

when, app_id, user_id = sys.argv[1:]
put = storage.put
if when == "between object and row":
    facts.record = die
elif when == "while the object is written":
    storage.put = lambda key, file: put(key, Deadly(file))
elif when == "before the object":
    storage.put = die
content = files.png(text=b" " * 6_000_000)
asyncio.run(upload(Team(UUID(app_id), UUID(user_id), "", ""), content))
"""


@pytest.mark.parametrize("when", ["before the object", "while the object is written", "between object and row"])
async def test_what_kill_9_leaves_is_swept(team: Team, when: str) -> None:
    command = [sys.executable, "-c", KILLED, when, str(team.app_id), str(team.user_id)]
    process = await asyncio.create_subprocess_exec(*command, cwd=Path.cwd(), env=os.environ)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    (row,) = await rows(team.app_id)
    assert row.stored_at is None
    assert bool(objects(team.app_id)) is (when != "before the object")
    await age(team.app_id, 26)
    await sweeping.sweep()
    assert (await rows(team.app_id), objects(team.app_id)) == ([], [])
