"""E-mails of the product itself: queued in the transaction that has a reason for them, sent by a worker afterwards.

Each is sent at least once. A worker that dies between sending one and saying so leaves it to the next, who sends it
again under the same Message-ID.
"""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.broker import wake
from core.clock import now
from core.database import on_commit
from core.encryption import decrypt, encrypt
from core.ids import new_id
from models.mails import Mail, MailStatus

SENDER = "send_mails"
LEASE = timedelta(seconds=60)
IN_HAND_MOST = 2
"""A mail server that hangs must not hold all threads of the workers."""
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""How long a mail waits after each try that failed; after one more it is given up."""
ERROR_CHARS = 300
DIED = "The worker died each time before it could say what came of it."
_ONE_AT_A_TIME = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(SENDER, 0)))


def queue(session: AsyncSession, *, to: str, subject: str, body: str, app_id: UUID | None = None) -> Mail:
    """Have an e-mail sent once this transaction has committed.

    Args:
        session: the transaction of what it tells of.
        to: the address of one person.
        subject: one line.
        body: plain text; may hold a link that works once.
        app_id: the app it is about; None when it is about an account.
    """
    id_ = new_id()
    mail = Mail(id=id_, app_id=app_id, recipient=to, subject=subject, body=encrypt(body, _place(id_)), due_at=now())
    session.add(mail)
    on_commit(session, lambda: wake(SENDER))
    return mail


async def waiting(session: AsyncSession) -> bool:
    """Whether a mail is due."""
    return bool(await session.scalar(sa.select(sa.exists().where(_is_due()))))


async def claim(session: AsyncSession) -> Mail | None:
    """Take the mail that has been due for longest, for a minute; None when none is, or enough are in hand.

    What `sent`, `refused` and `delayed` say of it counts as long as nobody else has taken it since.
    """
    await session.execute(_ONE_AT_A_TIME)
    in_hand = await session.scalar(sa.select(sa.func.count()).where(Mail.lease_until > now(), Mail.due_at.is_not(None)))
    if (in_hand or 0) >= IN_HAND_MOST:
        return None
    oldest = sa.select(Mail).where(_is_due()).order_by(Mail.due_at).limit(1)
    mail: Mail | None = await session.scalar(oldest.with_for_update(key_share=True))
    if mail is None:
        return None
    if is_last_try(mail):
        await refused(session, mail, DIED)
        return None
    mail.attempts += 1
    mail.due_at = mail.lease_until = now() + LEASE
    return mail


def _is_due() -> sa.ColumnElement[bool]:
    return Mail.due_at <= now()


def body_of(mail: Mail) -> str:
    """What the mail says.

    Raises:
        Unavailable: its key is not at hand.
    """
    return decrypt(mail.body or "", _place(mail.id))


async def sent(session: AsyncSession, mail: Mail) -> None:
    """It was handed over. What it says is forgotten: it may hold a link that works."""
    await _end(session, mail, status=MailStatus.SENT, sent_at=now(), error=None)


async def refused(session: AsyncSession, mail: Mail, why: str) -> None:
    """It will never be taken."""
    await _end(session, mail, status=MailStatus.FAILED, error=why[:ERROR_CHARS])


async def delayed(session: AsyncSession, mail: Mail, why: str) -> None:
    """It was not taken this time: it waits, or is given up when it was tried often enough."""
    if is_last_try(mail):
        await refused(session, mail, why)
        return
    again = now() + WAITS[mail.attempts - 1]
    await _write(session, mail, due_at=again, lease_until=None, error=why[:ERROR_CHARS])


def is_last_try(mail: Mail) -> bool:
    """Whether it was tried as often as it will be."""
    return mail.attempts > len(WAITS)


async def _end(session: AsyncSession, mail: Mail, **values: object) -> None:
    await _write(session, mail, body=None, due_at=None, lease_until=None, **values)


async def _write(session: AsyncSession, mail: Mail, **values: object) -> None:
    """Only for who has it in hand: the number of the try tells."""
    mine = sa.update(Mail).where(Mail.id == mail.id, Mail.attempts == mail.attempts, Mail.due_at.is_not(None))
    await session.execute(mine.values(**values).execution_options(synchronize_session=False))


def _place(mail_id: UUID) -> str:
    return f"mails.body:{mail_id}"
