"""The audit log."""

from typing import Annotated

import strawberry

from core.database import transaction
from domain.audit import listing
from domain.pages import Page, PageRequest
from domain.permissions import Permission
from models.audit import AuditEntry as AuditEntryRow
from schema.audit import AuditEntry, AuditLogFilterInput
from schema.context import Info
from schema.pagination import After, Before, Connection, First, Last
from schema.permissions import requires

Wanted = Annotated[AuditLogFilterInput | None, strawberry.argument(description="Only those that match all of it.")]


@strawberry.type
class Query:
    """Read the audit log."""

    @strawberry.field(
        description="Who did what in the app, newest first. Entries are kept for 90 days, some up to a month longer.",
        graphql_type=Connection[AuditEntry] | None,
        extensions=requires(Permission.VIEW_AUDIT_LOG),
    )
    async def audit_log(
        self,
        info: Info,
        filter: Wanted = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Page[AuditEntryRow]:
        """A page of entries."""
        request, wanted = PageRequest(first, after, last, before), filter.filter() if filter else listing.EVERYTHING
        async with transaction() as session:
            return await listing.listed(session, info.context.asker().app_id, request, wanted)
