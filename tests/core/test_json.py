"""What JSON may be stored: whatever goes out as it came in."""

from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import JSONB

from core.database import transaction
from core.errors import Invalid
from core.json import DEEPEST, encode
from domain import checks

NUMBERS = st.integers(-(2**70), 2**70) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def nested(levels: int) -> Any:
    """An object of so many levels, with lists among them."""
    value: Any = 1
    for level in range(levels):
        value = {"a": value} if (levels - level) % 2 else [value]
    return value


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_accepted_goes_out_as_it_came_in(value: dict[str, Any]) -> None:
    try:
        accepted = checks.json_object(value, "data", most_bytes=1_000_000)
    except Invalid:
        assume(False)
    assert orjson.loads(encode(accepted)) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**24, "an integer of more than 64 bits"),
        (2**64, "an integer of more than 64 bits"),
        (-(2**63) - 1, "an integer of more than 64 bits"),
        (float("inf"), "a number that is too large"),
        (float("nan"), "a number that is too large"),
        ("\ud800", "text that is not Unicode"),
        (nested(DEEPEST), "deeper than 32 levels"),
        (nested(900), "deeper than 32 levels"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_would_not_come_back_is_refused(value: Any, reason: str) -> None:
    for data in ({"n": value}, {"n": [{"m": value}]}):
        with pytest.raises(Invalid, match=f"^data (holds|is nested) {reason}") as refused:
            checks.json_object(data, "data")
        assert refused.value.field == "data"


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1e24, 1.7e308, 5e-324, -0.0, 0.1, True, "é", [nested(30)]])
async def test_the_database_gives_back_what_it_got(value: Any) -> None:
    accepted = checks.json_object({"n": value}, "data")
    async with transaction() as session:
        stored = await session.scalar(sa.select(sa.literal(accepted, JSONB)))
    assert orjson.loads(encode(stored)) == {"n": value}


async def test_a_number_that_was_stored_before_it_was_refused_can_be_read() -> None:
    async with transaction() as session:
        stored = await session.scalar(sa.text(f"""SELECT '{{"n": 1{"0" * 24}}}'::jsonb""").columns(n=JSONB))
    assert orjson.loads(encode(stored)) == {"n": 1e24}
