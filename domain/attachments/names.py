"""Names of files, as they are offered for saving: no paths, no tricks, and the extension that the type has."""

import re
import unicodedata

from domain.attachments.types import FileType

MOST_CHARS = 120
UNNAMED = "file"
# What a file system or a shell takes for something else, and what turns the direction of writing around.
_UNWANTED = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\uffff]'
)
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def cleaned(name: str, type_: FileType) -> str:
    """`name` without its path, 120 characters at most, with an extension of the type."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    bare = " ".join(_UNWANTED.sub("", last).split()).strip(". ")
    stem, dot, extension = bare.rpartition(".")
    if not (dot and extension.lower() in type_.extensions):
        stem, extension = bare, type_.extensions[0]
    stem = stem[: MOST_CHARS - len(extension) - 1].strip(". ")
    if not stem or _DEVICES.fullmatch(stem):
        stem = f"{UNNAMED} {stem}".strip()
    return f"{stem}.{extension}"
