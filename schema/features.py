"""The feature flag of a field, declared where the field is declared."""

from typing import Any

from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.field import StrawberryField

from domain.features import Feature, FeatureState, refuse
from schema.views import described, plain, view

described(
    Feature,
    "What an app can switch on and off.",
    WORKFLOW_BUILDER="Drawing, publishing and activating workflows. Those that run go on.",
    BULK_IMPORT="Importing contacts from files.",
    TWO_FACTOR_AUTH="Setting up and requiring a second factor. Who has one signs in with it all the same.",
    ZAPIER_WEBHOOKS="Making and changing outgoing webhooks.",
    AGENT_METRICS="For front ends: numbers of the people of the team.",
    AI_SUGGESTIONS="For front ends: proposals for answers. The server has none as yet, so it is off at first.",
    DARK_MODE="For front ends: dark colours.",
)


@view(FeatureState, description="How a feature stands in the app.")
class AppFeature:
    """A flag."""

    feature: Feature = plain("Which.")
    is_enabled: bool = plain("Whether it is on.")
    is_default: bool = plain("Whether the app has not said.")
    is_enforced: bool = plain("Whether mutations that belong to it answer FEATURE_DISABLED while it is off.")


class Needs(FieldExtension):
    """Lets a mutation run only where a feature is on. Known by the proof of who asks, so it costs no statement."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature

    def apply(self, field: StrawberryField) -> None:
        """Write the feature into the field's description, so that the docs tell it."""
        field.description = f"{field.description or ''} Feature: {self.feature.value}.".strip()

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Any, **kwargs: Any) -> Any:
        """Check, then run the resolver.

        Raises:
            FeatureDisabled: it is off in the asker's app.
        """
        refuse(info.context.asker().switched_off, self.feature)
        return await next_(source, info, **kwargs)
