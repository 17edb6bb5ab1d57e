"""API keys: by which programs of a team sign in."""

from datetime import datetime

import strawberry

from domain.api_keys import standing
from domain.api_keys.control import OVERLAP_HOURS
from domain.api_keys.standing import ApiKeyStatus
from domain.permissions import Permission
from models.api_keys import ApiKey as ApiKeyRow
from models.api_keys import ApiKeyMode
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.context import Info
from schema.mutations import Payload
from schema.views import described, plain, view

described(
    ApiKeyMode,
    "What a key is for. Both may do the same: the mode stands in the key itself, to tell environments apart.",
    LIVE="For production; the key begins with `rk_live_`.",
    TEST="For trying things out, on a machine of a developer or in CI; the key begins with `rk_test_`.",
)
described(
    ApiKeyStatus,
    "Whether a key works, and whether it will go on working.",
    ACTIVE="It works.",
    EXPIRING="It works, and ends within 7 days: another took its place, or it was made to expire.",
    EXPIRED="It has ended.",
    REVOKED="Somebody ended it.",
)


@view(ApiKeyRow, description="A key by which a program signs in. The key itself is shown once, when it is made.")
class ApiKey:
    """A key of a program."""

    id: strawberry.ID = plain("UUID.")
    name: str = plain("As the team calls it.")
    mode: ApiKeyMode = plain("What it is for.")
    prefix: str = plain("How the key begins, to know it by, e.g. `rk_live_4mZQ81kd`.")
    created_at: datetime = plain("When it was created.")
    expires_at: datetime | None = plain("When it ends by itself; null when it does not.")
    revoked_at: datetime | None = plain("When somebody ended it.")
    last_used_at: datetime | None = plain("When it was last used, to the minute; null when it never was.")
    replaced_by_id: strawberry.ID | None = plain("The key that took its place by regenerateApiKey.")

    @strawberry.field(description="Where it stands now.")
    def status(row: strawberry.Parent[ApiKeyRow]) -> ApiKeyStatus:
        """By the clock."""
        return standing.status(row)

    @strawberry.field(description="What it may do.")
    def scopes(row: strawberry.Parent[ApiKeyRow]) -> list[Permission]:
        """The permissions."""
        return standing.scopes_of(row)

    @strawberry.field(
        description="Who created it, or took it over; null when they are gone.", graphql_type=AdminUser | None
    )
    async def created_by(row: strawberry.Parent[ApiKeyRow], info: Info) -> AdminUserRow | None:
        """The person."""
        return await info.context.loaders.user.load(row.created_by_id) if row.created_by_id else None


@strawberry.input(description="A new API key.")
class CreateApiKeyInput:
    """A new key."""

    name: str = plain("As the team calls it, 1 to 100 characters.")
    scopes: list[Permission] = plain(
        "What it may do: one permission at least, of those that you have, without OWN_ACCOUNT, OWN_MEMBERSHIP, "
        "MANAGE_TEAM, MANAGE_API_KEYS and RECEIVE_MESSAGES."
    )
    mode: ApiKeyMode = strawberry.field(default=ApiKeyMode.LIVE, description="What it is for.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends by itself, an instant in the future; never when left out."
    )


@strawberry.input(description="Changes of a live API key. What is left out stays.")
class UpdateApiKeyInput:
    """Changes of a key."""

    id: strawberry.ID = plain("The key.")
    name: str | None = strawberry.field(default=None, description="As the team calls it, 1 to 100 characters.")
    scopes: list[Permission] | None = strawberry.field(
        default=None, description="What it may do from now on, as in createApiKey. Its open websockets close."
    )


@strawberry.input(description="Which API key to replace.")
class RegenerateApiKeyInput:
    """A key."""

    id: strawberry.ID = plain("The key.")
    overlap_hours: int = strawberry.field(
        default=OVERLAP_HOURS, description="How many hours the old key goes on working: 0 to 168."
    )


@strawberry.input(description="Which API key to end.")
class RevokeApiKeyInput:
    """A key."""

    id: strawberry.ID = plain("The key.")


@strawberry.type(description="The API key that was changed.")
class ApiKeyPayload(Payload):
    """A key."""

    api_key: ApiKey | None = plain("The key.")


@strawberry.type(description="The new API key.")
class NewApiKeyPayload(Payload):
    """A key and its text."""

    api_key: ApiKey | None = plain("The key.")
    secret: str | None = plain("The key itself, shown this once. Send it as `Authorization: Bearer <key>`.")
