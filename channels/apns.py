"""PUSH by Apple's service: HTTP/2, one request a device token, with a provider token that lives for an hour.

Apple knows no idempotency key. `apns-collapse-id` is made of the key, so that a device shows a message once even if it
got it twice; it has been interrupted by it all the same, so what has no answer is never sent again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2
import jwt
import orjson

from channels.base import Code, Outcome, Outgoing, Recovery, Refused, Result, each, key_id
from channels.http import CONNECT_SECONDS, SECONDS, Answer, LostError, NotSentError
from channels.push import KEY_FIELD
from channels.verdicts import ACCOUNT_REFUSED, asked, by_status
from core.json import encode

URL = "https://api.push.apple.com"
SANDBOX_URL = "https://api.sandbox.push.apple.com"
TOKEN_SECONDS = 2_400.0
"""Apple refuses provider tokens that are older than an hour, and ones renewed more often than every 20 minutes."""
PAYLOAD_BYTES = 4_096
IDLE_SECONDS = 300.0
"""Apple wants connections kept; each carries hundreds of requests at once."""
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_TOKENS = {
    "Unregistered": Refused(Code.UNREGISTERED, dead_address=True),
    "ExpiredToken": Refused(Code.UNREGISTERED, dead_address=True),
    # Also said of every token when `sandbox` is set wrong: no reason to forget them all.
    "BadDeviceToken": Refused(Code.BAD_TOKEN),
    "DeviceTokenNotForTopic": Refused(Code.SENDER_MISMATCH),
}


@dataclass(frozen=True)
class ApnsAccount:
    """A key of an Apple team.

    Attributes:
        topic: the bundle id of the app.
        private_key: PEM, as in the .p8 file.
        base_url: of a simulator; Apple's when None.
    """

    team_id: str
    key_id: str
    topic: str
    private_key: str
    sandbox: bool = False
    base_url: str | None = None


class Apns:
    """Sends to the devices of one app, over connections of its own: Apple wants them parted by team."""

    recovery = Recovery.BLIND

    def __init__(self, account: ApnsAccount, at_once: int) -> None:
        self._account, self._at_once = account, at_once
        self._url = account.base_url or (SANDBOX_URL if account.sandbox else URL)
        self._token = _ProviderToken(account)
        self._client: httpx2.AsyncClient | None = None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One request each, as many streams of a connection."""
        return await each(batch, self._at_once, self._send)

    async def _send(self, outgoing: Outgoing) -> Result:
        body = encode(_payload(outgoing))
        if len(body) > PAYLOAD_BYTES:
            return Refused(Code.PAYLOAD_TOO_LARGE)
        token = self._token.current()
        answer = await asked(self._post(outgoing, body, token))
        if isinstance(answer, Answer) and _reason(answer) == "ExpiredProviderToken":
            self._token.forget(token)
            answer = await asked(self._post(outgoing, body, self._token.current()))
        return _verdict(answer) if isinstance(answer, Answer) else answer

    async def _post(self, outgoing: Outgoing, body: bytes, token: str) -> Answer:
        id_ = str(key_id(outgoing.key))
        headers = {
            "authorization": f"bearer {token}",
            "apns-id": id_,
            "apns-collapse-id": id_,
            "apns-topic": self._account.topic,
            "apns-push-type": "alert",
        }
        try:
            answer = await self._open().post(
                f"/3/device/{quote(outgoing.address, safe='')}", content=body, headers=headers
            )
        except _NOT_SENT as error:
            raise NotSentError(type(error).__name__) from error
        except (httpx2.HTTPError, OSError) as error:
            raise LostError(type(error).__name__) from error
        return Answer(answer.status_code, answer.headers, answer.content)

    def _open(self) -> httpx2.AsyncClient:
        """HTTP/2 alone: Apple speaks nothing else, and so a simulator needs no TLS to agree on it."""
        if self._client is None:
            self._client = httpx2.AsyncClient(
                base_url=self._url,
                http1=False,
                http2=True,
                trust_env=False,
                limits=httpx2.Limits(max_connections=10, keepalive_expiry=IDLE_SECONDS),
                timeout=httpx2.Timeout(SECONDS, connect=CONNECT_SECONDS),
            )
        return self._client

    async def close(self) -> None:
        """End all connections."""
        if self._client is not None:
            await self._client.aclose()


def _payload(outgoing: Outgoing) -> dict[str, Any]:
    """In Apple's form; what the app put under its names gives way."""
    alert = {"alert": {"title": outgoing.title, "body": outgoing.body}, "sound": "default"}
    return (outgoing.data or {}) | {"aps": alert, KEY_FIELD: outgoing.key}


def _verdict(answer: Answer) -> Result:
    known = _TOKENS.get(_reason(answer))
    if known is not None:
        return known
    if answer.status == 403:
        return ACCOUNT_REFUSED
    return by_status(answer, answer.headers.get("apns-id"))


def _reason(answer: Answer) -> str:
    """Apple's word for what is wrong; empty when nothing is."""
    if answer.status == 200:
        return ""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("reason", "")) if isinstance(found, Mapping) else ""


@dataclass
class _ProviderToken:
    """The JWT by which a team proves itself, used again for 40 minutes."""

    account: ApnsAccount
    _token: str = field(default="", init=False)
    _made: float = field(default=0.0, init=False)

    def current(self) -> str:
        """The token, a new one if need be."""
        if not self._token or time.monotonic() - self._made > TOKEN_SECONDS:
            claims, header = {"iss": self.account.team_id, "iat": int(time.time())}, {"kid": self.account.key_id}
            self._token = jwt.encode(claims, self.account.private_key, "ES256", header)
            self._made = time.monotonic()
        return self._token

    def forget(self, token: str) -> None:
        """Apple finds this one too old; another that was made meanwhile stays."""
        if token == self._token:
            self._token = ""
