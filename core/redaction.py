"""What keeps secrets and message bodies out of the logs, should somebody log one by mistake.

The first rule stays: log ids, counts and codes. This is the net below it: names that are never shown, patterns that
are cut out of every text, and exceptions without their messages, in which values of all kinds turn up.
"""

import os
import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from structlog.typing import EventDict

from core.tenancy import MissingRights

HIDDEN = "[hidden]"
# A key of which one of these is a part, as in `refresh_token`.
SECRET_WORDS = frozenset(
    {"password", "token", "secret", "credentials", "authorization", "cookie", "key", "keys", "code", "codes", "otp"}
    | {"body", "title", "data", "text", "content", "payload", "variables", "query", "headers", "params", "arguments"}
    | {"email", "emails", "phone", "phones", "name", "attributes"}
)
PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), shown)
    for pattern, shown in (
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]*", HIDDEN),
        (r"\brk_(live|test)_\w+", HIDDEN),
        (r"\bwhsec_[\w+/=-]+", HIDDEN),
        (r"\b(bearer|basic)\s+[^\s\"']+", rf"\1 {HIDDEN}"),
        (r"://[^/\s@]*@", f"://{HIDDEN}@"),
        (r"[\w.%+-]+@[\w-]+(\.[\w-]+)+", HIDDEN),
        (r"\+\d[\d ()/.-]{5,}\d", HIDDEN),
        # the query of an address, and what PostgreSQL and asyncio say of values and of failed tasks
        (r"(?<=[\w/])\?[^\s\"']+", f"?{HIDDEN}"),
        (r"\bDETAIL: .*", f"DETAIL: {HIDDEN}"),
        (r"\bexception=(\w+)\(.*\)", rf"exception=\1({HIDDEN})"),
    )
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FACTS = ("sqlstate", "constraint_name", "table_name", "column_name")
# Their messages name code, types or rights and no values.
_SPOKEN = (AttributeError, TypeError, NameError, ImportError, MissingRights)
CAUSES = 10


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A processor of structlog: hide what must not be seen. A text stays one line, whatever it holds."""
    return {name: value if name == "exception" else _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if not SECRET_WORDS.isdisjoint(name.lower().split("_")):
        return HIDDEN
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def clean(text: str) -> str:
    """`text` without what looks like a secret or a person's address, and with control characters written out."""
    for pattern, shown in PATTERNS:
        text = pattern.sub(shown, text)
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def traced(exc_info: Any) -> str:
    """Where an exception and its causes were raised and of which kind they are, without messages and local values."""
    return "\n".join(line for error in _chain(exc_info[1]) for line in _told(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The first cause last, ten at most; the members of a group after the group."""
    for _ in range(CAUSES):
        if error is None:
            return
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _chain(member)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told(error: BaseException) -> Iterator[str]:
    kind = type(error)
    yield f"{kind.__module__}.{kind.__qualname__}{_facts(error)}"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'


def _facts(error: BaseException) -> str:
    """What may be told of an exception besides its kind."""
    if isinstance(error, OSError) and error.errno:
        return f": [Errno {error.errno}] {os.strerror(error.errno)}"
    if isinstance(error, _SPOKEN):
        return f": {clean(str(error))}"
    facts = [f"{name} {value}" for name in _FACTS if (value := getattr(error, name, None))]
    return f": {', '.join(facts)}" if facts else ""
