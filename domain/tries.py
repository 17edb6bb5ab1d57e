"""Guessing made slow: a try at somebody's password or code is counted before it is looked at.

From one address ten tries at an account may follow each other; after them one passes every 90 seconds. Whoever asks
for too much so locks out their own address and nobody else: an account in all takes ten times as many. Codes are short,
but only who knows the password may try them: they have a limit by the day besides. Who has shown all that they have to
show, the code too where there is a second factor, is forgiven what was tried; the address keeps its count.
docs/decisions/0009-guessing.md says why.
"""

from math import ceil
from uuid import UUID

import sqlalchemy as sa

from core import ratelimit, security
from core.database import transaction
from core.errors import Invalid, RateLimited
from core.ratelimit import Limit, neighbourhood
from domain.audit import entries
from domain.principals import Author, Principal
from models.team import AdminUser

TRIES_HERE = 10
TRIES_PER_ACCOUNT = 100
TRIES_PER_IP = 50
SIGN_UPS_PER_IP = 10
RESETS_HERE = 5
RESETS_PER_ACCOUNT = 50
TRY_WINDOW_SECONDS = 900.0
CODES_PER_DAY = 30
DAY_SECONDS = 86_400.0
PASSWORD_CHARS = 200
"""What is hashed of an attempt at most; no password is as long."""


def account(email: str) -> str:
    """The e-mail as accounts have it; what could be none of them becomes one that nobody has."""
    return email.strip().lower().replace("\0", " ")


async def count_password(email: str, ip: str) -> None:
    """Count a try at the password of an account, whether or not there is one.

    Raises:
        RateLimited: one too many.
    """
    await _count(_of_address(ip))
    await _count(_of_account_here(email, ip), _of_account(email))


async def count_code(email: str, ip: str) -> None:
    """Count a try at a code of an account.

    Raises:
        RateLimited: one too many.
    """
    await _count(_of_address(ip))
    await _count(_of_account_here(email, ip), _of_account(email), _of_codes(email))


async def count_sign_up(ip: str) -> None:
    """Count a new app from an address.

    Raises:
        RateLimited: one too many.
    """
    await _count(Limit(f"sign-up:{neighbourhood(ip)}", SIGN_UPS_PER_IP, TRY_WINDOW_SECONDS))


async def count_reset_request(email: str, ip: str) -> None:
    """Count a mail with a link to reset a password, whether or not there is such an account.

    Raises:
        RateLimited: one too many.
    """
    await _count(_of_resets(ip))
    to_account = f"reset:account:{_mark(email)}"
    here = Limit(f"{to_account}:{neighbourhood(ip)}", RESETS_HERE, TRY_WINDOW_SECONDS)
    await _count(here, Limit(to_account, RESETS_PER_ACCOUNT, TRY_WINDOW_SECONDS))


async def count_reset(ip: str) -> None:
    """Count a try at a link that resets a password.

    Raises:
        RateLimited: one too many.
    """
    await _count(_of_resets(ip))


async def _count(*limits: Limit) -> None:
    """Count a try, before anything is looked at: of many at once no more pass than of many in a row.

    It is counted by all limits or by none. An address is counted by itself and first: what its tries at an account that
    takes no more are worth must not depend on that account.

    Raises:
        RateLimited: one too many.
    """
    wait = (await ratelimit.spend(*limits, fallback="local")).wait
    if wait > 0:
        raise RateLimited(f"Too many tries. Wait {ceil(wait)} seconds.", retry_after=wait)


def _mark(email: str) -> str:
    return security.token_hash(account(email))


def _of_account_here(email: str, ip: str) -> Limit:
    return Limit(f"sign-in:account:{_mark(email)}:{neighbourhood(ip)}", TRIES_HERE, TRY_WINDOW_SECONDS)


def _of_account(email: str) -> Limit:
    return Limit(f"sign-in:account:{_mark(email)}", TRIES_PER_ACCOUNT, TRY_WINDOW_SECONDS)


def _of_codes(email: str) -> Limit:
    return Limit(f"sign-in:codes:{_mark(email)}", CODES_PER_DAY, DAY_SECONDS)


def _of_address(ip: str) -> Limit:
    return Limit(f"sign-in:ip:{neighbourhood(ip)}", TRIES_PER_IP, TRY_WINDOW_SECONDS)


def _of_resets(ip: str) -> Limit:
    return Limit(f"reset:ip:{neighbourhood(ip)}", TRIES_PER_IP, TRY_WINDOW_SECONDS)


async def forgive(email: str, ip: str) -> None:
    """Forget the tries at the password of an account: its person, who has no second factor, has shown it."""
    await _forgive(_of_account_here(email, ip), _of_account(email))


async def forgive_codes(email: str, ip: str) -> None:
    """Forget all tries at an account: its person has shown a code."""
    await _forgive(_of_account_here(email, ip), _of_account(email), _of_codes(email))


async def _forgive(*limits: Limit) -> None:
    for limit in limits:
        await ratelimit.forgive(limit.key, limit.limit, limit.per_seconds)


async def note_failure(author: Author, action: str, reason: str, *, app_id: UUID | None, user_id: UUID | None) -> None:
    """Enter a failure in the audit log, in a transaction of its own: it stays although an error is answered."""
    async with transaction(across_apps=True) as session:
        told = (None, {"reason": reason})
        entries.enter(session, author, action, app_id=app_id, entity="AdminUser", entity_id=user_id, change=told)


async def password_again(principal: Principal, password: str, field: str = "password") -> AdminUser:
    """The person who asks, once they have shown their password again. No transaction is open while it is hashed.

    Raises:
        Invalid: the password is wrong; the error names `field`.
        RateLimited: too many tries.
    """
    user = await person(principal)
    await count_password(user.email, principal.caller.ip)
    if not await security.verify_password(password[:PASSWORD_CHARS], user.password_hash):
        await note_failure(principal.author, "password.refused", "password", app_id=principal.app_id, user_id=user.id)
        raise Invalid("The password is wrong.", field=field)
    return user


async def person(principal: Principal) -> AdminUser:
    """The person who asks, in a transaction of its own.

    Raises:
        Forbidden: the asker is none.
    """
    own = sa.select(AdminUser).where(AdminUser.id == principal.person())
    async with transaction(across_apps=True) as session:
        return (await session.scalars(own)).one()
