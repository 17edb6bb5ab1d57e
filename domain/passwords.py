"""Passwords: which ones are taken, and how a person who knows theirs changes it.

How many characters, and how hard to guess: nothing else is asked of a password, neither digits nor signs, and nothing
of it is cut off (OWASP ASVS 5.0, 6.2).
"""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from zxcvbn import zxcvbn

from core.database import transaction
from core.errors import Invalid
from core.security import hash_password
from domain import mails, sessions, tries
from domain.audit import entries
from domain.principals import Author, Principal
from domain.sessions import SignedIn
from models.facts import FactKind
from models.password_resets import PasswordReset
from models.team import AdminUser

LEAST = 12
MOST = 128
GUESSES_LEAST = 1_000_000
JUDGED_CHARS = 20
"""What is judged of a password: what follows makes it harder to guess, and this takes a third of a second at worst."""


async def check(password: str, *, field: str = "password", known: Iterable[str] = ()) -> None:
    """Refuse a password that is too short or too easily guessed to be safe, or too long to hash.

    Args:
        password: as it was typed.
        field: what an error names.
        known: what everybody knows of its person: e-mail, name, app.

    Raises:
        Invalid: it has fewer than 12 or more than 128 characters, or whoever tries what people usually take, or what
            is known of its person, finds it with a million guesses.
    """
    if not LEAST <= len(password) <= MOST:
        raise Invalid(f"A password has {LEAST} to {MOST} characters.", field=field)
    judged = await asyncio.to_thread(zxcvbn, password[:JUDGED_CHARS], user_inputs=_words(known))
    if judged["guesses"] < GUESSES_LEAST:
        raise Invalid("This password is easily guessed. Take several words that say nothing of you.", field=field)


def _words(known: Iterable[str]) -> list[str]:
    """What is known, whole, without blanks, and in parts."""
    written = [(text, text.replace(" ", ""), *text.replace("@", " ").split()) for text in known]
    return [word[:JUDGED_CHARS] for words in written for word in words]


async def change(principal: Principal, *, current: str, new: str) -> SignedIn:
    """Change the asker's password. All their sessions end, and they get one in the place of the one they ask with.

    It has its own transactions: none is open while a password is hashed.

    Raises:
        Invalid: the current password is wrong, or the new one is refused.
        RateLimited: too many tries.
        Unauthenticated: the session has ended meanwhile.
    """
    user = await tries.password_again(principal, current, "currentPassword")
    await check(new, field="newPassword", known=(user.email, user.name))
    hashed = await hash_password(new)
    async with transaction(across_apps=True) as session:
        own = sa.select(AdminUser).where(AdminUser.id == user.id).with_for_update(key_share=True)
        row = (await session.scalars(own)).one()
        await replace(session, principal.author, row, hashed, action="user.password_changed", app_id=principal.app_id)
        signed_in = await sessions.replace(session, principal, FactKind.SESSION_STARTED)
        await sessions.end_all(session, principal.author, user.id, but=signed_in.session.id)
    if signed_in.session.second_factor_at is None:
        await tries.forgive(user.email, principal.caller.ip)
    return signed_in


async def replace(
    session: AsyncSession, author: Author, user: AdminUser, password_hash: str, *, action: str, app_id: UUID | None
) -> None:
    """Put a new password in the place of the old one, and tell the person by mail. Links to reset it die.

    Args:
        session: the transaction, which ends the person's sessions too.
        author: who does it.
        user: whose password it is. Their row is locked.
        password_hash: of the new one.
        action: what the audit log calls it.
        app_id: the app whose audit log it is.
    """
    user.password_hash = password_hash
    change = entries.change_of(session, user)
    entries.enter(session, author, action, app_id=app_id, entity="AdminUser", entity_id=user.id, change=change)
    await session.execute(sa.delete(PasswordReset).where(PasswordReset.user_id == user.id))
    told = f"The password of your account was changed just now, from the address {author.ip or 'unknown'}."
    unless = "If it was not you, ask for a link to reset it, and tell an owner of your app."
    mails.queue(session, to=user.email, subject="ReplyHQ: your password was changed", body=f"{told}\n\n{unless}\n")
