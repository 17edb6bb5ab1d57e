"""Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, time and body, one for each live secret."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A fresh one, as the owner of an endpoint gets it."""
    return f"{PREFIX}{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def headers(message_id: str, at: datetime, body: bytes, live: Sequence[str]) -> dict[str, str]:
    """The three headers of a try at the instant `at`; `live` are the secrets, the newest first."""
    seconds = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    signatures = (f"v1,{b64encode(_mac(secret, signed)).decode()}" for secret in live)
    return {"webhook-id": message_id, "webhook-timestamp": seconds, "webhook-signature": " ".join(signatures)}


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.digest(b64decode(secret.removeprefix(PREFIX)), signed, sha256)
