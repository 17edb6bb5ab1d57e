"""What passes for a token of ours, and what does not."""

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine

from core import security
from core.clock import now
from core.config import config
from core.errors import Unauthenticated

RSA_PUBLIC = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----"
AUDIENCES = {"team": ["sid"], "device": ["app"]}
OTHER_KEY = "another-secret-that-is-long-enough-to-sign-with"


def key() -> str:
    return config().secret_key.get_secret_value()


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a good token, except for what is changed; None leaves one out."""
    at = int(now().timestamp())
    good = {"iss": "replyhq", "aud": "team", "sub": "u", "sid": "s", "iat": at, "exp": at + 60, "jti": "j"}
    return {name: value for name, value in (good | changed).items() if value is not None}


def kid() -> str:
    return security.key_id(key())


def signed(body: dict[str, Any], *, by: str | None = None, **header: Any) -> str:
    named = {name: value for name, value in ({"kid": kid()} | header).items() if name == "typ" or value is not None}
    return jwt.encode(body, by or key(), algorithm="HS256", headers=named)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': kid()})}.{part(claims())}."


def by_hand(algorithm: str, by: str, digest: str) -> str:
    """A token whose signature no library checked the key of."""
    text = f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': kid()})}.{part(claims())}"
    signature = hmac.new(by.encode(), text.encode(), digest).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def later(**time: int) -> int:
    return int((now() + timedelta(**time)).timestamp())


FORGED = {
    "nothing": lambda: "",
    "no token": lambda: "abc",
    "two parts": lambda: ".".join(signed(claims()).split(".")[:2]),
    "not signed": lambda: unsigned("none"),
    "not signed, in capitals": lambda: unsigned("NONE"),
    "signature cut": lambda: signed(claims())[:-4],
    "claims changed after signing": lambda: ".".join(
        [signed(claims()).split(".")[0], part(claims(sub="v")), signed(claims()).split(".")[2]]
    ),
    "another key": lambda: signed(claims(), by=OTHER_KEY),
    "no key": lambda: by_hand("HS256", "", "sha256"),
    "a longer hash": lambda: by_hand("HS512", key(), "sha512"),
    "a public key as the shared one": lambda: by_hand("HS256", RSA_PUBLIC, "sha256"),
    "said to be RSA, signed with the shared key": lambda: by_hand("RS256", key(), "sha256"),
    "another type": lambda: signed(claims(), typ="at+jwt"),
    "no type": lambda: signed(claims(), typ=None),
    "no key id": lambda: signed(claims(), kid=None),
    "a key id that is none of ours": lambda: signed(claims(), kid="../../dev/null"),
    "the key id of another key": lambda: signed(claims(), by=OTHER_KEY, kid=security.key_id(OTHER_KEY)),
    "a critical extension": lambda: signed(claims(), crit=["exp"]),
    "a place to fetch the key": lambda: signed(claims(), jku="https://evil.example/keys"),
    "a key of its own": lambda: signed(
        claims(), by=OTHER_KEY, jwk={"kty": "oct", "k": base64.urlsafe_b64encode(OTHER_KEY.encode()).decode()}
    ),
    "a certificate": lambda: signed(claims(), x5u="https://evil.example/cert"),
    "another issuer": lambda: signed(claims(iss="evil")),
    "another audience": lambda: signed(claims(aud="challenge")),
    "several audiences": lambda: signed(claims(aud=["team", "device"])),
    "a list of one audience": lambda: signed(claims(aud=["team"])),
    "expired": lambda: signed(claims(exp=later(seconds=-11))),
    "not yet good": lambda: signed(claims(nbf=later(seconds=60))),
    "issued in the future": lambda: signed(claims(iat=later(seconds=60))),
    "an expiry that is no number": lambda: signed(claims(exp="soon")),
    "a subject that is no text": lambda: signed(claims(sub=7)),
    "a session that is no text": lambda: signed(claims(sid=["s"])),
    "a token of a device for a person": lambda: signed(claims(aud="team", sid=None, app="a")),
    "a token of a person for a device": lambda: signed(claims(aud="device")),
    **{
        f"without {name}": lambda name=name: signed(claims(**{name: None}))
        for name in ("iss", "aud", "sub", "sid", "iat", "exp", "jti")
    },
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(forge: Any) -> None:
    with pytest.raises(Unauthenticated):
        security.read(forge(), AUDIENCES)


def test_what_the_table_changes_was_good() -> None:
    assert security.read(signed(claims()), AUDIENCES)["sub"] == "u"
    assert security.read(by_hand("HS256", key(), "sha256"), AUDIENCES)["sub"] == "u"


def test_what_we_sign_we_read_for_its_audience_alone() -> None:
    token = security.sign("challenge", {"sub": "u", "password": "p"}, timedelta(minutes=5))
    assert security.read(token, {"challenge": ["password"]})["sub"] == "u"
    with pytest.raises(Unauthenticated):
        security.read(token, AUDIENCES)


@pytest.mark.parametrize(("age", "good"), [(69, True), (71, False)])
def test_a_token_is_good_for_ten_seconds_more_as_clocks_differ(age: int, good: bool) -> None:
    token = security.sign("team", {"sub": "u", "sid": "s"}, timedelta(seconds=60))
    with time_machine.travel(now() + timedelta(seconds=age), tick=False):
        if good:
            assert security.read(token, AUDIENCES)["sid"] == "s"
        else:
            with pytest.raises(Unauthenticated):
                security.read(token, AUDIENCES)
