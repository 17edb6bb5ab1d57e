"""EMAIL by the mail server of an app: a batch goes over one connection, as long as that holds.

SMTP knows no idempotency key: what was handed over (DATA) without an answer is never sent again.
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from functools import partial
from html import escape

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from channels import smtp
from channels.base import Code, Later, Outcome, Outgoing, Recovery, Refused, Result, Taken, Unknown, key_id
from channels.http import CONNECT_SECONDS
from channels.letters import POLICY, Delayed
from channels.verdicts import ACCOUNT_REFUSED
from core.addresses import BlockedError, Lookup, checked, look_up
from core.clock import now
from core.config import config

GOING_AWAY = 421
_ADDRESS = re.compile(r"(https?://[^\s<]+)")
NO_SUCH_MAILBOX = "5.1."
"""How the server's text begins when the address itself is at fault (RFC 3463)."""
UNREACHABLE = Later(Code.UNREACHABLE)


@dataclass(frozen=True)
class EmailAccount:
    """A mail server of an app.

    Attributes:
        url: as REPLYHQ_SMTP_URL, with user and password.
        sender: address, with a name if need be, like `Acme <hello@acme.example>`.
    """

    url: str
    sender: str


class Email:
    """Sends by one mail server."""

    recovery = Recovery.BLIND

    def __init__(self, account: EmailAccount, *, allow_loopback: bool | None = None, lookup: Lookup = look_up) -> None:
        allowed = config().outbound_allow_loopback if allow_loopback is None else allow_loopback
        self._account, self._checked = account, partial(checked, allow_loopback=allowed, lookup=lookup)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One after the other over one connection. What the server does not live to take waits for the next time."""
        line = _Line(self._account, self._checked)
        try:
            return [Outcome(one.key, await self._send(line, one)) for one in batch]
        finally:
            line.close()

    async def _send(self, line: "_Line", outgoing: Outgoing) -> Result:
        try:
            content = _message(outgoing, self._account.sender).as_bytes()
        except (ValueError, IndexError):
            return Refused(Code.REJECTED)
        used = line.is_open
        found = await line.hand_over(content, parseaddr(self._account.sender)[1], outgoing.address)
        # A server may hang up after so many mails; a new connection will do.
        again = used and not line.is_open and isinstance(found, Later)
        return await line.hand_over(content, parseaddr(self._account.sender)[1], outgoing.address) if again else found


class _Line:
    """A connection, made when there is something to send; not tried again once it could not be made."""

    def __init__(self, account: EmailAccount, lookup: Lookup) -> None:
        self._account, self._lookup = account, lookup
        self._server: SMTP | None = None
        self._closed: Later | Refused | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next mail needs no new connection."""
        return self._server is not None

    async def hand_over(self, content: bytes, sender: str, to: str) -> Result:
        """Give one mail to the server."""
        server = self._server or await self._connect()
        if server is None:
            return self._closed or UNREACHABLE
        try:
            await server.mail(sender)
            await server.rcpt(to)
        except SMTPResponseException as error:
            return await self._refusal(error)
        except (SMTPException, OSError, ValueError):
            self.close()
            return UNREACHABLE
        return await self._data(server, content)

    async def _data(self, server: SMTP, content: bytes) -> Result:
        try:
            answer = await server.data(content)
        except SMTPDataError as error:
            return await self._refusal(error)
        except (SMTPException, OSError):
            self.close()
            return Unknown(Code.NO_ANSWER)
        return Taken(answer.message[:200] or None)

    async def _refusal(self, error: SMTPResponseException) -> Result:
        """What a refusal says of the mail. The connection goes on, unless the server is going away."""
        if error.code == GOING_AWAY:
            self.close()
            return Later(Code.PROVIDER_ERROR)
        await self._reset()
        if error.code < smtp.PERMANENT:
            return Later(Code.PROVIDER_ERROR)
        if isinstance(error, SMTPSenderRefused):
            return ACCOUNT_REFUSED
        if isinstance(error, SMTPRecipientRefused):
            return Refused(Code.BOUNCED, dead_address=error.message.startswith(NO_SUCH_MAILBOX))
        return Refused(Code.REJECTED)

    async def _reset(self) -> None:
        try:
            if self._server is not None:
                await self._server.rset()
        except (SMTPException, OSError):
            self.close()

    async def _connect(self) -> SMTP | None:
        """A server that takes mails from us; None and why there is none."""
        if self._closed is not None:
            return None
        try:
            how = smtp.options(self._account.url)
            how["sock"] = await self._socket(how["hostname"], how.pop("port"))
            self._server = SMTP(**how, timeout=smtp.ANSWER_SECONDS)
            await self._server.connect()
        except BlockedError:
            self._closed = Refused(Code.ADDRESS_BLOCKED)
        except (SMTPException, OSError, Delayed) as error:
            self.close()
            away = isinstance(error, OSError | SMTPConnectError)
            self._closed = UNREACHABLE if away else ACCOUNT_REFUSED
        return self._server

    async def _socket(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of `host` that takes one; all were checked.

        Raises:
            OSError: none does, or one of them is not public.
        """
        last = OSError("no address")
        async with asyncio.timeout(CONNECT_SECONDS):
            for address in await self._lookup(host, port):
                made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
                made.setblocking(False)
                try:
                    await asyncio.get_running_loop().sock_connect(made, (address, port))
                except OSError as error:
                    made.close()
                    last = error
                except BaseException:
                    made.close()
                    raise
                else:
                    return made
        raise last

    def close(self) -> None:
        """Hang up. What was taken stays taken."""
        if self._server is not None:
            with suppress(SMTPException, OSError):
                self._server.close()
        self._server = None


def _message(outgoing: Outgoing, sender: str) -> EmailMessage:
    """The e-mail, as text and as HTML.

    Raises:
        ValueError, IndexError: a part of it would break out of its header, or is no address.
    """
    message = EmailMessage(POLICY)
    message["From"] = sender
    message["To"] = Address(addr_spec=outgoing.address)
    message["Subject"] = outgoing.title
    message["Date"] = now()
    message["Message-ID"] = f"<{key_id(outgoing.key)}@{Address(addr_spec=parseaddr(sender)[1]).domain}>"
    if outgoing.unsubscribe_url:
        message["List-Unsubscribe"] = f"<{outgoing.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_text(outgoing))
    message.add_alternative(_html(outgoing), subtype="html")
    return message


def _text(outgoing: Outgoing) -> str:
    return (
        f"{outgoing.body}\n\n-- \nUnsubscribe: {outgoing.unsubscribe_url}\n"
        if outgoing.unsubscribe_url
        else outgoing.body
    )


def _html(outgoing: Outgoing) -> str:
    """The body as paragraphs, with the way out below."""
    body = "".join(f"<p>{_linked(part)}</p>" for part in outgoing.body.split("\n\n"))
    link = f'<p><a href="{escape(outgoing.unsubscribe_url)}">Unsubscribe</a></p>' if outgoing.unsubscribe_url else ""
    picture = f'<img src="{escape(outgoing.picture_url)}" width="1" height="1" alt="">' if outgoing.picture_url else ""
    return f"<!doctype html><html><body>{body}{link}{picture}</body></html>"


def _linked(text: str) -> str:
    """A paragraph in which web addresses can be followed."""
    parts = _ADDRESS.split(escape(text).replace("\n", "<br>"))
    return "".join(f'<a href="{part}">{part}</a>' if no % 2 else part for no, part in enumerate(parts))
