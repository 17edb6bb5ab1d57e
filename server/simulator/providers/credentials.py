"""What the simulated providers are signed in to with: made once, kept in a file beside the ledger."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

PROJECT = "simulated"
TOPIC = "com.example.simulated"
TEAM_ID, KEY_ID = "SIMULATED1", "SIMULATED2"
EMAIL = "replyhq@simulated.iam.gserviceaccount.com"


@dataclass(frozen=True)
class Credentials:
    """Keys of the accounts, and that of all simulated browsers. PEM, but what says otherwise.

    Attributes:
        browser: the private key of every browser, 32 bytes in base64url.
        auth: what every browser shares with who sends to it, 16 bytes in base64url.
    """

    fcm: str
    apns: str
    browser: str
    auth: str

    def service_account(self) -> str:
        """FCM's key file."""
        file = {"type": "service_account", "project_id": PROJECT, "client_email": EMAIL}
        return orjson.dumps(file | {"private_key_id": KEY_ID, "private_key": self.fcm}).decode()

    def browser_key(self) -> ec.EllipticCurvePrivateKey:
        """The private key of every browser."""
        return ec.derive_private_key(int.from_bytes(raw(self.browser), "big"), ec.SECP256R1())

    def subscription(self, base_url: str, token: str) -> str:
        """What the browser `token` would give to its page."""
        point = self.browser_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": b64(point), "auth": self.auth}
        return orjson.dumps({"endpoint": f"{base_url}/push/{token}", "keys": keys}).decode()


def kept(path: Path) -> Credentials:
    """The credentials in a file; new ones where there is none."""
    if path.exists():
        return Credentials(**orjson.loads(path.read_bytes()))
    made = _made()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(asdict(made)))
    return made


def _made() -> Credentials:
    browser = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return Credentials(
        fcm=_pem(rsa.generate_private_key(public_exponent=65_537, key_size=2_048)),
        apns=_pem(ec.generate_private_key(ec.SECP256R1())),
        browser=b64(browser.to_bytes(32, "big")),
        auth=b64(os.urandom(16)),
    )


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def b64(data: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    """What `b64` has written."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
