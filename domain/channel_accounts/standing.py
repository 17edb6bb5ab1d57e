"""The accounts that an app has, and what they are opened with."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.encryption import decrypt
from domain.lookups import own
from models.channel_accounts import ChannelAccount


async def listed(session: AsyncSession, app_id: UUID) -> Sequence[ChannelAccount]:
    """The accounts of an app, also those that are switched off: one of a provider at most."""
    theirs = sa.select(ChannelAccount).where(ChannelAccount.app_id == app_id)
    return (await session.scalars(theirs.order_by(ChannelAccount.id))).all()


async def for_app(session: AsyncSession, app_id: UUID) -> Sequence[ChannelAccount]:
    """The accounts that an app sends through now."""
    return [account for account in await listed(session, app_id) if account.enabled]


async def get(session: AsyncSession, app_id: UUID, account_id: UUID) -> ChannelAccount:
    """One account, locked.

    Raises:
        NotFound: the app has no such account.
    """
    return await own(session, ChannelAccount, app_id, account_id, "channel account", lock=True)


def place(account_id: UUID) -> str:
    """What the credentials of an account are bound to."""
    return f"channel_accounts.credentials:{account_id}"


def secrets_of(account: ChannelAccount) -> dict[str, Any]:
    """What an account is opened with, by the names of the adapter's account.

    Raises:
        Unavailable: it does not open with the keys there are.
    """
    found: dict[str, Any] = orjson.loads(decrypt(account.credentials, place(account.id)))
    return found


def smtp_url(settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> str:
    """Where and how an SMTP account is reached, in the form of REPLYHQ_SMTP_URL."""
    user, password = (quote(secrets.get(name) or "", safe="") for name in ("username", "password"))
    host = f"[{settings['host']}]" if ":" in settings["host"] else settings["host"]
    scheme = "smtps" if settings["security"] == "TLS" else "smtp"
    return f"{scheme}://{f'{user}:{password}@' if user else ''}{host}:{settings['port']}"
