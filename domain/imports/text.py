"""From bytes to lines: which encoding a file has, and its lines, none longer than a limit. Memory stays flat."""

import codecs
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import charset_normalizer

from core.errors import Invalid

LINE_MOST = 65_536
BLOCK_BYTES = 1 << 20
HEAD_BYTES = 4096
SAMPLE_BYTES = 128 * 1024
UTF_8 = "utf-8-sig"
UTF_16 = "utf-16"
WESTERN = "cp1252"
NOT_TEXT = "This is no text file; a CSV file is needed."
WORKBOOK = "This is a zip file, such as an Excel workbook; save it as CSV first."


@dataclass(frozen=True)
class Encoding:
    """An encoding as Python names it, and whether it is a guess."""

    name: str
    guessed: bool = False


def encoding_of(file: BinaryIO, wanted: str | None = None) -> Encoding:
    """The encoding in which all of `file` can be read: `wanted`, or UTF-8, UTF-16 with its mark, the best guess.

    Raises:
        Invalid: it is empty, no text, or not in the encoding that is wanted.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise Invalid("The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        raise Invalid(WORKBOOK)
    if wanted:
        return _wanted(file, wanted)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and _decodes(file, UTF_16):
        return Encoding(UTF_16)
    if b"\0" not in head.splitlines()[0] and _decodes(file, UTF_8):
        return Encoding(UTF_8)
    if b"\0" in head:
        raise Invalid(NOT_TEXT)
    return _guess(file)


def _wanted(file: BinaryIO, name: str) -> Encoding:
    try:
        io.TextIOWrapper(io.BytesIO(), name)
    except LookupError:
        raise Invalid(f"There is no encoding {name!r}; common ones are utf-8 and windows-1252.") from None
    if not _decodes(file, name):
        raise Invalid(f"The file is not in the encoding {name}.")
    return Encoding(name)


def _decodes(file: BinaryIO, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    file.seek(0)
    try:
        while block := file.read(BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _guess(file: BinaryIO) -> Encoding:
    matches = charset_normalizer.from_bytes(_telling_lines(file))
    best = matches.best()
    if best is None:
        raise Invalid(NOT_TEXT)
    # In a few names several encodings are equally likely; then it is what Western spreadsheets write.
    as_likely = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    western = any(WESTERN in match.could_be_from_charset for match in as_likely)
    name = WESTERN if western and _decodes(file, WESTERN) else best.encoding
    if not _decodes(file, name):
        raise Invalid(NOT_TEXT)
    return Encoding(name, guessed=True)


def _telling_lines(file: BinaryIO) -> bytes:
    """The first lines that are not plain ASCII, up to 128 KiB: only they tell encodings apart."""
    found = bytearray()
    file.seek(0)
    while len(found) < SAMPLE_BYTES and (line := file.readline(LINE_MOST)):
        if not line.isascii():
            found += line
    return bytes(found)


def lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """The lines with their ends. One longer than 65,536 characters is cut to 65,537, so that it is recognised."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        while line := text.readline(LINE_MOST + 1):
            yield line
            if len(line) > LINE_MOST and not _ends(line):
                _skip_line(text)
    finally:
        with suppress(ValueError):  # the file is closed when somebody stopped reading half-way
            text.detach()


def _skip_line(text: io.TextIOWrapper) -> None:
    while (rest := text.readline(LINE_MOST)) and not _ends(rest):
        pass


def _ends(line: str) -> bool:
    return line.endswith(("\n", "\r"))
