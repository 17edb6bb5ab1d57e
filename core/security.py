"""Passwords, signed tokens, random tokens, the form of API keys."""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import string
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.clock import now
from core.config import config
from core.errors import Misconfigured, Unauthenticated

T = TypeVar("T")
ISSUER = "replyhq"
_HEADER = {"alg": "HS256", "typ": "JWT"}
_REQUIRED = ("iss", "aud", "sub", "iat", "exp", "jti")
_LEEWAY = timedelta(seconds=10)
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_SLOTS = os.cpu_count() or 1
_BASE62 = string.digits + string.ascii_letters
API_KEY_START = "rk_"
# `rk_live_` or `rk_test_`, 8 characters to know it by, 43 secret ones (256 bits), 6 of checksum: what scanners look for
API_KEY = re.compile(r"(?P<shown>rk_(?:live|test)_[0-9A-Za-z]{8})[0-9A-Za-z]{43}(?P<checksum>[0-9A-Za-z]{6})")


@cache
def _dummy_hash() -> str:
    """Verified when there is no such account, so that the answer takes as long."""
    return _hasher.hash(secrets.token_urlsafe())


@cache
def _gate(_loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(_SLOTS)


async def _hashing(work: Callable[[], T]) -> T:
    """Hash in a thread, at most one per core: each takes tens of milliseconds and 19 MiB."""
    async with _gate(asyncio.get_running_loop()):
        return await asyncio.to_thread(work)


def _bytes(password: str) -> bytes:
    """As it was typed: nothing trimmed, nothing normalised."""
    return password.encode(errors="surrogatepass")


async def hash_password(password: str) -> str:
    """The argon2id hash of `password`, with its parameters and salt (OWASP's minimum: 19 MiB, 2 passes)."""
    return await _hashing(lambda: _hasher.hash(_bytes(password)))


def is_outdated(stored: str) -> bool:
    """Whether the hash `stored` was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether `password` belongs to the hash `stored`; takes as long when `stored` is None and says no."""

    def verify() -> bool:
        try:
            return _hasher.verify(stored or _dummy_hash(), _bytes(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    return await _hashing(verify)


def random_token() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """SHA-256 of a random token, as it is stored (a fast hash is right: the token has 256 bits)."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def random_api_key(mode: str) -> str:
    """A new API key of the form `API_KEY`; `mode` is `live` or `test`."""
    body = f"{API_KEY_START}{mode}_" + "".join(secrets.choice(_BASE62) for _ in range(8 + 43))
    return body + _checksum(body)


def shown_part(api_key: str) -> str:
    """What may be shown of a key that `random_api_key` made: its kind and its 8 public characters."""
    form = API_KEY.fullmatch(api_key)
    return form["shown"] if form else ""


def is_api_key(token: str) -> bool:
    """Whether `token` has the form of an API key and its checksum: one that was mistyped or made up is told at once."""
    form = API_KEY.fullmatch(token)
    return form is not None and form["checksum"] == _checksum(token[: form.start("checksum")])


def _checksum(text: str) -> str:
    """CRC32 in base62, 6 digits."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits


def is_signed(token: str) -> bool:
    """Whether `token` has the form of those that we sign: three parts with dots between. Says nothing of its worth."""
    return token.count(".") == 2


def _key() -> str:
    key = config().secret_key.get_secret_value()
    if len(key.encode()) < 32:
        raise Misconfigured("REPLYHQ_SECRET_KEY must be set, 32 bytes or longer.")
    return key


def _keys() -> list[str]:
    """The key that signs, then those that did before."""
    before = config().secret_keys_before.get_secret_value().split(",")
    return [_key(), *(key.strip() for key in before if key.strip())]


@cache
def key_id(key: str) -> str:
    """What a signing key is called in the header of a token. It tells nothing of the key."""
    return urlsafe_b64encode(hmac.digest(key.encode(), b"key id", "sha256")[:6]).decode()


def keyed_hashes(text: str, purpose: str) -> list[str]:
    """256 bits, safe in a URL, that follow from `text` for who has a key of the server; other ones for each purpose.

    Of each key, the one that signs first: it makes the hash to give out, the others are for what was given out before.
    """
    said = f"{purpose}:{text}".encode(errors="replace")
    digests = (hmac.digest(key.encode(), said, "sha256") for key in _keys())
    return [urlsafe_b64encode(digest).rstrip(b"=").decode() for digest in digests]


def sign(audience: str, claims: dict[str, Any], lifetime: timedelta) -> str:
    """A JWT (HS256) for `audience` with `claims` (`sub` among them), good for `lifetime` from now."""
    issued = now()
    standard = {"iss": ISSUER, "aud": audience, "iat": issued, "exp": issued + lifetime, "jti": secrets.token_hex(8)}
    return jwt.encode({**claims, **standard}, _key(), algorithm="HS256", headers={"kid": key_id(_key())})


def read(token: str, audiences: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The claims of a token that we signed for one of `audiences`, and that has not expired.

    Args:
        token: as a caller sent it.
        audiences: who it may be for, each with the claims that such a token has besides those of all.

    Raises:
        Unauthenticated: it is none of that.
    """
    try:
        return _read(token, audiences)
    except jwt.PyJWTError:
        raise Unauthenticated("The token is not valid or has expired. Sign in again.") from None


def _read(token: str, audiences: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        _key_of(token),
        algorithms=["HS256"],
        issuer=ISSUER,
        audience=list(audiences),
        leeway=_LEEWAY,
        options={"require": list(_REQUIRED)},
    )
    # A list of audiences, which the standard knows too, is none of them.
    own = audiences.get(str(claims["aud"]))
    if own is None or not all(isinstance(claims.get(name), str) for name in own):
        raise jwt.InvalidTokenError
    return claims


def _key_of(token: str) -> str:
    """The key of ours that a token says it is signed by. What else a header may say we never write."""
    header = jwt.get_unverified_header(token)
    for key in _keys():
        if header == {**_HEADER, "kid": key_id(key)}:
            return key
    raise jwt.InvalidTokenError
