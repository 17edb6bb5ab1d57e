"""What the product has mailed to somebody."""

import sqlalchemy as sa

from core.database import transaction
from core.encryption import decrypt
from models.mails import Mail


async def mails(email: str) -> list[Mail]:
    """The mails to an address, oldest first."""
    async with transaction() as session:
        own = sa.select(Mail).where(Mail.recipient == email).order_by(Mail.id)
        return list(await session.scalars(own))


async def subjects(email: str) -> list[str]:
    return [mail.subject for mail in await mails(email)]


async def latest(email: str) -> str:
    """The text of the last mail to an address."""
    mail = (await mails(email))[-1]
    return decrypt(mail.body or "", f"mails.body:{mail.id}")


async def link_token(email: str) -> str:
    """What follows `#token=` in the last mail to an address."""
    return (await latest(email)).partition("#token=")[2].split()[0]
