"""FCM with its OAuth, the push services of browsers, and the control of all simulators: one HTTP server."""

import secrets
from dataclasses import asdict
from typing import Any

import jwt
import orjson
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.errors import Invalid
from server.simulator.providers import sealed
from server.simulator.providers.behaviour import Fate, Luck
from server.simulator.providers.credentials import EMAIL, PROJECT, Credentials
from server.simulator.providers.ledger import Ledger

FCM, WEB_PUSH = "FCM", "WEB_PUSH"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
TOKEN_SECONDS = 3_599
PUSH_BYTES = 4_096
_REQUIRED = ["exp", "iat", "iss", "aud"]
_PUSH_ANSWERS = {Fate.DEAD: 410, Fate.BUSY: 429, Fate.BROKEN: 500}


class HttpProviders:
    """The application."""

    def __init__(self, luck: Luck, ledger: Ledger, credentials: Credentials) -> None:
        self._luck, self._ledger, self._credentials = luck, ledger, credentials
        self._tokens: set[str] = set()
        key: Any = load_pem_private_key(credentials.fcm.encode(), None)
        self._public = key.public_key()

    def application(self) -> web.Application:
        """What aiohttp serves."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/token", self.token),
                web.post("/v1/projects/{project}/messages:send", self.fcm),
                web.post("/push/{token}", self.push),
                web.get("/ledger", self.ledger),
                web.get("/behaviour", self.behaviour),
                web.post("/behaviour", self.behave),
                web.get("/subscription/{token}", self.subscription),
            ]
        )
        return app

    async def token(self, request: web.Request) -> web.Response:
        """An access token for a JWT that the service account has signed."""
        form = await request.post()
        try:
            audience = str(request.url.with_query(None))
            said = str(form.get("assertion"))
            jwt.decode(said, self._public, ["RS256"], audience=audience, issuer=EMAIL, options={"require": _REQUIRED})
        except jwt.PyJWTError as error:
            return web.json_response({"error": "invalid_grant", "error_description": str(error)}, status=400)
        made = secrets.token_urlsafe(32)
        self._tokens.add(made)
        return web.json_response({"access_token": made, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    async def fcm(self, request: web.Request) -> web.Response:
        """One message to one token."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            return _error(401, "UNAUTHENTICATED")
        if request.match_info["project"] != PROJECT:
            return _error(403, "PERMISSION_DENIED")
        message = orjson.loads(await request.read())["message"]
        token, data = message["token"], message.get("data", {})
        if not all(isinstance(value, str) for value in data.values()):
            return _error(400, "INVALID_ARGUMENT", _violation("message.data"))
        if token.startswith("malformed"):
            return _error(400, "INVALID_ARGUMENT", _violation("message.token"))
        if token.startswith("foreign"):
            return _error(403, "PERMISSION_DENIED", _fcm("SENDER_ID_MISMATCH"))
        return await self._fated(request, token, data.get("replyhqKey", ""))

    async def _fated(self, request: web.Request, token: str, key: str) -> web.Response:
        fate = await self._luck.fate(token)
        if fate is Fate.DEAD:
            return _error(404, "NOT_FOUND", _fcm("UNREGISTERED"))
        if fate is Fate.BUSY:
            return self._busy(_error(429, "RESOURCE_EXHAUSTED", _fcm("QUOTA_EXCEEDED")))
        if fate is Fate.BROKEN:
            return _error(503, "UNAVAILABLE", _fcm("UNAVAILABLE"))
        self._ledger.accept(FCM, token, key)
        _break_if(fate, request)
        return web.json_response({"name": f"projects/{PROJECT}/messages/{secrets.token_hex(8)}"})

    def _busy(self, response: web.Response) -> web.Response:
        """With the time to wait, as far as it is asked for."""
        if response.status == 429:
            response.headers["Retry-After"] = str(self._luck.behaviour.retry_after)
        return response

    async def push(self, request: web.Request) -> web.Response:
        """One message to one browser, which opens it as browsers do."""
        token, message = request.match_info["token"], await self._opened(request)
        if isinstance(message, int):
            return web.Response(status=message)
        fate = await self._luck.fate(token)
        if fate in _PUSH_ANSWERS:
            return self._busy(web.Response(status=_PUSH_ANSWERS[fate]))
        self._ledger.accept(WEB_PUSH, token, message["data"]["replyhqKey"])
        _break_if(fate, request)
        return web.Response(status=201, headers={"Location": f"/message/{secrets.token_hex(8)}"})

    async def _opened(self, request: web.Request) -> dict[str, Any] | int:
        """What a push says to its browser; or the status by which it is refused."""
        if not self._is_signed(request):
            return 403
        body = await request.read()
        if len(body) > PUSH_BYTES:
            return 413
        try:
            message: dict[str, Any] = orjson.loads(sealed.opened(body, self._credentials))
        except (InvalidTag, ValueError):
            return 400
        return message

    def _is_signed(self, request: web.Request) -> bool:
        """Whether the VAPID token is for this service and by the key that stands beside it; and TTL is there."""
        said = request.headers.get("Authorization", "").removeprefix("vapid ")
        parts = dict(part.strip().split("=", 1) for part in said.split(",") if "=" in part)
        try:
            jwt.decode(parts["t"], sealed.public_key(parts["k"]), ["ES256"], audience=str(request.url.origin()))
        except (jwt.PyJWTError, KeyError, ValueError):
            return False
        return request.headers.get("TTL", "").isdigit() and request.headers.get("Content-Encoding") == "aes128gcm"

    async def ledger(self, request: web.Request) -> web.StreamResponse:
        """What was accepted so far."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for line in self._ledger.lines():
            await response.write(line)
        return response

    async def behaviour(self, _request: web.Request) -> web.Response:
        """How the providers behave now."""
        return web.json_response(asdict(self._luck.behaviour))

    async def behave(self, request: web.Request) -> web.Response:
        """Behave otherwise from now on, in what the body names."""
        try:
            self._luck.behaviour = self._luck.behaviour.changed(orjson.loads(await request.read()))
        except Invalid as error:
            return web.json_response({"error": error.message}, status=400)
        return web.json_response(asdict(self._luck.behaviour))

    async def subscription(self, request: web.Request) -> web.Response:
        """What a browser of that name would give to its page: the push token of a WEB device."""
        made = self._credentials.subscription(str(request.url.origin()), request.match_info["token"])
        return web.Response(text=made, content_type="application/json")


def _break_if(fate: Fate, request: web.Request) -> None:
    """Break the connection of a message that is lost; the answer goes nowhere."""
    if fate is Fate.LOST and (transport := request.transport) is not None:
        transport.abort()


def _fcm(code: str) -> dict[str, Any]:
    return {"@type": FCM_ERROR, "errorCode": code}


def _violation(field: str) -> dict[str, Any]:
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": "Invalid value."}]}


def _error(status: int, name: str, *details: dict[str, Any]) -> web.Response:
    error = {"code": status, "message": name.lower(), "status": name, "details": list(details)}
    return web.json_response({"error": error}, status=status)
