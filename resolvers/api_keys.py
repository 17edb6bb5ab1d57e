"""API keys."""

from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.api_keys import control, standing
from domain.api_keys.control import ApiKeyFields, NewApiKey
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.api_keys import ApiKey as ApiKeyRow
from schema.api_keys import (
    ApiKey,
    ApiKeyPayload,
    CreateApiKeyInput,
    NewApiKeyPayload,
    RegenerateApiKeyInput,
    RevokeApiKeyInput,
    UpdateApiKeyInput,
)
from schema.context import Info
from schema.mutations import mutation
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires


@strawberry.type
class Query:
    """Read API keys."""

    @strawberry.field(
        description="An API key.", graphql_type=ApiKey | None, extensions=requires(Permission.MANAGE_API_KEYS)
    )
    async def api_key(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The key.")]
    ) -> ApiKeyRow:
        """One key."""
        async with transaction() as session:
            return await standing.get(session, info.context.asker().app_id, parse_id(id))

    @strawberry.field(
        description="The API keys of the app, newest first.",
        graphql_type=Connection[ApiKey] | None,
        extensions=requires(Permission.MANAGE_API_KEYS),
    )
    async def api_keys(
        self,
        info: Info,
        live: Annotated[
            bool | None,
            strawberry.argument(description="true: only those that work; false: only those expired or revoked."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[ApiKeyRow]:
        """A page of keys."""
        request = PageRequest(first, after, last, before)
        async with transaction() as session:
            return await standing.listed(session, info.context.asker().app_id, request, alive=live)


@strawberry.type
class Mutation:
    """Make and end API keys."""

    @mutation(Permission.MANAGE_API_KEYS, NewApiKeyPayload, "Create an API key, for a program. An app has 50 at most.")
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> NewApiKey:
        """Create."""
        fields = ApiKeyFields(name=input.name, mode=input.mode, scopes=input.scopes, expires_at=input.expires_at)
        async with transaction() as session:
            return await control.create(session, info.context.asker(), fields)

    @mutation(Permission.MANAGE_API_KEYS, ApiKeyPayload, "Change the name or the scopes of a live API key.")
    async def update_api_key(self, info: Info, input: UpdateApiKeyInput) -> ApiKeyRow:
        """Change."""
        async with transaction() as session:
            return await control.update(
                session, info.context.asker(), parse_id(input.id), name=input.name, scopes=input.scopes
            )

    @mutation(
        Permission.MANAGE_API_KEYS,
        NewApiKeyPayload,
        "Replace an API key by a new one, alike but for its text; both work for a while. One that expires lives as "
        "long again.",
    )
    async def regenerate_api_key(self, info: Info, input: RegenerateApiKeyInput) -> NewApiKey:
        """Replace."""
        async with transaction() as session:
            return await control.regenerate(session, info.context.asker(), parse_id(input.id), input.overlap_hours)

    @mutation(Permission.MANAGE_API_KEYS, ApiKeyPayload, "End an API key at once; its websockets close.")
    async def revoke_api_key(self, info: Info, input: RevokeApiKeyInput) -> ApiKeyRow:
        """End."""
        async with transaction() as session:
            return await control.revoke(session, info.context.asker(), parse_id(input.id))
