"""The audit log."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from core.ids import parse_id
from domain.audit.listing import Filter
from models.audit import AuditEntry as AuditEntryRow
from models.team import AdminUser as AdminUserRow
from schema.auth import AdminUser
from schema.context import Info
from schema.views import plain, view

PERSON = "user:"


@view(AuditEntryRow, description="Something that somebody did. An entry is never changed.")
class AuditEntry:
    """An entry of the audit log."""

    id: strawberry.ID = plain("UUID.")
    action: str = plain("What was done: noun, dot, past tense, e.g. broadcast.updated.")
    actor: str = plain("By whom: user:<id>, key:<id>, device:<id>, contact:<id>, workflow:<id>, system, or nobody.")
    entity: str = plain("What kind of thing it was done to, e.g. Broadcast.")
    entity_id: strawberry.ID | None = plain("Which one; null when it was many, or none that there is.")
    before: JSON | None = plain("What changed, as it was: secrets and personal data masked, long texts cut.")
    after: JSON | None = plain("What changed, as it is since.")
    ip: str | None = plain("The address it was done from, when that is known.")
    session_id: strawberry.ID | None = plain("The session it was done in, when a person did it.")
    request_id: str | None = plain("The X-Request-Id of the answer, which the server's logs carry too.")
    created_at: datetime = plain("When it was done.")

    @strawberry.field(
        description="The person who did it; null when it was none, or their account is gone.",
        graphql_type=AdminUser | None,
    )
    async def user(row: strawberry.Parent[AuditEntryRow], info: Info) -> AdminUserRow | None:
        """The person."""
        if not row.actor.startswith(PERSON):
            return None
        return await info.context.loaders.user.load(UUID(row.actor.removeprefix(PERSON)))


@strawberry.input(description="Which entries are wanted. What is left out does not matter.")
class AuditLogFilterInput:
    """Which entries are wanted."""

    actions: list[str] | None = strawberry.field(default=None, description="Any of these, 50 at most.")
    actor_id: strawberry.ID | None = strawberry.field(
        default=None, description="By this person, API key, device or contact."
    )
    entity: str | None = strawberry.field(default=None, description="About this kind of thing, e.g. Broadcast.")
    entity_id: strawberry.ID | None = strawberry.field(default=None, description="About this thing.")
    ip: str | None = strawberry.field(default=None, description="From this address.")
    since: datetime | None = strawberry.field(default=None, description="Done at this instant or later.")
    until: datetime | None = strawberry.field(default=None, description="Done before this instant.")

    def filter(self) -> Filter:
        """As the rules take it.

        Raises:
            Invalid: an id is none.
        """
        return Filter(
            actions=self.actions,
            actor_id=parse_id(self.actor_id, "filter.actorId") if self.actor_id else None,
            entity=self.entity,
            entity_id=parse_id(self.entity_id, "filter.entityId") if self.entity_id else None,
            ip=self.ip,
            since=self.since,
            until=self.until,
        )
