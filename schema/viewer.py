"""The person who asks."""

from datetime import datetime

import strawberry

from domain.permissions import Permission
from domain.viewer import Viewer as ViewerRow
from models.apps import App as AppRow
from models.team import Membership as MembershipRow
from models.team import Role
from schema.auth import AdminUser, App
from schema.context import Info
from schema.mutations import Payload
from schema.views import plain, view


@view(MembershipRow, description="An app that the asker belongs to, and what they are there.")
class ViewerMembership:
    """A place in an app."""

    id: strawberry.ID = plain("UUID.")
    role: Role = plain("What they are in that app.")

    @strawberry.field(description="When they joined.")
    def joined_at(row: strawberry.Parent[MembershipRow]) -> datetime:
        """When the row was made."""
        return row.created_at

    @strawberry.field(description="The app.", graphql_type=App | None)
    async def app(row: strawberry.Parent[MembershipRow], info: Info) -> AppRow | None:
        """The tenant."""
        return await info.context.loaders.app.load(row.app_id)


@view(ViewerRow, description="The person who asks, as their session is now.")
class Viewer:
    """The asker."""

    user: AdminUser = plain("Who they are.")
    app: App = plain("The app they are signed in to.")
    role: Role = plain("What they are there.")
    permissions: list[Permission] = plain("What they may do there.")
    memberships: list[ViewerMembership] = plain(
        "The apps they belong to, the one they joined first comes first; see switchApp."
    )
    must_set_up_two_factor: bool = plain("Whether they must set up a second factor before they may do anything else.")


@strawberry.type(description="The person who was changed.")
class UpdateProfilePayload(Payload):
    """A person."""

    user: AdminUser | None = plain("The person.")


@strawberry.input(description="What to change of one's own profile.")
class UpdateProfileInput:
    """A profile."""

    name: str = plain("How you are called, in all your apps: 1 to 100 characters.")
