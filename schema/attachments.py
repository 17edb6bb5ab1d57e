"""Attachments."""

import strawberry

from domain.attachments import links
from models.attachments import Attachment as AttachmentRow
from models.attachments import AttachmentKind
from schema.views import described, plain, view

described(
    AttachmentKind,
    "How a file is shown.",
    IMAGE="A picture.",
    VIDEO="A film.",
    AUDIO="A sound.",
    DOCUMENT="Anything else: it is offered for saving.",
)


@view(AttachmentRow, description="A file that belongs to a message, or soon will. Upload it by POST /attachments.")
class Attachment:
    """A file."""

    id: strawberry.ID = plain("UUID.")
    kind: AttachmentKind = plain("How it is shown.")
    content_type: str = plain("Its media type, as the file itself proves it.")
    file_name: str = plain("What it is called, without a path.")
    size: int = plain("In bytes.")
    width: int | None = plain("Of an image, in pixels, when it tells.")
    height: int | None = plain("Of an image, in pixels, when it tells.")

    @strawberry.field(
        description="Where it can be loaded for the next one to two hours, by everybody who has this address. It stays"
        " the same for an hour; ask again when it has ended."
    )
    def url(row: strawberry.Parent[AttachmentRow]) -> str:
        """Sealed."""
        return links.url(row)
