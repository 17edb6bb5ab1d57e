"""E-mails of the product on their way out: by SMTP, or in development into files."""

import re
from functools import partial

import dramatiq
import structlog

from channels import letter_files, smtp
from channels.letters import Delayed, Letter, Refused
from core.config import config
from core.database import transaction
from core.errors import Unavailable
from domain import mails
from models.mails import Mail

log = structlog.get_logger(__name__)
IN_A_ROW = 8
"""Mails that one wake-up sends at most, each within 30 s: an actor has 5 minutes. The clock wakes for the others."""
FOLDER = "mails"
LINK = re.compile(r"\S*#token=\S+")


@dramatiq.actor(actor_name=mails.SENDER)
async def send_mails() -> None:
    """Send what is due."""
    await send_due()


async def send_due() -> None:
    """Send what is due, one after the other, until nothing is or one did not go."""
    for _ in range(IN_A_ROW):
        if not await _send_next():
            return


async def _send_next() -> bool:
    """Send a mail; whether it went."""
    async with transaction() as session:
        mail = await mails.claim(session)
    if mail is None:
        return False
    settle, went = mails.sent, True
    try:
        await _hand_over(mail)
    except Refused as error:
        settle, went = partial(mails.refused, why=str(error)), False
    except (Delayed, Unavailable, OSError) as error:
        settle, went = partial(mails.delayed, why=str(error)), False
    async with transaction() as session:
        await settle(session, mail)
    if not went:
        log.warning("mail not sent", mail=str(mail.id), attempts=mail.attempts)
    return went


async def _hand_over(mail: Mail) -> None:
    """To the mail server. In development without one the mail becomes a file, and its path and links are logged.

    Raises:
        Refused: it will never be taken.
        Delayed, Unavailable, OSError: not this time.
    """
    conf = config()
    letter = Letter(str(mail.id), conf.mail_from, mail.recipient, mail.subject, mails.body_of(mail), mail.created_at)
    if url := conf.smtp_url.get_secret_value():
        await smtp.send(letter, url)
    elif conf.environment == "production":
        raise Delayed("REPLYHQ_SMTP_URL is missing.")
    else:
        path = await letter_files.write(letter, conf.state_dir / FOLDER)
        log.info("mail written", path=str(path), links=LINK.findall(letter.body))
