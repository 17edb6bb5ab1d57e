"""What can be wrong with a definition, and at which node."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import Invalid


class ProblemCode(StrEnum):
    """What is wrong. Stable, for programs."""

    MALFORMED = "MALFORMED"
    TOO_LARGE = "TOO_LARGE"
    TRIGGER_MISSING = "TRIGGER_MISSING"
    NODES_MISSING = "NODES_MISSING"
    KIND_UNKNOWN = "KIND_UNKNOWN"
    ID_TWICE = "ID_TWICE"
    EDGE_TWICE = "EDGE_TWICE"
    EDGE_DANGLING = "EDGE_DANGLING"
    BRANCH_MISSING = "BRANCH_MISSING"
    BRANCH_UNKNOWN = "BRANCH_UNKNOWN"
    EDGE_NOT_ALLOWED = "EDGE_NOT_ALLOWED"
    CYCLE = "CYCLE"
    ENTRY_SEVERAL = "ENTRY_SEVERAL"
    UNREACHABLE = "UNREACHABLE"
    CONFIG_MISSING = "CONFIG_MISSING"
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_UNKNOWN = "CONFIG_UNKNOWN"
    ADDRESS_BLOCKED = "ADDRESS_BLOCKED"
    VARIABLE_UNKNOWN = "VARIABLE_UNKNOWN"
    REFERENCE_MISSING = "REFERENCE_MISSING"


@dataclass(frozen=True)
class Problem:
    """Something wrong.

    Attributes:
        node_id: the node; None when it is the trigger, the goal, or the whole.
        field: dotted path inside the node, or inside the definition where there is no node.
        message: for people; says the way out.
    """

    code: ProblemCode
    message: str
    node_id: str | None = None
    field: str | None = None


class Refused(Invalid):
    """A value that breaks a rule which has a code of its own."""

    def __init__(self, problem: ProblemCode, message: str, *, field: str, node_id: str | None = None) -> None:
        super().__init__(message, field=field)
        self.problem = problem
        self.node_id = node_id


class Unpublishable(Invalid):
    """A definition with problems is neither published nor activated. `found` holds them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        place = f" at {first.node_id}" if first.node_id else ""
        super().__init__(f"The workflow has {len(problems)} problems; the first{place}: {first.message}")
        self.problems = problems
        self.found = {"problems": problems}


def of_error(error: Invalid, node_id: str | None = None) -> Problem:
    """The problem that an error tells of, where a value of a config was read."""
    code = error.problem if isinstance(error, Refused) else ProblemCode.CONFIG_INVALID
    return Problem(code, error.message, node_id, error.field)
