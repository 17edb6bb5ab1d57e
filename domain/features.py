"""Feature flags. An app says by them what it wants; those that name a feature of the server switch it off for real."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import FeatureDisabled


class Feature(StrEnum):
    """What an app can switch on and off."""

    WORKFLOW_BUILDER = "WORKFLOW_BUILDER"
    BULK_IMPORT = "BULK_IMPORT"
    TWO_FACTOR_AUTH = "TWO_FACTOR_AUTH"
    ZAPIER_WEBHOOKS = "ZAPIER_WEBHOOKS"
    AGENT_METRICS = "AGENT_METRICS"
    AI_SUGGESTIONS = "AI_SUGGESTIONS"
    DARK_MODE = "DARK_MODE"


ENFORCED = frozenset({Feature.WORKFLOW_BUILDER, Feature.BULK_IMPORT, Feature.TWO_FACTOR_AUTH, Feature.ZAPIER_WEBHOOKS})
"""What the server refuses while it is off. The others are for front ends, which are told."""
OFF_AT_FIRST = frozenset({Feature.AI_SUGGESTIONS})
"""What an app has to switch on: the server has nothing to it as yet."""


@dataclass(frozen=True, slots=True)
class FeatureState:
    """How a feature stands in an app.

    Attributes:
        is_default: whether the app has not said.
    """

    feature: Feature
    is_enabled: bool
    is_default: bool

    @property
    def is_enforced(self) -> bool:
        """Whether the server refuses what belongs to it while it is off."""
        return self.feature in ENFORCED


def states(own: Mapping[str, Any]) -> list[FeatureState]:
    """How all features stand, by what the app itself has said: `App.features`."""
    return [FeatureState(one, _is_enabled(own, one), is_default=one.value not in own) for one in Feature]


def switched_off(own: Mapping[str, Any]) -> frozenset[Feature]:
    """The features that are off."""
    return frozenset(one for one in Feature if not _is_enabled(own, one))


def _is_enabled(own: Mapping[str, Any], feature: Feature) -> bool:
    return bool(own.get(feature.value, feature not in OFF_AT_FIRST))


def refuse(off: Container[Feature], feature: Feature) -> None:
    """Refuse what belongs to a feature that is off.

    Raises:
        FeatureDisabled: it is among `off`.
    """
    if feature in off:
        way_out = "An owner switches it on with updateAppSettings."
        raise FeatureDisabled(f"The feature {feature.value} is switched off in this app. {way_out}")
