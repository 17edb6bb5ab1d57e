"""E-mails as they leave: one plain text to one person, and what can come of handing it over."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr

# Lines as long as the standard allows: a link stays in one piece, also for who reads an .eml file as it is.
POLICY = SMTP.clone(max_line_length=998, cte_type="7bit")


class Refused(Exception):
    """It will never be taken as it is: trying again is of no use. Says why."""


class Delayed(Exception):
    """It was not taken this time, for a reason that has nothing to do with it or that may pass. Says why."""


@dataclass(frozen=True)
class Letter:
    """An e-mail.

    Attributes:
        id: the same however often it is handed over; who gets it twice can tell by it.
        sender: address, with a name if need be, like `ReplyHQ <no-reply@example.com>`.
        to: the address of one person.
        subject: one line.
        body: plain text.
        written_at: its date.
    """

    id: str
    sender: str
    to: str
    subject: str
    body: str
    written_at: datetime

    def message(self) -> EmailMessage:
        """The letter in the form of RFC 5322.

        Raises:
            Refused: a part of it would break out of its header, or is no address.
        """
        try:
            return self._message()
        except (ValueError, IndexError, HeaderParseError) as error:
            raise Refused(f"It cannot be written: {error}") from error

    def _message(self) -> EmailMessage:
        message = EmailMessage(POLICY)
        message["From"] = self.sender
        message["To"] = Address(addr_spec=self.to)
        message["Subject"] = self.subject
        message["Date"] = self.written_at
        message["Message-ID"] = f"<{self.id}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.body)
        return message

    @property
    def _domain(self) -> str:
        return Address(addr_spec=parseaddr(self.sender)[1]).domain
