"""Attachments."""

from typing import Annotated

import strawberry

from core.database import transaction
from core.ids import parse_id
from domain.attachments import queries
from domain.permissions import Permission
from models.attachments import Attachment as AttachmentRow
from schema.attachments import Attachment
from schema.context import Info
from schema.permissions import requires


@strawberry.type
class Query:
    """Read attachments."""

    @strawberry.field(
        description="One attachment, e.g. for an address that has not ended. A device finds those it has uploaded.",
        graphql_type=Attachment | None,
        extensions=requires(Permission.UPLOAD_ATTACHMENTS),
    )
    async def attachment(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> AttachmentRow:
        """Look one up."""
        async with transaction() as session:
            return await queries.get(session, info.context.asker(), parse_id(id))
