"""Short addresses of ours, sealed: nobody else can make one, or change what one says.

What they say is bytes of a fixed length, then the start of their keyed hash, all in the alphabet of base64url. The hash
is of the text as it is written, so nothing else reads the same.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from core.config import config
from core.security import keyed_hashes

PROOF_CHARS = 14
"""84 bits."""
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def sealed(payload: bytes, purpose: str, proof_chars: int = PROOF_CHARS) -> str:
    """A token that says `payload`, for this purpose alone."""
    said = urlsafe_b64encode(payload).rstrip(b"=").decode()
    return said + keyed_hashes(said, purpose)[0][:proof_chars]


def opened(token: str, purpose: str, size: int, proof_chars: int = PROOF_CHARS) -> bytes | None:
    """The `size` bytes that a token says; None when we have not made it for this purpose, by any key of the server."""
    said, proof = token[:-proof_chars], token[-proof_chars:]
    if len(said) != -(-size * 4 // 3) or not _ALPHABET.fullmatch(token):
        return None
    if not any(hmac.compare_digest(proof, one[:proof_chars]) for one in keyed_hashes(said, purpose)):
        return None
    return urlsafe_b64decode(said + "=" * (-len(said) % 4))


def address(path: str) -> str:
    """`path` below the public address; in development, where there need be none, below the API's own."""
    host = f"[{config().host}]" if ":" in config().host else config().host
    return (config().public_url or f"http://{host}:{config().port}").rstrip("/") + path
