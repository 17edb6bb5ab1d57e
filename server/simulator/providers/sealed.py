"""What a browser does with a push: opens it (RFC 8291), written from the reader's side and not from the sender's."""

import hmac

from cryptography.hazmat.primitives.asymmetric.ec import ECDH, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.simulator.providers.credentials import Credentials, raw


def public_key(text: str) -> EllipticCurvePublicKey:
    """A public key as it stands in a header. Raises ValueError when it is none."""
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw(text))


def opened(body: bytes, credentials: Credentials) -> bytes:
    """The text of a push.

    Raises:
        ValueError, InvalidTag: it was not closed for this browser, or not in one record.
    """
    salt, length = body[:16], body[20]
    sender, closed = body[21 : 21 + length], body[21 + length :]
    ours = credentials.browser_key()
    point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = ours.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(SECP256R1(), sender))
    mixed = hmac.digest(raw(credentials.auth), shared, "sha256")
    material = HKDFExpand(SHA256(), 32, b"WebPush: info\0" + point + sender).derive(mixed)
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(material)
    nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(material)
    plain = AESGCM(key).decrypt(nonce, closed, None).rstrip(b"\0")
    if not plain.endswith(b"\x02"):
        raise ValueError("not the last record")
    return plain[:-1]
