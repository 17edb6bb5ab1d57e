"""PUSH by Firebase Cloud Messaging, HTTP v1: one POST a token, with an access token that a signed JWT is exchanged for.

FCM knows no idempotency key: what was handed over without an answer is never sent again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson

from channels.base import Code, Later, Outcome, Outgoing, Recovery, Refused, Result, each
from channels.http import Answer, Http
from channels.push import KEY_FIELD
from channels.verdicts import ACCOUNT_REFUSED, asked, by_status
from core.json import encode

URL = "https://fcm.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_SECONDS = 3_600
EARLY_SECONDS = 120.0
"""An access token is renewed so long before it ends: a request on its way must not see it end."""
PAYLOAD_BYTES = 4_096
BUSY_SECONDS = 60.0
"""FCM asks to wait a minute when it says 429 without Retry-After."""


@dataclass(frozen=True)
class FcmAccount:
    """A service account of a Firebase project.

    Attributes:
        private_key: PEM.
        base_url: of a simulator, which answers `/token` too; Google's when None.
    """

    project_id: str
    client_email: str
    private_key_id: str
    private_key: str
    base_url: str | None = None


class Fcm:
    """Sends to the tokens of one project."""

    recovery = Recovery.BLIND

    def __init__(self, account: FcmAccount, http: Http, at_once: int) -> None:
        self._http, self._at_once = http, at_once
        self._url = f"{account.base_url or URL}/v1/projects/{account.project_id}/messages:send"
        self._access = _Access(account, http)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One POST each, once there is an access token; without one nothing is sent."""
        access = await self._access.token()
        if isinstance(access, Later):
            return [Outcome(one.key, access) for one in batch]
        return await each(batch, self._at_once, self._send)

    async def _send(self, outgoing: Outgoing) -> Result:
        message = _message(outgoing)
        if len(encode([message["notification"], message["data"]])) > PAYLOAD_BYTES:
            return Refused(Code.PAYLOAD_TOO_LARGE)
        body = encode({"message": message})
        answer = await self._post(body)
        if isinstance(answer, Answer) and _is_stale(answer):
            answer = await self._post(body)
        return _verdict(answer) if isinstance(answer, Answer) else answer

    async def _post(self, body: bytes) -> Answer | Result:
        access = await self._access.token()
        if isinstance(access, Later):
            return access
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        answer = await asked(self._http.post(self._url, body, headers))
        if isinstance(answer, Answer) and _is_stale(answer):
            self._access.forget(access)
        return answer


def _message(outgoing: Outgoing) -> dict[str, Any]:
    """In FCM's form; its data are texts only."""
    data = {name: one if isinstance(one, str) else encode(one).decode() for name, one in (outgoing.data or {}).items()}
    return {
        "token": outgoing.address,
        "notification": {"title": outgoing.title, "body": outgoing.body},
        "data": data | {KEY_FIELD: outgoing.key},
    }


def _verdict(answer: Answer) -> Result:
    """Only a code of FCM's own is a word on the token: 403 and 404 are said of project and account as well."""
    if answer.status == 200:
        return by_status(answer, _parsed(answer.body).get("name"))
    code, faulty = _details(answer)
    if answer.status == 404 and code == "UNREGISTERED":
        return Refused(Code.UNREGISTERED, dead_address=True)
    if answer.status == 403 and code == "SENDER_ID_MISMATCH":
        return Refused(Code.SENDER_MISMATCH)
    if answer.status in {401, 403, 404}:
        return ACCOUNT_REFUSED
    if answer.status == 400 and "message.token" in faulty:
        return Refused(Code.BAD_TOKEN, dead_address=True)
    found = by_status(answer)
    return Later(Code.RATE_LIMITED, BUSY_SECONDS) if found == Later(Code.RATE_LIMITED) else found


def _is_stale(answer: Answer) -> bool:
    """Whether the access token is at fault. With a code of FCM's own it is what the project has at Apple."""
    return answer.status == 401 and _details(answer)[0] is None


def _details(answer: Answer) -> tuple[str | None, set[str]]:
    """FCM's own code, and the fields of the request that are at fault."""
    error = _parsed(answer.body).get("error")
    given = error.get("details") if isinstance(error, Mapping) else None
    details = [one for one in given or () if isinstance(one, Mapping)]
    codes = [one["errorCode"] for one in details if "errorCode" in one]
    violations = [violation for one in details for violation in one.get("fieldViolations") or ()]
    return (codes[0] if codes else None), {str(one.get("field")) for one in violations if isinstance(one, Mapping)}


def _parsed(body: bytes) -> Mapping[str, Any]:
    """A JSON object; an empty one of whatever else came."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


class _Access:
    """The access token, exchanged for when there is none or it is about to end."""

    def __init__(self, account: FcmAccount, http: Http) -> None:
        self._account, self._http = account, http
        self._url = f"{account.base_url}/token" if account.base_url else TOKEN_URL
        self._lock = asyncio.Lock()
        self._token, self._ends = "", 0.0

    async def token(self) -> str | Later:
        """The token; or why there is none. One exchange at a time."""
        if time.monotonic() < self._ends:
            return self._token
        async with self._lock:
            return self._token if time.monotonic() < self._ends else await self._exchange()

    def forget(self, token: str) -> None:
        """The provider does not take this one any more; another that came meanwhile stays."""
        if token == self._token:
            self._ends = 0.0

    async def _exchange(self) -> str | Later:
        form = urlencode({"grant_type": GRANT, "assertion": self._assertion()}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await asked(self._http.post(self._url, form, headers))
        if not isinstance(answer, Answer):
            return Later(Code.UNREACHABLE)  # whatever came of it: no message was sent
        token = _parsed(answer.body).get("access_token")
        if answer.status != 200 or not isinstance(token, str):
            found = by_status(answer)
            return found if isinstance(found, Later) else ACCOUNT_REFUSED
        lasts = _parsed(answer.body).get("expires_in")
        self._token = token
        self._ends = time.monotonic() + max(float(lasts or LIFE_SECONDS) - EARLY_SECONDS, 1.0)
        return token

    def _assertion(self) -> str:
        at, account = int(time.time()), self._account
        claims = {"iss": account.client_email, "scope": SCOPE, "aud": self._url, "iat": at, "exp": at + LIFE_SECONDS}
        return jwt.encode(claims, account.private_key, "RS256", {"kid": account.private_key_id})
