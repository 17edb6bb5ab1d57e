"""Push tokens as devices bring them: a text of the provider's, or what a browser's subscription writes."""

from base64 import urlsafe_b64decode
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from core.addresses import parse_url
from core.errors import Invalid
from domain import checks
from models.devices import Platform

MOST = 4_096
AUTH_BYTES = 16


def checked(platform: Platform, value: str | None, field: str) -> str | None:
    """A push token of a device; that of a browser is its subscription, as JSON.

    Raises:
        Invalid: it is too long, or a browser could not be reached by it.
    """
    token = checks.optional_text(value, field, most=MOST)
    if token is not None and platform is Platform.WEB:
        _refuse_unreachable(token, field)
    return token


def _refuse_unreachable(token: str, field: str) -> None:
    keys: dict[str, Any]
    try:
        found = orjson.loads(token)
        endpoint, keys = found["endpoint"], found["keys"]
        point, auth = _bytes(keys["p256dh"]), _bytes(keys["auth"])
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except (ValueError, TypeError, KeyError):
        raise Invalid(f"{field} of a browser must be JSON.stringify(subscription).", field=field) from None
    if len(auth) != AUTH_BYTES or not isinstance(endpoint, str):
        raise Invalid(f"{field} of a browser must be JSON.stringify(subscription).", field=field)
    try:
        parse_url(endpoint)
    except ValueError as error:
        raise Invalid(f"The endpoint in {field} {error}.", field=field) from None


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
