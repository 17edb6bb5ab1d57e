"""SMTP: a mail server, on the event loop of the other simulators."""

import asyncio
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from server.simulator.providers.behaviour import Fate, Luck
from server.simulator.providers.ledger import Ledger

MAIL = "SMTP"
_ANSWERS = {
    Fate.DEAD: "550 5.1.1 no such mailbox",
    Fate.BUSY: "450 4.2.1 try again later",
    Fate.BROKEN: "451 4.3.0 something broke",
}


class Mailboxes:
    """As aiosmtpd asks its handler."""

    def __init__(self, luck: Luck, ledger: Ledger) -> None:
        self._luck, self._ledger = luck, ledger
        self._lost = False

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        """Take or refuse a recipient."""
        fate = await self._luck.fate(address)
        if fate in _ANSWERS:
            return _ANSWERS[fate]
        self._lost = fate is Fate.LOST
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail; of one that is lost nothing is said."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        key = str(message_from_bytes(content).get("Message-ID", ""))
        for address in envelope.rcpt_tos:
            self._ledger.accept(MAIL, address, key)
        if self._lost and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "250 OK"

    def connection(self) -> SMTP:
        """The protocol of one connection."""
        return SMTP(Mailboxes(self._luck, self._ledger), enable_SMTPUTF8=True)
