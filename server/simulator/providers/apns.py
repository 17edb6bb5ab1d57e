"""APNs: HTTP/2 without TLS, which a client speaks when it knows beforehand."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from server.simulator.providers.behaviour import Fate, Luck
from server.simulator.providers.credentials import KEY_ID, TEAM_ID, TOPIC, Credentials
from server.simulator.providers.ledger import Ledger

APNS = "APNS"
TOKEN_SECONDS = 3_600
PATH = "/3/device/"
_ANSWERS = {
    Fate.DEAD: (410, "Unregistered"),
    Fate.BUSY: (429, "TooManyRequests"),
    Fate.BROKEN: (503, "ServiceUnavailable"),
}


@dataclass
class _Stream:
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


class Apns(asyncio.Protocol):
    """One connection."""

    def __init__(self, luck: Luck, ledger: Ledger, credentials: Credentials) -> None:
        self._luck, self._ledger = luck, ledger
        key: Any = load_pem_private_key(credentials.apns.encode(), None)
        self._public = key.public_key()
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say how much may be asked at once."""
        self._transport: Any = transport
        self._http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what came apart."""
        try:
            events = self._http.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._on(event)
        self._flush()

    def _on(self, event: object) -> None:
        if isinstance(event, RequestReceived):
            self._streams[event.stream_id] = _Stream({str(name): str(value) for name, value in event.headers})
        elif isinstance(event, DataReceived):
            self._streams[event.stream_id].body += event.data
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamReset):
            self._streams.pop(event.stream_id, None)
        elif isinstance(event, StreamEnded):
            task = asyncio.ensure_future(self._serve(event.stream_id, self._streams.pop(event.stream_id)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream_id: int, stream: _Stream) -> None:
        token = stream.headers[":path"].removeprefix(PATH)
        status, reason = self._refusal(stream, token)
        if not reason:
            fate = await self._luck.fate(token)
            status, reason = _ANSWERS.get(fate, (200, ""))
            if not reason:
                key = orjson.loads(stream.body).get("replyhqKey", "")
                self._ledger.accept(APNS, token, key)
            if fate is Fate.LOST:
                self._transport.abort()
                return
        self._answer(stream_id, status, reason, stream.headers.get("apns-id", ""))

    def _refusal(self, stream: _Stream, token: str) -> tuple[int, str]:
        headers = stream.headers
        if wrong := self._wrong_token(headers.get("authorization", "").removeprefix("bearer ")):
            return 403, wrong
        if headers.get("apns-topic") != TOPIC:
            return 400, "DeviceTokenNotForTopic"
        if token.startswith("malformed"):
            return 400, "BadDeviceToken"
        if len(stream.body) > 4_096:
            return 413, "PayloadTooLarge"
        return 200, ""

    def _wrong_token(self, text: str) -> str | None:
        """Why a provider token is refused; None when it is good."""
        try:
            kid = jwt.get_unverified_header(text).get("kid")
            claims = jwt.decode(text, self._public, ["ES256"], issuer=TEAM_ID, options={"require": ["iat", "iss"]})
            age = time.time() - claims["iat"]
        except jwt.PyJWTError:
            return "InvalidProviderToken"
        if kid != KEY_ID:
            return "InvalidProviderToken"
        return "ExpiredProviderToken" if age > TOKEN_SECONDS else None

    def _answer(self, stream_id: int, status: int, reason: str, id_: str) -> None:
        headers = [(":status", str(status)), ("apns-id", id_)]
        if reason == "TooManyRequests":
            headers.append(("retry-after", str(self._luck.behaviour.retry_after)))
        try:
            self._http.send_headers(stream_id, headers, end_stream=not reason)
            if reason:
                self._http.send_data(stream_id, orjson.dumps({"reason": reason}), end_stream=True)
        except ProtocolError:
            return  # whoever asked has gone
        self._flush()

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._http.data_to_send())
