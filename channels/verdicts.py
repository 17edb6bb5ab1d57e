"""What an answer over HTTP, or the lack of one, says of a message; and of an access token or key that it came with."""

from collections.abc import Awaitable

from channels.base import Code, Later, Refused, Result, Taken, Unknown
from channels.http import Answer, LostError, NotSentError, RefusedUrlError, retry_after

GATEWAY = frozenset({502, 504})
"""Said by somebody in between, who does not know whether the provider has it."""
ACCOUNT_WAIT_SECONDS = 60.0
ACCOUNT_REFUSED = Later(Code.ACCOUNT_REFUSED, ACCOUNT_WAIT_SECONDS)
"""The provider does not let us in: no word on the message, which goes once somebody has mended the account."""


async def asked(request: Awaitable[Answer]) -> Answer | Result:
    """The answer to a request; or what there being none says of its message."""
    try:
        return await request
    except RefusedUrlError:
        return Refused(Code.ADDRESS_BLOCKED)
    except NotSentError:
        return Later(Code.UNREACHABLE)
    except LostError:
        return Unknown(Code.NO_ANSWER)


def by_status(answer: Answer, provider_id: str | None = None) -> Result:
    """What a status says that means the same everywhere; `provider_id` is for when it was taken."""
    status = answer.status
    if status // 100 == 2:
        return Taken(provider_id)
    if status == 429:
        return Later(Code.RATE_LIMITED, retry_after(answer))
    if status in GATEWAY:
        return Unknown(Code.NO_ANSWER)
    if status // 100 == 5:
        return Later(Code.PROVIDER_ERROR, retry_after(answer))
    return Refused(Code.PAYLOAD_TOO_LARGE if status == 413 else Code.REJECTED)
