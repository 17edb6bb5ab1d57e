"""What each provider asks for, checked as far as it can be without asking the provider."""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from enum import StrEnum
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.addresses import parse_url
from core.config import config
from core.errors import Invalid
from domain import checks

PEM_MOST = 10_000
SERVICE_ACCOUNT_MOST = 20_000
_TEN = re.compile(r"[A-Z0-9]{10}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
_PROJECT = re.compile(r"[a-z0-9-]{4,40}")
Key = RSAPrivateKey | EllipticCurvePrivateKey


class SmtpSecurity(StrEnum):
    """How a connection to a mail server is encrypted."""

    TLS = "TLS"
    STARTTLS = "STARTTLS"


PORTS = {SmtpSecurity.TLS: 465, SmtpSecurity.STARTTLS: 587}


@dataclass(frozen=True)
class FcmFields:
    """Firebase. `service_account` is its key file; None keeps the one there is."""

    service_account: str | None
    base_url: str | None = None


@dataclass(frozen=True)
class ApnsFields:
    """Apple. `private_key` is the .p8 file; None keeps the one there is."""

    team_id: str
    key_id: str
    topic: str
    private_key: str | None
    sandbox: bool = False
    base_url: str | None = None


@dataclass(frozen=True)
class WebPushFields:
    """VAPID. `private_key` None keeps the one there is, or makes one."""

    subject: str
    private_key: str | None = None


@dataclass(frozen=True)
class SmtpFields:
    """A mail server. `password` None keeps the one there is, or there is none."""

    host: str
    port: int | None
    security: SmtpSecurity
    username: str | None
    password: str | None
    from_address: str
    from_name: str | None = None


Fields = FcmFields | ApnsFields | WebPushFields | SmtpFields


@dataclass(frozen=True)
class Prepared:
    """An account, checked.

    Attributes:
        settings: what may be shown.
        secrets: what is encrypted; None when those there are stay.
        fingerprint: of the public half of its key.
    """

    settings: dict[str, Any]
    secrets: dict[str, Any] | None
    fingerprint: str | None = None


def fcm(fields: FcmFields, old: Mapping[str, Any] | None) -> Prepared:
    """Firebase: all but the URL stands in the key file."""
    base = _base_url(fields.base_url, "account.fcm.baseUrl")
    field = "account.fcm.serviceAccount"
    if fields.service_account is None:
        kept = _known(old, field)
        return Prepared({name: kept[name] for name in ("project_id", "client_email")} | base, None)
    file = _service_account(fields.service_account, field)
    key = _pem(file["private_key"], field, RSAPrivateKey)
    settings = {"project_id": file["project_id"], "client_email": file["client_email"]}
    secrets = {"private_key": file["private_key"], "private_key_id": file["private_key_id"]}
    return Prepared(settings | base, secrets, _fingerprint(key))


def _service_account(text: str, field: str) -> dict[str, str]:
    wrong = Invalid(f"{field} is not the JSON key file of a service account; download it from Firebase.", field=field)
    if len(text) > SERVICE_ACCOUNT_MOST:
        raise wrong
    try:
        file = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise wrong from None
    names = ("project_id", "client_email", "private_key", "private_key_id")
    if not isinstance(file, dict) or not all(isinstance(file.get(name), str) for name in names):
        raise wrong
    if not _PROJECT.fullmatch(file["project_id"]):
        raise wrong
    return {name: file[name] for name in names}


def apns(fields: ApnsFields, old: Mapping[str, Any] | None) -> Prepared:
    """Apple."""
    settings = {
        "team_id": _form(fields.team_id, "account.apns.teamId", _TEN, "10 capital letters and digits"),
        "key_id": _form(fields.key_id, "account.apns.keyId", _TEN, "10 capital letters and digits"),
        "topic": _form(fields.topic, "account.apns.topic", _TOPIC, "the bundle id of the app, like com.example.app"),
        "sandbox": fields.sandbox,
    } | _base_url(fields.base_url, "account.apns.baseUrl")
    field = "account.apns.privateKey"
    if fields.private_key is None:
        _known(old, field)
        return Prepared(settings, None)
    key = _pem(fields.private_key, field, EllipticCurvePrivateKey)
    return Prepared(settings, {"private_key": fields.private_key}, _fingerprint(key))


def web_push(fields: WebPushFields, old: Mapping[str, Any] | None) -> Prepared:
    """VAPID. The public key stands in the settings: browsers need it to subscribe."""
    subject = checks.text(fields.subject, "account.webPush.subject", most=300)
    if not subject.startswith(("mailto:", "https://")):
        raise Invalid("account.webPush.subject must begin with mailto: or https://.", field="account.webPush.subject")
    if fields.private_key is None and old is not None:
        return Prepared({"subject": subject, "public_key": old["public_key"]}, None)
    key = _vapid_key(fields.private_key)
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    settings = {"subject": subject, "public_key": _b64(public)}
    secret = _b64(key.private_numbers().private_value.to_bytes(32, "big"))
    return Prepared(settings, {"private_key": secret}, _fingerprint(key))


def _vapid_key(text: str | None) -> EllipticCurvePrivateKey:
    if text is None:
        return generate_private_key(SECP256R1())
    field = "account.webPush.privateKey"
    try:
        number = int.from_bytes(urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4)), "big")
        return derive_private_key(number, SECP256R1())
    except ValueError:
        raise Invalid(f"{field} must be the 32 bytes of a P-256 key in base64url.", field=field) from None


def smtp(fields: SmtpFields, old: Mapping[str, Any] | None) -> Prepared:
    """A mail server."""
    settings = {
        "host": _host(fields.host, "account.smtp.host"),
        "port": _port(fields.port or PORTS[fields.security], "account.smtp.port"),
        "security": fields.security.value,
        "username": checks.optional_text(fields.username, "account.smtp.username", most=300),
        "sender": _sender(fields),
    }
    password = fields.password
    if password is not None and len(password) > 1_000:
        raise Invalid("account.smtp.password may have 1000 characters at most.", field="account.smtp.password")
    moved = old is None or any(old.get(name) != settings[name] for name in ("host", "port", "security", "username"))
    if password is None and not moved:
        return Prepared(settings, None)
    if password is None and settings["username"]:
        raise Invalid("Give account.smtp.password for this server and user.", field="account.smtp.password")
    return Prepared(settings, {"username": settings["username"], "password": password})


def _sender(fields: SmtpFields) -> str:
    address = checks.mailbox(fields.from_address, "account.smtp.fromAddress")
    name = checks.optional_text(fields.from_name, "account.smtp.fromName", most=100) or ""
    try:
        return str(Address(display_name=name, addr_spec=address))
    except (ValueError, IndexError):
        raise Invalid("account.smtp.fromName must be one line of plain text.", field="account.smtp.fromName") from None


def _host(value: str, field: str) -> str:
    host = checks.text(value, field, most=253).lower()
    try:
        understood = parse_url(f"https://{f'[{host}]' if ':' in host else host}").host
    except ValueError:
        understood = None
    if understood != host:
        raise Invalid(f"{field} must be the name of a public server, like smtp.example.com.", field=field)
    return host


def _port(value: int, field: str) -> int:
    if not 1 <= value <= 65_535:
        raise Invalid(f"{field} must be from 1 to 65535.", field=field)
    return value


def _base_url(value: str | None, field: str) -> dict[str, str]:
    """The URL of a simulator on this machine: in development alone."""
    if value is None:
        return {}
    if config().environment != "development":
        raise Invalid(f"{field} is for development; leave it out.", field=field)
    try:
        url = parse_url(value)
    except ValueError as error:
        raise Invalid(f"{field} {error}.", field=field) from None
    return {"base_url": str(url.origin())}


def _form(value: str, field: str, form: re.Pattern[str], said: str) -> str:
    if not form.fullmatch(value.strip()):
        raise Invalid(f"{field} must be {said}.", field=field)
    return value.strip()


def _known(old: Mapping[str, Any] | None, field: str) -> Mapping[str, Any]:
    if old is None:
        raise Invalid(f"Give {field}: there is no account yet that has one.", field=field)
    return old


def _pem(text: str, field: str, kind: type[Key]) -> Key:
    """A private key.

    Raises:
        Invalid: it is none, or of another kind.
    """
    try:
        key = load_pem_private_key(text[:PEM_MOST].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, kind) or (isinstance(key, EllipticCurvePrivateKey) and key.curve.name != "secp256r1"):
        named = "an RSA" if kind is RSAPrivateKey else "a P-256"
        raise Invalid(f"{field} must hold {named} private key in PEM, without a password.", field=field)
    return key


def _fingerprint(key: Key) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
