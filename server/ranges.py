"""The header Range (RFC 9110): one part of a file. Several at once are answered with the whole, as a server may."""

import re

from starlette.datastructures import Headers

Range = tuple[int, int]
_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


class Unsatisfiable(Exception):
    """The file has nothing there."""


def wanted(headers: Headers, size: int, etag: str) -> Range | None:
    """First byte and the one behind the last of what is asked for; None when that is the whole file.

    Raises:
        Unsatisfiable: the file ends before it.
    """
    asked = _ONE.fullmatch(headers.get("range", ""))
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    first, last = asked.groups()
    if not first:
        return _suffix(last, size)
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end


def _suffix(length: str, size: int) -> Range | None:
    """The last so many bytes."""
    if not length:
        return None
    if not int(length):
        raise Unsatisfiable
    return max(0, size - int(length)), size
