"""Answers of the server before GraphQL has a say. They look like GraphQL's: `{"errors": [{message, extensions}]}`."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

JSON = "application/json"
INTERNAL = "INTERNAL_SERVER_ERROR"
BAD_INPUT = "BAD_USER_INPUT"


class Refused(Exception):
    """The request ends here with an HTTP status of 4xx or 5xx.

    Attributes:
        status: HTTP status.
        message: for people; says the way out.
        code: `extensions.code`, for programs.
        headers: what the status asks for, e.g. Allow with 405.
        told: what a program may read beside the code.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = BAD_INPUT,
        headers: Mapping[str, str] | None = None,
        told: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.told = dict(told or {})

    def response(self, media_type: str = JSON) -> Response:
        """The answer, in the media type that was agreed on."""
        error = {"message": self.message, "extensions": self.told | {"code": self.code}}
        return Response(
            orjson.dumps({"errors": [error]}),
            self.status,
            self.headers,
            media_type=f"{media_type}; charset=utf-8",
        )


def internal(correlation_id: str) -> Refused:
    """What is said about a bug: nothing but the id to ask for."""
    return Refused(500, masked(correlation_id), code=INTERNAL)


def masked(correlation_id: str) -> str:
    """The sentence that stands for an error nobody outside may read."""
    return f"Something went wrong on our side. Quote this id: {correlation_id}"
