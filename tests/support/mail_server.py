"""A mail server, as the product meets one: aiosmtpd, in a thread of its own."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from core.embedded.ports import free_port

Answer = Callable[[Envelope], str]
TAKEN = "250 OK"


class _Listening(Controller):
    """Leaves no connection open when it stops."""

    def factory(self) -> SMTP:
        self.spoken = [*getattr(self, "spoken", ()), super().factory()]
        return self.spoken[-1]

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        for one in getattr(self, "spoken", ()):
            if one.transport is not None:
                one.transport.abort()
        await asyncio.sleep(0.05)  # in the loop of its own, which is given up next


@dataclass
class MailServer:
    """Takes mails, unless it is told to answer something else.

    Attributes:
        got: the mails that were taken, as they came.
        to: whom each of them is for, by the envelope.
        logins: user names and passwords by which somebody came.
        answer: what it says to a mail.
        answer_to: what it says to a recipient.
        pause_seconds: how long it thinks about each mail.
    """

    got: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    answer: Answer = lambda _: TAKEN
    answer_to: Callable[[str], str] = lambda _: TAKEN
    pause_seconds: float = 0.0
    _controller: _Listening | None = None

    def start(self, port: int | None = None, **options: Any) -> None:
        """Listen on this machine; `options` are aiosmtpd's."""
        self._controller = _Listening(self, hostname="127.0.0.1", port=port or free_port(None), **options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    @property
    def port(self) -> int:
        assert self._controller is not None
        return self._controller.port

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        said = self.answer_to(address)
        if said == TAKEN:
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.pause_seconds)
        said = self.answer(envelope)
        if said == TAKEN:
            self.got.append(message_from_bytes(envelope.content, policy=default))
            self.to.append(envelope.rcpt_tos)
        return said

    def __call__(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, auth: LoginPassword) -> AuthResult:
        """As aiosmtpd's authenticator."""
        self.logins.append((auth.login.decode(), auth.password.decode()))
        return AuthResult(success=auth.password == b"p@ss:/word")


def certificate(cert: str, key: str) -> ssl.SSLContext:
    """What a server with this certificate speaks TLS by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
