"""Web Push: the encryption of RFC 8291, by the example in its appendix, and what a subscription may be."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from hypothesis import given
from hypothesis import strategies as st

from channels.web_push import Subscription, parse_subscription, public_point, seal
from server.simulator.providers import sealed
from server.simulator.providers.credentials import Credentials, b64, raw

PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
AUTH, SALT = "BTBZMqHH6r4Tts7J_aSIgg", "DGv6ra1nlYgDCS1FRnbzlw"
CLOSED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)
BROWSER = Credentials(fcm="", apns="", browser=RECEIVER_PRIVATE, auth=AUTH)
TO = Subscription("https://push.example.net/push/x", raw(RECEIVER), raw(AUTH))


def test_the_example_of_the_standard() -> None:
    key = derive_private_key(int.from_bytes(raw(SENDER), "big"), SECP256R1())
    assert public_point(BROWSER.browser_key()) == TO.public_key
    assert b64(seal(PLAIN, TO, key, raw(SALT))) == CLOSED
    assert sealed.opened(raw(CLOSED), BROWSER) == PLAIN


@given(st.binary(max_size=4_000))
def test_a_browser_opens_what_was_closed_for_it(plain: bytes) -> None:
    closed = seal(plain, TO)
    assert sealed.opened(closed, BROWSER) == plain
    assert len(closed) == len(plain) + 103


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"endpoint": "https://x.example"}', "\ud800"])
def test_what_is_no_subscription(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are orjson's
        parse_subscription(text)


def test_what_is_no_key() -> None:
    found = parse_subscription(json.dumps({"endpoint": "https://x.example", "keys": {"p256dh": "AAAA", "auth": AUTH}}))
    with pytest.raises(ValueError, match="point"):
        seal(PLAIN, found)
