"""The person who asks: look, change one's name."""

import strawberry

from core.database import transaction
from domain import viewer
from domain.permissions import Permission
from domain.viewer import Viewer as ViewerRow
from models.team import AdminUser as AdminUserRow
from schema.context import Info
from schema.mutations import mutation
from schema.permissions import requires
from schema.viewer import UpdateProfileInput, UpdateProfilePayload, Viewer


@strawberry.type
class Query:
    """Look at oneself."""

    @strawberry.field(
        description="You: who you are, what you may do in this app, and which apps you belong to.",
        graphql_type=Viewer | None,
        extensions=requires(Permission.OWN_ACCOUNT),
    )
    async def viewer(self, info: Info) -> ViewerRow:
        """The asker."""
        async with transaction(across_apps=True) as session:
            return await viewer.look(session, info.context.asker())


@strawberry.type
class Mutation:
    """Change oneself."""

    @mutation(Permission.OWN_MEMBERSHIP, UpdateProfilePayload, "Change how you are called.")
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> AdminUserRow:
        """Change the asker's name."""
        async with transaction(across_apps=True) as session:
            return await viewer.update(session, info.context.asker(), name=input.name)
