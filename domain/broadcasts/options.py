"""How a broadcast is sent: by which channels, how fast, when not, and in which variants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from core.errors import Invalid
from domain import checks, templates
from domain.broadcasts import ways
from domain.events import NAME_MOST as EVENT_NAME_MOST
from domain.workflow_signals import GOAL_HOURS_MOST
from models.broadcasts import QuietPolicy, WinnerMetric
from models.channels import ChannelKind

TITLE_MOST = 200
BODY_MOST = 10_000
SPEED_MOST = 100_000
VARIANTS_MOST = 8
WEIGHT_MOST = 1_000
NAME_MOST = 50
WAIT_MOST = 60 * 24 * 7
OPTIONS = (
    "channels",
    "speed",
    "quiet_policy",
    "ignores_cap",
    "variants",
    "test_share",
    "winner_metric",
    "winner_after_minutes",
)


@dataclass(frozen=True)
class Goal:
    """The event that counts as success when it comes within some hours after the broadcast was sent to the contact."""

    event_name: str
    within_hours: int


@dataclass(frozen=True)
class Variant:
    """One of the texts that are compared; `weight` is its share among all."""

    name: str
    title: str
    body: str
    weight: int


class Options(TypedDict, total=False):
    """How it is sent; a key that is absent is left as it is."""

    channels: Sequence[ChannelKind]
    speed: int | None
    quiet_policy: QuietPolicy
    ignores_cap: bool
    variants: Sequence[Variant]
    test_share: int
    winner_metric: WinnerMetric
    winner_after_minutes: int
    goal: Goal | None


def title(text: str, field: str) -> str:
    """A headline, whose variables there are.

    Raises:
        Invalid: it is empty, too long, or a placeholder of it is wrong.
    """
    return _said(text, field, TITLE_MOST)


def body(text: str, field: str) -> str:
    """A text, whose variables there are.

    Raises:
        Invalid: it is empty, too long, or a placeholder of it is wrong.
    """
    return _said(text, field, BODY_MOST)


def _said(text: str, field: str, most: int) -> str:
    cleaned = checks.text(text, field, most=most)
    templates.check(cleaned, field, channel_is_email=False)
    return cleaned


def clean_options(options: Options) -> dict[str, Any]:
    """The options as they are stored.

    Raises:
        Invalid: one breaks its rule.
    """
    cleaned: dict[str, Any] = {name: options[name] for name in OPTIONS if name in options}  # type: ignore[literal-required]
    if "channels" in cleaned:
        cleaned["channels"] = ways.clean(cleaned["channels"])
    if "variants" in cleaned:
        cleaned["variants"] = _variants(cleaned["variants"])
    if "goal" in options:
        cleaned |= _goal(options["goal"])
    _bounded(cleaned, "speed", "options.speed", 1, SPEED_MOST)
    _bounded(cleaned, "test_share", "options.testShare", 1, 100)
    _bounded(cleaned, "winner_after_minutes", "options.winnerAfterMinutes", 1, WAIT_MOST)
    return cleaned


def _goal(goal: Goal | None) -> dict[str, Any]:
    if goal is None:
        return {"goal_event_name": None, "goal_within_hours": None}
    named = checks.text(goal.event_name, "options.goal.eventName", most=EVENT_NAME_MOST)
    if not 1 <= goal.within_hours <= GOAL_HOURS_MOST:
        there = "options.goal.withinHours"
        raise Invalid(f"{there} must be from 1 to {GOAL_HOURS_MOST}.", field=there)
    return {"goal_event_name": named, "goal_within_hours": goal.within_hours}


def _bounded(cleaned: dict[str, Any], name: str, field: str, least: int, most: int) -> None:
    value = cleaned.get(name)
    if value is not None and not least <= value <= most:
        raise Invalid(f"{field} must be from {least} to {most}.", field=field)


def _variants(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    if len(variants) == 1 or len(variants) > VARIANTS_MOST:
        raise Invalid(f"Give 2 to {VARIANTS_MOST} variants, or none.", field="options.variants")
    cleaned = [_variant(variant, f"options.variants.{no}") for no, variant in enumerate(variants)]
    if len({variant["name"] for variant in cleaned}) < len(cleaned):
        raise Invalid("Each variant needs a name of its own.", field="options.variants")
    return cleaned


def _variant(variant: Variant, field: str) -> dict[str, Any]:
    if not 1 <= variant.weight <= WEIGHT_MOST:
        raise Invalid(f"{field}.weight must be from 1 to {WEIGHT_MOST}.", field=f"{field}.weight")
    return {
        "name": checks.text(variant.name, f"{field}.name", most=NAME_MOST),
        "title": title(variant.title, f"{field}.title"),
        "body": body(variant.body, f"{field}.body"),
        "weight": variant.weight,
    }
