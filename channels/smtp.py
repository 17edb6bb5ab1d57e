"""E-mails by SMTP, as REPLYHQ_SMTP_URL says: smtps:// is encrypted from the start, smtp:// from STARTTLS on.

Without encryption only a server on this machine is spoken to.
"""

import asyncio
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPNotSupported, SMTPRecipientsRefused

from channels.letters import Delayed, Letter, Refused

PORTS = {"smtp": 587, "smtps": 465}
ANSWER_SECONDS = 10.0
SECONDS = 30.0
"""For all of a delivery, however many answers it takes."""
PERMANENT = 500
WRONG_URL = "REPLYHQ_SMTP_URL must look like smtps://user:password@host:465 or smtp://host:587."


async def send(letter: Letter, url: str) -> None:
    """Hand a letter over to the mail server at `url`.

    Raises:
        Refused: the server does not take this letter, and says that it never will.
        Delayed: it was not reached, does not let us in, or does not take it now.
    """
    message, how = letter.message(), options(url)
    try:
        async with asyncio.timeout(SECONDS), SMTP(**how, timeout=ANSWER_SECONDS) as server:
            await server.send_message(message, recipients=[letter.to])
    except SMTPNotSupported as error:
        raise Refused(error.message) from error
    except (SMTPRecipientsRefused, SMTPDataError) as error:
        raise _about_the_letter(error) from error
    except (SMTPException, OSError, TimeoutError) as error:
        raise Delayed(f"{type(error).__name__}: {error}") from error


def _about_the_letter(error: SMTPRecipientsRefused | SMTPDataError) -> Refused | Delayed:
    """What the server says of this letter. Its word on who we are and how we come is no word on the letter."""
    answer = error.recipients[0] if isinstance(error, SMTPRecipientsRefused) else error
    said = f"{answer.code} {answer.message}"
    return Refused(said) if answer.code >= PERMANENT else Delayed(said)


def options(url: str) -> dict[str, Any]:
    """What aiosmtplib needs to know. `start_tls` None is: when the server offers it.

    Raises:
        Delayed: the URL is none; the mail waits until that is mended.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise Delayed(WRONG_URL) from None
    if not parts.hostname:
        raise Delayed(WRONG_URL)
    return {
        "hostname": parts.hostname,
        "port": port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": parts.scheme == "smtps",
        "start_tls": False if parts.scheme == "smtps" else (None if _is_here(parts.hostname) else True),
    }


def _is_here(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
