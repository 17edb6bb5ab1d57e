"""The settings of the app."""

from collections.abc import AsyncGenerator, Sequence

import strawberry

from core.database import transaction
from domain.permissions import Permission
from domain.settings import changing, standing
from domain.streams.moments import Moment
from models.apps import App as AppRow
from resolvers.live import events
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires
from schema.settings import AppSettings, AppSettingsPayload, SettingsChanged, UpdateAppSettingsInput
from schema.streams import After, subscription


@strawberry.type
class Query:
    """Read the settings."""

    @strawberry.field(
        description="The settings of the app.",
        graphql_type=AppSettings | None,
        extensions=requires(Permission.VIEW_SETTINGS),
    )
    async def app_settings(self, info: Info) -> AppRow:
        """Of the asker's app."""
        async with transaction() as session:
            return await standing.get(session, info.context.asker().app_id)


@strawberry.type
class Mutation:
    """Change the settings."""

    @mutation(
        Permission.MANAGE_SETTINGS,
        AppSettingsPayload,
        "Change settings of the app. A feature that is switched holds from the next request on.",
    )
    async def update_app_settings(self, info: Info, input: UpdateAppSettingsInput) -> AppRow:
        """Change."""
        async with transaction() as session:
            return await changing.update(session, info.context.asker(), input.given(), input.expected_version)


@strawberry.type
class Subscription:
    """Watch the settings."""

    @subscription(
        Permission.VIEW_SETTINGS,
        SettingsChanged,
        "The settings of the app, whenever they change: by updateAppSettings, updateSendingLimits, updateRateLimits,"
        " setAssignmentSettings or updateAppSecurity.",
        by_viewer=False,
    )
    async def settings_changed(self, info: Info, after: After = None) -> AsyncGenerator[Moment, None]:
        """Of the asker's app."""
        app_id = info.context.asker().app_id

        async def state() -> Sequence[AppRow]:
            async with transaction() as session:
                return [await standing.get(session, app_id)]

        return events(info, standing.stream(app_id), after, snapshot=state)
