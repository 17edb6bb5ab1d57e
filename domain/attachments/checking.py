"""Whether a file is what it is said to be, and nothing besides: a picture that is a page or an archive too is refused.

A browser that is told not to guess (`nosniff`) and a page that may not run (`sandbox`) are the second wall: see
`server/attachments.py`.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import imagesize

from core.errors import UnsupportedFile
from domain.attachments.types import FileType, begun_by
from models.attachments import AttachmentKind

TAIL_BYTES = 66_000  # the directory of an archive ends within the last 65,557 bytes
SLICE_BYTES = 256 * 1024
OVERLAP = 16
PIXELS_MOST = 100_000_000
# In what browsers look at before they guess; in much more it would come by chance.
_MARKUP = re.compile(rb"<!doctype|<html|<head>|<body|<script|<iframe|<svg|<\?php", re.IGNORECASE)
# Anywhere in an image, of which all is read. With one character in front of all it is found ten times as fast.
_SCRIPT = re.compile(rb"<(?:!doctype|script|iframe|\?php\s|foreignobject)", re.IGNORECASE)
_PDF_HEAD = re.compile(rb"%PDF-\d")
_ARCHIVE_TAIL = re.compile(
    rb"PK\x05\x06\x00\x00\x00\x00|PK\x06\x07|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|MSCF\x00\x00\x00\x00"
)
_MACROS = re.compile(rb"vbaProject\.bin|vbaData\.xml|macrosheets/", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True)
class Looks:
    """What the header of an image tells, in pixels."""

    width: int | None = None
    height: int | None = None


def check_head(type_: FileType, head: bytes) -> None:
    """Refuse a file whose first 4 KiB are not those of its type, or those of another one too.

    Raises:
        UnsupportedFile: so it is.
    """
    if not head:
        raise UnsupportedFile("The file is empty.")
    found = begun_by(head)
    if not type_.begins.match(head) or (type_.is_text and found):
        told = f"is {found.content_type}" if found else "is something else"
        raise UnsupportedFile(f"The file is declared as {type_.content_type} and {told}.", field="contentType")
    if type_.is_text:
        return
    if type_.content_type != "application/pdf" and _PDF_HEAD.search(head[:1024]):
        raise _polyglot("a PDF")
    if _MARKUP.search(head):
        raise _polyglot("a page or a script")


def check_whole(type_: FileType, file: IO[bytes], size: int) -> Looks:
    """Refuse a file that ends as another type does, or hides something. It blocks: run it in a thread.

    Raises:
        UnsupportedFile: so it is.
    """
    if type_.is_text:
        _check_text(file)
        return Looks()
    file.seek(max(0, size - TAIL_BYTES))
    _check_tail(type_, file.read(TAIL_BYTES))
    if type_.kind is not AttachmentKind.IMAGE:
        return Looks()
    if any(_SCRIPT.search(part) for part in _slices(file)):
        raise _polyglot("a page or a script")
    return _looks(file)


def _check_tail(type_: FileType, tail: bytes) -> None:
    is_archive = type_.begins.pattern.startswith(b"PK")
    if type_.ends and not type_.ends.match(tail):
        raise UnsupportedFile(f"The file does not end as {type_.content_type} does. Is it complete?")
    if not is_archive and _ARCHIVE_TAIL.search(tail):
        raise _polyglot("an archive")
    if is_archive and (not _ARCHIVE_TAIL.search(tail) or _MACROS.search(tail)):
        raise UnsupportedFile("The document is broken, or it has macros. Save it without them.")


def _slices(file: IO[bytes]) -> Iterator[bytes]:
    """All of a file in parts, each with the end of the one before."""
    file.seek(0)
    before = b""
    while part := file.read(SLICE_BYTES):
        yield before + part
        before = part[-OVERLAP:]


def _check_text(file: IO[bytes]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while part := file.read(SLICE_BYTES):
            if _CONTROL.search(decoder.decode(part)):
                raise UnsupportedFile("The text holds control characters; send plain text.")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UnsupportedFile("The text is not UTF-8.") from None


def _looks(file: IO[bytes]) -> Looks:
    """The size of an image. One whose header does not tell is still an image."""
    file.seek(0)
    try:
        width, height = map(int, imagesize.get(file))
    except (ValueError, OSError, TypeError, IndexError):
        return Looks()
    if width <= 0 or height <= 0:
        return Looks()
    if width * height > PIXELS_MOST:
        raise UnsupportedFile(f"An image may have {PIXELS_MOST:,} pixels at most; this one has {width * height:,}.")
    return Looks(width, height)


def _polyglot(what: str) -> UnsupportedFile:
    return UnsupportedFile(f"The file is {what} besides. Save it anew from the program that shows it.")
