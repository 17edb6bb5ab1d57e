"""Secrets at rest: AES-256-GCM with a ring of keys.

What is encrypted is bound to its place, such as `two_factors.secret:<id>`: moved elsewhere it does not open. It reads
`<key id>:<base64 of nonce and ciphertext>`, so every key of the ring opens what it has closed; the first one closes.
"""

import os
from base64 import b64decode, b64encode
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.config import config
from core.errors import Misconfigured

KEY_BYTES = 32
NONCE_BYTES = 12
HOW = "REPLYHQ_ENCRYPTION_KEYS must be `id:base64 of 32 bytes`, several parted by commas, the newest first."


def new_key() -> str:
    """A fresh key, in base64, as it stands in REPLYHQ_ENCRYPTION_KEYS behind its id."""
    return b64encode(os.urandom(KEY_BYTES)).decode()


def parse_keys(text: str) -> dict[str, bytes]:
    """The keys in REPLYHQ_ENCRYPTION_KEYS by their id, in their order.

    Raises:
        ValueError: there is none, two have one id, or one is not 32 bytes in base64.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    ring = dict(_parsed(part) for part in parts)
    if not ring or len(ring) != len(parts):
        raise ValueError(HOW)
    return ring


def _parsed(part: str) -> tuple[str, bytes]:
    id_, _, encoded = part.partition(":")
    try:
        key = b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError(HOW) from None
    if not id_.isalnum() or len(key) != KEY_BYTES:
        raise ValueError(HOW)
    return id_, key


@cache
def _ring(text: str) -> dict[str, AESGCM]:
    try:
        return {id_: AESGCM(key) for id_, key in parse_keys(text).items()}
    except ValueError as error:
        raise Misconfigured(str(error)) from None


def _keys() -> dict[str, AESGCM]:
    return _ring(config().encryption_keys.get_secret_value())


def encrypt(text: str, place: str) -> str:
    """`text` closed by the newest key, to be kept at `place`.

    Raises:
        Misconfigured: REPLYHQ_ENCRYPTION_KEYS is missing or malformed.
    """
    (id_, key), *_ = _keys().items()
    nonce = os.urandom(NONCE_BYTES)
    return f"{id_}:{b64encode(nonce + key.encrypt(nonce, text.encode(), place.encode())).decode()}"


def decrypt(closed: str, place: str) -> str:
    """What was closed by `encrypt` for the same place.

    Raises:
        Misconfigured: its key is not in the ring, or it was closed for another place or changed since.
    """
    id_, _, encoded = closed.partition(":")
    key = _keys().get(id_)
    if key is None:
        raise Misconfigured(f"A secret needs the encryption key `{id_}`; add it to REPLYHQ_ENCRYPTION_KEYS.")
    try:
        sealed = _decoded(encoded)
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode()).decode()
    except (InvalidTag, ValueError):
        raise Misconfigured(f"A secret does not open: it is not what was kept at {place}.") from None


def _decoded(encoded: str) -> bytes:
    """Raises ValueError for what `encrypt` never writes: several texts in base64 can stand for the same bytes."""
    sealed = b64decode(encoded, validate=True)
    if b64encode(sealed).decode() != encoded:
        raise ValueError("not as it was written")
    return sealed


def newest_key() -> str:
    """The id of the key that closes.

    Raises:
        Misconfigured: REPLYHQ_ENCRYPTION_KEYS is missing or malformed.
    """
    return next(iter(_keys()))
