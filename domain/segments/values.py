"""The values that fields are compared with: read by the kind of the field and the operator, and written back."""

import re
from datetime import datetime
from math import isfinite
from typing import Any

from core.errors import Invalid
from domain.segments import times
from domain.segments.fields import ORDERED, Kind, Operator, Spec
from domain.segments.times import Duration, Relative
from models.devices import Platform

TEXT_MOST = 1_000
LIST_MOST = 1_000
Scalar = str | int | float | bool
Value = Scalar | datetime | Relative | Duration | tuple[Scalar, ...]
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read(spec: Spec, operator: Operator, value: object, at: str) -> Value:
    """The value that `operator` compares a field with; `at` is where it stands.

    Raises:
        Invalid: it does not suit the field and the operator.
    """
    if operator is Operator.EXISTS:
        return _boolean(True if value is None else value, at)
    if value is None:
        raise Invalid(f"{at} is missing: {operator.value} needs something to compare with.", field=at)
    if operator is Operator.WITHIN_LAST:
        return times.duration(value, at)
    if operator in {Operator.IN, Operator.NOT_IN}:
        return _list(spec, value, at)
    if operator in ORDERED:
        return _ordered(spec, value, at)
    return text(value, at) if operator is Operator.STARTS_WITH else _single(spec, value, at)


def _boolean(value: object, at: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"{at} must be true or false.", field=at)
    return value


def _list(spec: Spec, value: object, at: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= LIST_MOST:
        raise Invalid(f"{at} must be a list of 1 to {LIST_MOST} values.", field=at)
    return tuple(_scalar(spec, one, f"{at}.{no}") for no, one in enumerate(value))


def _ordered(spec: Spec, value: object, at: str) -> Value:
    """Inside JSON, what is compared tells what is meant: numbers, or instants."""
    if spec.kind is Kind.JSON and is_number(value):
        return _number(value, at)
    return times.instant(value, at)


def _single(spec: Spec, value: object, at: str) -> Value:
    return times.instant(value, at) if spec.kind is Kind.INSTANT else _scalar(spec, value, at)


def _scalar(spec: Spec, value: object, at: str) -> Scalar:
    if spec.kind is Kind.JSON and is_number(value):
        return _number(value, at)
    if spec.kind is Kind.JSON and isinstance(value, bool):
        return value
    written = spec.normal(text(value, at))
    if spec.kind is Kind.PLATFORM and written not in set(Platform):
        raise Invalid(f"{at} must be one of {', '.join(Platform)}.", field=at)
    return written


def text(value: object, at: str, most: int = TEXT_MOST) -> str:
    """A text as it is, blanks and all.

    Raises:
        Invalid: it is none, too long, or holds what no text of the database does.
    """
    if not isinstance(value, str) or len(value) > most or _UNSTORABLE.search(value):
        raise Invalid(f"{at} must be plain text of at most {most} characters.", field=at)
    return value


def is_number(value: object) -> bool:
    """Whether it is a number to JSON, to which true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any, at: str) -> int | float:
    if not (isfinite(value) if isinstance(value, float) else -(2**63) <= value < 2**63):
        raise Invalid(f"{at} must be a number of at most 64 bits.", field=at)
    return int(value) if isinstance(value, int) else float(value)


def written(value: Value) -> Any:
    """The value as JSON holds it."""
    if isinstance(value, datetime | Relative):
        return times.written(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Duration) else value
