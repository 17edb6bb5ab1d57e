"""How JSON leaves the server, and what of it would not come back as it is."""

from math import isfinite

import orjson

DEEPEST = 32
_LEAST, _MOST = -(2**63), 2**64 - 1


def encode(data: object) -> bytes:
    """JSON in UTF-8. UUIDs and instants that a JSON scalar passes through become strings."""
    return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


def encode_exactly(value: object) -> bytes:
    """`value`, made of what JSON has, written so that reading it gives the same value.

    Raises:
        ValueError: it cannot be; the text says what it holds and the way out, as the end of a sentence.
    """
    _refuse_inexact(value, DEEPEST)
    try:
        return encode(value)
    except orjson.JSONEncodeError:
        raise ValueError("holds text that is not Unicode; send UTF-8") from None


def _refuse_inexact(value: object, levels: int) -> None:
    if isinstance(value, dict | list):
        if not levels:
            raise ValueError(f"is nested deeper than {DEEPEST} levels; send it flatter, or as text")
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_inexact(part, levels - 1)
    elif isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ValueError("holds an integer of more than 64 bits; send it as text")
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError("holds a number that is too large; send it as text")
