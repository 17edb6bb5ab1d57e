"""Passwords, signed tokens, random tokens."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.clock import now
from core.config import config
from core.errors import Unauthenticated, Unavailable

T = TypeVar("T")
ISSUER = "replyhq"
_REQUIRED = ["iss", "aud", "sub", "app", "iat", "exp", "jti"]
_LEEWAY = timedelta(seconds=10)
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_SLOTS = os.cpu_count() or 1


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


def _key() -> str:
    key = config().secret_key.get_secret_value()
    if len(key.encode()) < 32:
        raise Unavailable("REPLYHQ_SECRET_KEY must be set, 32 bytes or longer.")
    return key


def sign(audience: str, claims: dict[str, Any], lifetime: timedelta) -> str:
    """A JWT (HS256) for `audience` with `claims` (`sub` and `app` among them), good for `lifetime` from now."""
    issued = now()
    standard = {"iss": ISSUER, "aud": audience, "iat": issued, "exp": issued + lifetime, "jti": secrets.token_hex(8)}
    return jwt.encode({**claims, **standard}, _key(), algorithm="HS256")


def read(token: str) -> dict[str, Any]:
    """The claims of a token that we signed for the team or for a device, and that has not expired.

    Raises:
        Unauthenticated: it is none of that.
    """
    try:
        return jwt.decode(
            token,
            _key(),
            algorithms=["HS256"],
            issuer=ISSUER,
            audience=["team", "device"],
            leeway=_LEEWAY,
            options={"require": _REQUIRED},
        )
    except jwt.PyJWTError:
        raise Unauthenticated("The token is not valid or has expired. Sign in again.") from None
