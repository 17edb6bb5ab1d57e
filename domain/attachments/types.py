"""The types of files that are taken, and how each begins. A file of any other type is refused."""

import re
from dataclasses import dataclass

from core.config import config
from core.errors import UnsupportedFile
from models.attachments import AttachmentKind

HEAD_BYTES = 4096
"""What is read of a file before it is decided whether to read on."""
_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"


@dataclass(frozen=True)
class FileType:
    """A type of file.

    Attributes:
        content_type: as it is declared and served, without parameters.
        kind: how it is shown.
        begins: what the first bytes match.
        extensions: of its names; the first is given to a name that has another or none.
        ends: what the last 64 KiB hold, if that tells anything.
    """

    content_type: str
    kind: AttachmentKind
    begins: re.Pattern[bytes]
    extensions: tuple[str, ...]
    ends: re.Pattern[bytes] | None = None

    @property
    def most_bytes(self) -> int:
        """How large it may be."""
        most: int = getattr(config(), f"upload_{self.kind.value.lower()}_bytes")
        return most

    @property
    def is_text(self) -> bool:
        """Whether it is text, of which every beginning is good."""
        return self.content_type.startswith("text/")


def _type(content_type: str, begins: bytes, *extensions: str, ends: bytes | None = None) -> FileType:
    family = content_type.partition("/")[0].upper()
    kind = AttachmentKind(family) if family in set(AttachmentKind) else AttachmentKind.DOCUMENT
    return FileType(content_type, kind, _compiled(begins), extensions, _compiled(ends) if ends else None)


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


def _media_file(*brands: bytes) -> bytes:
    """How an ISO media file begins: a box of less than 256 bytes with the brand it is of first."""
    return rb"\x00\x00\x00[\x08-\xff]ftyp(%s)" % b"|".join(brands)


_MP4 = (b"isom", b"iso[2-9]", b"mp4[12]", b"avc1", b"dash", b"MSNV", b"3gp[4-9]")
_WEBM = rb"\x1aE\xdf\xa3.{1,40}\x42\x82.webm"
_ZIP = rb"PK\x03\x04.{22}"
# What a zip file lists at its end.
_LISTS = rb".*PK\x01\x02.{42}%s/"

TYPES = {
    one.content_type: one
    for one in (
        _type("image/jpeg", rb"\xff\xd8\xff[\xc0-\xfe]", "jpg", "jpeg"),
        _type("image/png", rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "png", ends=rb".*IEND\xaeB`\x82\Z"),
        # a script may begin with GIF89a too, as a name that it gives a value
        _type("image/gif", rb"GIF8[79]a(?!/\*|[\s=]*=[\s\w\"'`\[{(])", "gif", ends=rb".*\x3b\x00?\Z"),
        _type("image/webp", rb"RIFF.{4}WEBPVP8[ LX]", "webp"),
        _type("video/mp4", _media_file(*_MP4, b"M4V "), "mp4", "m4v"),
        _type("video/quicktime", _media_file(b"qt  "), "mov"),
        _type("video/webm", _WEBM, "webm"),
        _type("audio/mpeg", rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "mp3"),
        _type("audio/mp4", _media_file(*_MP4, b"M4A ", b"M4B "), "m4a", "mp4"),
        _type("audio/aac", rb"\xff[\xf0\xf1\xf8\xf9]", "aac"),
        _type("audio/ogg", rb"OggS\x00", "ogg", "oga", "opus"),
        _type("audio/wav", rb"RIFF.{4}WAVE", "wav"),
        _type("audio/webm", _WEBM, "weba", "webm"),
        _type("audio/amr", rb"#!AMR(-WB)?\n", "amr"),
        _type("application/pdf", rb"%PDF-[12]\.\d", "pdf", ends=rb".*%%EOF(?!.{1025})"),
        _type(f"{_OOXML}.wordprocessingml.document", _ZIP, "docx", ends=_LISTS % b"word"),
        _type(f"{_OOXML}.spreadsheetml.sheet", _ZIP, "xlsx", ends=_LISTS % b"xl"),
        _type(f"{_OOXML}.presentationml.presentation", _ZIP, "pptx", ends=_LISTS % b"ppt"),
        _type(f"{_ODF}.text", rb"PK\x03\x04.{26}mimetype%s\.textPK" % _ODF.encode(), "odt"),
        _type(f"{_ODF}.spreadsheet", rb"PK\x03\x04.{26}mimetype%s\.spreadsheetPK" % _ODF.encode(), "ods"),
        _type("text/plain", rb"", "txt", "log"),
        _type("text/csv", rb"", "csv"),
    )
}


def declared(content_type: str | None) -> FileType:
    """The type that a sender declares.

    Raises:
        UnsupportedFile: none, or one that is not taken.
    """
    name = (content_type or "").partition(";")[0].strip().lower()
    if name not in TYPES:
        raise UnsupportedFile(f"Files of the type {name or 'that is not said'} are not taken.", field="contentType")
    return TYPES[name]


def begun_by(head: bytes) -> FileType | None:
    """The first type that a file may be of which begins so; None for text and for what we do not know."""
    return next((one for one in TYPES.values() if not one.is_text and one.begins.match(head)), None)
