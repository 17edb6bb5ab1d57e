"""Secrets at rest: what is closed opens with its key at its place, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import encryption
from core.config import config
from core.encryption import decrypt, encrypt, new_key, newest_key, parse_keys
from core.errors import ErrorCode, Unavailable

OLD, NEW = f"old:{'A' * 43}=", f"new:{'B' * 42}A="


@contextmanager
def ring(*keys: str) -> Iterator[None]:
    """This process with these keys, the newest first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLYHQ_ENCRYPTION_KEYS", ",".join(keys))
        config.cache_clear()
        yield
    config.cache_clear()


def refusal(closed: str, place: str) -> str:
    with pytest.raises(Unavailable) as refused:
        decrypt(closed, place)
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert refused.value.message == encryption.Misconfigured("").message, "clients see neither names nor ids"
    return str(refused.value)


@given(text=st.text(), place=st.text())
def test_what_is_closed_opens_at_its_place(text: str, place: str) -> None:
    closed = encrypt(text, place)
    assert closed.startswith("test:")
    assert decrypt(closed, place) == text


@given(text=st.text(), data=st.data())
def test_any_changed_character_is_refused(text: str, data: st.DataObject) -> None:
    closed = encrypt(text, "here")
    at = data.draw(st.integers(0, len(closed) - 1))
    other = data.draw(st.characters().filter(lambda one: one != closed[at]))
    refusal(closed[:at] + other + closed[at + 1 :], "here")


@given(text=st.text(), data=st.data())
def test_what_is_cut_is_refused(text: str, data: st.DataObject) -> None:
    closed = encrypt(text, "here")
    refusal(closed[: data.draw(st.integers(0, len(closed) - 1))], "here")


def test_the_same_text_is_never_closed_the_same() -> None:
    assert encrypt("text", "here") != encrypt("text", "here")


def test_moved_elsewhere_it_does_not_open() -> None:
    closed = encrypt("text", "two_factors.secret:1")
    said = refusal(closed, "two_factors.secret:2")
    assert said == "A secret does not open: it is not what was kept at two_factors.secret:2."


def test_the_newest_key_closes_and_all_open() -> None:
    with ring(OLD):
        closed = encrypt("text", "here")
    with ring(NEW, OLD):
        assert newest_key() == "new"
        assert decrypt(closed, "here") == "text"
        assert encrypt("text", "here").startswith("new:")


def test_a_key_that_is_missing_is_named() -> None:
    with ring(OLD):
        closed = encrypt("text", "here")
    with ring(NEW):
        said = refusal(closed, "here")
    assert said == "A secret needs the encryption key `old`; add it to REPLYHQ_ENCRYPTION_KEYS."


def test_another_key_of_the_same_id_does_not_open() -> None:
    with ring(OLD):
        closed = encrypt("text", "here")
    with ring(f"old:{new_key()}"):
        assert refusal(closed, "here").startswith("A secret does not open")


@pytest.mark.parametrize(
    "text", ["", " , ", "id", "id:", ":", f"{OLD},{OLD}", OLD.replace("old", "a-b"), "id:c2hvcnQ=", "id:ö"]
)
def test_keys_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="REPLYHQ_ENCRYPTION_KEYS must be"):
        parse_keys(text)
    with ring(text), pytest.raises(Unavailable) as refused:
        encrypt("text", "here")
    assert str(refused.value) == encryption.HOW


def test_a_new_key_is_32_bytes() -> None:
    assert len(parse_keys(f"{OLD},{NEW}")["new"]) == 32
