"""Setting and removing the accounts of an app at providers."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import now
from core.encryption import encrypt
from core.errors import Invalid
from core.ids import new_id
from core.json import encode
from domain import facts
from domain.channel_accounts import providers, standing
from domain.channel_accounts.providers import ApnsFields, FcmFields, Fields, Prepared, SmtpFields, WebPushFields
from domain.principals import Principal
from models.apps import App
from models.channel_accounts import ChannelAccount, ChannelProvider
from models.facts import FactKind

RATE_MOST = 10_000
_KINDS = {
    FcmFields: ChannelProvider.FCM,
    ApnsFields: ChannelProvider.APNS,
    WebPushFields: ChannelProvider.WEB_PUSH,
    SmtpFields: ChannelProvider.SMTP,
}


async def set_account(
    session: AsyncSession, principal: Principal, fields: Fields, *, rate_per_second: int | None, enabled: bool
) -> ChannelAccount:
    """Have an app send through this account of a provider from now on, instead of the one before.

    Raises:
        Invalid: a field breaks its rule, or a secret is left out and there is none to keep.
        Unavailable: there is no key to encrypt with.
    """
    if rate_per_second is not None and not 1 <= rate_per_second <= RATE_MOST:
        raise Invalid(f"ratePerSecond must be from 1 to {RATE_MOST}.", field="ratePerSecond")
    row = await _held(session, principal.app_id, _KINDS[type(fields)])
    prepared = _prepared(fields, row)
    if row is None:
        row = ChannelAccount(id=new_id(), app_id=principal.app_id, provider=_KINDS[type(fields)])
        session.add(row)
    if prepared.secrets is not None:
        row.credentials = encrypt(encode(prepared.secrets).decode(), standing.place(row.id))
        row.fingerprint = prepared.fingerprint
    row.settings, row.rate_per_second, row.enabled = prepared.settings, rate_per_second, enabled
    row.updated_at = now()
    facts.record(session, principal.author, FactKind.CHANNEL_ACCOUNT_SET, row)
    return row


async def _held(session: AsyncSession, app_id: UUID, provider: ChannelProvider) -> ChannelAccount | None:
    """The account there is; the app is locked, so that two who set one do it one after the other."""
    await session.execute(sa.select(App.id).where(App.id == app_id).with_for_update(key_share=True))
    own = sa.select(ChannelAccount).where(ChannelAccount.app_id == app_id, ChannelAccount.provider == provider)
    return (await session.scalars(own)).one_or_none()


def _prepared(fields: Fields, row: ChannelAccount | None) -> Prepared:
    old = row.settings if row else None
    match fields:
        case FcmFields():
            return providers.fcm(fields, old)
        case ApnsFields():
            return providers.apns(fields, old)
        case WebPushFields():
            return providers.web_push(fields, old)
        case SmtpFields():
            return providers.smtp(fields, old)


async def remove(session: AsyncSession, principal: Principal, account_id: UUID) -> ChannelAccount:
    """Forget an account and its credentials.

    Raises:
        NotFound: the app has no such account.
    """
    row = await standing.get(session, principal.app_id, account_id)
    await session.delete(row)
    facts.record(session, principal.author, FactKind.CHANNEL_ACCOUNT_REMOVED, row)
    return row
