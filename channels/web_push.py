"""PUSH to browsers: encrypted for each (RFC 8291), posted to the push service that the browser named (RFC 8030).

Each post is signed by a key of the app (VAPID, RFC 8292).
"""

import hashlib
import hmac
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yarl import URL

from channels.base import Code, Outcome, Outgoing, Recovery, Refused, Result, each
from channels.http import Answer, Http
from channels.push import KEY_FIELD
from channels.verdicts import asked, by_status
from core.json import encode

LIFE_SECONDS = 7 * 86_400
"""How long a push service keeps a message for a browser that is away."""
PROOF_SECONDS = 12 * 3_600
"""How long a VAPID token lives; RFC 8292 allows a day."""
SERVICES_MOST = 100
"""Push services whose tokens are kept; browsers know a handful."""
BODY_BYTES = 4_096
"""What every push service takes."""
RECORD_BYTES = 4_096
_DEAD = frozenset({404, 410})
_FOREIGN = frozenset({401, 403})


@dataclass(frozen=True)
class WebPushAccount:
    """The VAPID key of an app.

    Attributes:
        private_key: the 32 bytes of a P-256 key in base64url; browsers subscribe with its public half.
        subject: where a push service complains, `mailto:` or `https:`.
    """

    private_key: str
    subject: str


@dataclass(frozen=True)
class Subscription:
    """What a browser gave: where to post to, and what only it can read."""

    endpoint: str
    public_key: bytes
    auth: bytes


class WebPush:
    """Sends to browsers that have subscribed with one key."""

    recovery = Recovery.BLIND

    def __init__(self, account: WebPushAccount, http: Http, at_once: int) -> None:
        self._http, self._at_once = http, at_once
        self._proofs = _Proofs(account)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One POST each."""
        return await each(batch, self._at_once, self._send)

    async def _send(self, outgoing: Outgoing) -> Result:
        try:
            to = parse_subscription(outgoing.address)
            proof = self._proofs.header(URL(to.endpoint))
            closed = seal(_payload(outgoing), to)
        except ValueError:
            return Refused(Code.BAD_TOKEN, dead_address=True)
        if len(closed) > BODY_BYTES:
            return Refused(Code.PAYLOAD_TOO_LARGE)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(LIFE_SECONDS),
            "Topic": _topic(outgoing.key),
            "Authorization": proof,
        }
        answer = await asked(self._http.post(to.endpoint, closed, headers))
        return _verdict(answer) if isinstance(answer, Answer) else answer


def _payload(outgoing: Outgoing) -> bytes:
    text = {"title": outgoing.title, "body": outgoing.body}
    return encode(text | {"data": (outgoing.data or {}) | {KEY_FIELD: outgoing.key}})


def _topic(key: str) -> str:
    """While a browser is away a message replaces the one of the same topic: itself."""
    return _b64(hashlib.sha256(key.encode()).digest())[:32]


def _verdict(answer: Answer) -> Result:
    if answer.status in _DEAD:
        return Refused(Code.UNREGISTERED, dead_address=True)
    if answer.status in _FOREIGN:
        return Refused(Code.SENDER_MISMATCH)
    return by_status(answer, answer.headers.get("Location"))


def parse_subscription(text: str) -> Subscription:
    """A subscription as `JSON.stringify(subscription)` writes it.

    Raises:
        ValueError: it is none.
    """
    found: Any = orjson.loads(text)
    keys = found.get("keys") if isinstance(found, Mapping) else None
    if not isinstance(keys, Mapping) or not isinstance(found.get("endpoint"), str):
        raise ValueError("no endpoint or no keys")  # noqa: TRY004 - one kind of failure for who reads one
    return Subscription(found["endpoint"], _bytes(keys.get("p256dh")), _bytes(keys.get("auth")))


def seal(
    plain: bytes, to: Subscription, key: EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """`plain` encrypted for one browser in one record, with its header (RFC 8291 and 8188).

    Args:
        plain: what only that browser is to read.
        to: the browser.
        key: made for this message alone, as the salt is; given only where a test knows what must come out.
        salt: 16 bytes.

    Raises:
        ValueError: the browser's key is none.
    """
    theirs = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), to.public_key)
    ours = key or generate_private_key(SECP256R1())
    salt = salt or os.urandom(16)
    point = public_point(ours)
    mixed = _hmac(to.auth, ours.exchange(ECDH(), theirs))
    material = _expand(mixed, b"WebPush: info\0" + to.public_key + point, 32)
    extracted = _hmac(salt, material)
    content_key = _expand(extracted, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expand(extracted, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(point)]) + point
    return header + AESGCM(content_key).encrypt(nonce, plain + b"\x02", None)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of RFC 5869, of which one block is enough here."""
    return _hmac(key, info + b"\x01")[:length]


def public_point(key: EllipticCurvePrivateKey) -> bytes:
    """The public half, as 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class _Proofs:
    """The VAPID tokens, one for each push service, used again until half of their life is over."""

    account: WebPushAccount
    _made: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        number = int.from_bytes(_bytes(self.account.private_key), "big")
        self._key = derive_private_key(number, SECP256R1())
        self._public = _b64(public_point(self._key))

    def header(self, endpoint: URL) -> str:
        """The Authorization for an endpoint."""
        service = str(endpoint.origin())
        made, proof = self._made.get(service, (0.0, ""))
        if not proof or time.monotonic() - made > PROOF_SECONDS / 2:
            claims = {"aud": service, "exp": int(time.time()) + PROOF_SECONDS, "sub": self.account.subject}
            proof = f"vapid t={jwt.encode(claims, self._key, 'ES256')}, k={self._public}"
            if len(self._made) >= SERVICES_MOST:
                self._made.clear()
            self._made[service] = (time.monotonic(), proof)
        return proof


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: object) -> bytes:
    """Raises ValueError for what is no base64url."""
    if not isinstance(text, str):
        raise ValueError("no base64url")  # noqa: TRY004
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
