"""Go on by one of two branches."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.errors import Invalid
from domain.segments.conditions import ANY_EVENT, Field, parse, parse_property
from domain.segments.conditions import Condition as Tree
from domain.workflows.configs import Config, Reader, Shape, said
from domain.workflows.nodes.kind import NodeKind, Outcome, Scene
from domain.workflows.readers import CONDITION, text

TRUE, FALSE = "true", "false"
EVENT_COUNT = "event_count"
CONTEXT = ("event.", "message.", "steps.")


@dataclass(frozen=True)
class OfRun:
    """A comparison of what has come up in the run: `event.properties.plan`, `steps.node_1.output.status`."""

    comparison: Field


Asked = Tree | OfRun


def _anything(value: object, _at: str) -> object:
    return value


@dataclass(frozen=True)
class Condition(Config):
    """What is asked: one comparison, or a tree."""

    field: str | None = said(
        "A field of the contact, such as plan, last_active or attributes.<key>; event_count; or what has come up:"
        " event.properties.<key>, steps.<node>.output.<name>.",
        text(1_000),
        None,
    )
    operator: str | None = said("How it is compared: eq, gt, contains, … as in segments.", text(), None)
    value: Any = said(
        "What it is compared with; instants may be relative, like `now() - 7d`.", Reader(Shape.JSON, _anything), None
    )
    event_name: str | None = said(
        "For event_count: which events count; all, when left out.", text(), None, name="countedEventName"
    )
    conditions: Tree | None = said("Instead of a field: a condition on the contact, as in segments.", CONDITION, None)

    def refuse(self, at: str) -> None:
        """Refuse what cannot be asked."""
        self.asked(at)

    def asked(self, at: str = "config") -> Asked:
        """What is asked; `at` is where the config stands.

        Raises:
            Invalid: nothing, two things, or what cannot be asked.
        """
        if (self.field is None) == (self.conditions is None):
            raise Invalid(f"{at} must have either field or conditions.", field=at)
        if self.event_name is not None and self.field != EVENT_COUNT:
            raise Invalid(f"{at}.event_name is for the field {EVENT_COUNT} only.", field=f"{at}.event_name")
        if self.conditions is not None:
            return self.conditions
        if self.field == EVENT_COUNT:
            return self._count(at)
        if self._is_of_run():
            return OfRun(parse_property(self._comparison(), at))
        return parse(self._comparison(), at)

    def _comparison(self) -> dict[str, Any]:
        return {"field": self.field, "operator": self.operator, "value": self.value}

    def _count(self, at: str) -> Tree:
        name = self.event_name or ANY_EVENT
        return parse({"event": {"name": name, "operator": self.operator, "count": self.value}}, at)

    def _is_of_run(self) -> bool:
        return self.field is not None and self.field.startswith(CONTEXT)

    def variables(self) -> Iterable[tuple[str, str]]:
        """What of the run is compared."""
        return [("field", self.field)] if self.field is not None and self._is_of_run() else []


def _branches(_config: Condition) -> tuple[str, ...]:
    return (TRUE, FALSE)


async def _tried(config: Condition, scene: Scene) -> Outcome:
    asked = config.asked()
    holds = scene.compares(asked.comparison) if isinstance(asked, OfRun) else await scene.holds(asked)
    if holds is None:
        return Outcome(scene.at, "What it asks of is not known before a real run; it is taken not to hold.", FALSE)
    reason = "It holds." if holds else "It does not hold."
    return Outcome(scene.at, reason, TRUE if holds else FALSE, {"result": holds})


KIND = NodeKind(
    "condition",
    Condition,
    "Goes on by the branch `true` or the branch `false`.",
    branches=_branches,
    plain=False,
    outputs=("result",),
    tried=_tried,
)
