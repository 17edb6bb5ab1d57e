"""The second factor: which codes prove it, how often, and who is let in without."""

import asyncio
import os
import re
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pyotp
import pytest
import sqlalchemy as sa
import time_machine

from core import security
from core.clock import now
from core.database import transaction
from core.encryption import decrypt, encrypt
from core.errors import Conflict, Forbidden, Invalid, Unauthenticated
from domain import auth, password_resets, passwords, proofs, sessions, sign_ins, tries
from domain.permissions import DEVICE_PERMISSIONS, ENROLLING_PERMISSIONS, ROLE_PERMISSIONS
from domain.principals import Caller, Principal
from domain.sessions import SignedIn
from domain.two_factors import backup_codes, control, standing
from models.apps import App
from models.audit import AuditEntry
from models.mails import Mail
from models.password_resets import PasswordReset
from models.sessions import UserSession
from models.team import AdminUser, Membership, Role
from models.two_factors import BackupCode, TwoFactor
from tests.schema.test_statements import recorded
from tests.support import factories, second_factors
from tests.support.factories import PASSWORD, Team

STEP = timedelta(seconds=30)


def step_start() -> datetime:
    """The beginning of a time step, near the present."""
    return datetime.fromtimestamp(int(now().timestamp()) // 30 * 30, UTC)


def caller() -> Caller:
    """Somebody at an address of their own."""
    return Caller(f"2001:db8:{os.urandom(2).hex()}:{os.urandom(2).hex()}::1", "tests")


async def me(team: Team) -> Principal:
    return replace(await auth.authenticate(team.token), caller=caller())


async def challenge(team: Team, there: Caller | None = None) -> str:
    answered = await sign_ins.sign_in(there or caller(), email=team.email, password=PASSWORD)
    assert isinstance(answered, sign_ins.Challenged)
    return answered.challenge


async def sign_in(team: Team, code: str) -> SignedIn:
    """The second step alone."""
    async with transaction() as session:
        user = (await session.scalars(sa.select(AdminUser).where(AdminUser.id == team.user_id))).one()
    return await sign_ins.confirm(caller(), challenge=sign_ins._challenge(user), code=code)


async def outcomes(*attempts: Awaitable[Any]) -> list[str]:
    """What came of things done at the same time, sorted."""
    found = await asyncio.gather(*attempts, return_exceptions=True)
    return sorted(type(one).__name__ for one in found)


async def actions(team: Team) -> list[tuple[str, str]]:
    """What the audit log has about the person: actor and action."""
    about = sa.select(AuditEntry).where(AuditEntry.entity_id == team.user_id).order_by(AuditEntry.id)
    async with transaction() as session:
        return [(row.actor, row.action) for row in await session.scalars(about)]


async def mails(team: Team) -> list[tuple[str, str]]:
    """Subject and body of what was mailed to the person."""
    own = sa.select(Mail).where(Mail.recipient == team.email).order_by(Mail.created_at, Mail.id)
    async with transaction() as session:
        return [(row.subject, decrypt(row.body, f"mails.body:{row.id}")) for row in await session.scalars(own)]


async def test_the_secret_has_160_bits_and_the_uri_tells_an_authenticator_app_all(team: Team) -> None:
    made = await control.set_up(await me(team), PASSWORD)
    assert re.fullmatch("[A-Z2-7]{32}", made.secret)
    uri = urlsplit(made.uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", f"/ReplyHQ Acme:{team.email}")
    assert parse_qs(uri.query) == {"secret": [made.secret], "issuer": ["ReplyHQ Acme"]}
    assert made.qr_svg.startswith("data:image/svg+xml")


async def test_the_longest_names_fit_into_the_qr_code(team: Team) -> None:
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == team.app_id).values(name="🦜" * 100))
        longest = f"{team.user_id}{'+' * 28}@{'%' * 185}.de"
        await session.execute(sa.update(AdminUser).where(AdminUser.id == team.user_id).values(email=longest))
    assert (await control.set_up(await me(team), PASSWORD)).qr_svg.startswith("data:image/svg+xml")


async def test_what_is_kept_is_encrypted_or_hashed(team: Team) -> None:
    asker = await me(team)
    secret = (await control.set_up(asker, PASSWORD)).secret
    codes = (await control.confirm(asker, pyotp.TOTP(secret).at(now()))).backup_codes
    async with transaction() as session:
        row = (await session.scalars(sa.select(TwoFactor).where(TwoFactor.user_id == team.user_id))).one()
        kept = list(await session.scalars(sa.select(BackupCode.code_hash).where(BackupCode.user_id == team.user_id)))
        logged = [str(one) for one in await session.scalars(sa.select(AuditEntry.after))]
    assert decrypt(row.secret, f"two_factors.secret:{team.user_id}") == secret
    assert len(kept) == 10
    assert all(one.startswith("$argon2id$") for one in kept)
    told = [secret, row.secret, *codes, *(code.replace("-", "") for code in codes), *kept]
    assert [one for one in told if one in " ".join(logged)] == []


async def test_there_are_ten_backup_codes_of_55_random_bits_each_with_its_slot() -> None:
    shown = (await backup_codes.new_set()).shown
    assert [code[0] for code in shown] == list("0123456789")
    assert len({code[1:] for code in shown}) == 10
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", code) for code in shown)
    assert len(backup_codes.ALPHABET) ** backup_codes.RANDOM_CHARS == 2**55


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("4k7q-m2xa-9rtb", "4K7QM2XA9RTB"),
        (" 4K7Q M2XA 9RTB ", "4K7QM2XA9RTB"),
        ("OK7QMLXAIRTB", "0K7QM1XA1RTB"),
        ("4K7Q-M2XA-9RT", None),
        ("4K7Q-M2XA-9RTBB", None),
        ("AK7Q-M2XA-9RTB", None),
        ("4K7Q-M2XA-9RTU", None),
        ("٤K7Q-M2XA-9RTB", None),
        ("", None),
    ],
)
def test_a_backup_code_may_be_typed_in_several_ways(typed: str, code: str | None) -> None:
    assert backup_codes.parse(typed) == code


async def test_a_secret_counts_only_once_a_code_of_it_came_back(team: Team) -> None:
    asker = await me(team)
    await control.set_up(asker, PASSWORD)
    assert isinstance(await sign_ins.sign_in(caller(), email=team.email, password=PASSWORD), SignedIn)
    with pytest.raises(Invalid) as refused:
        await control.confirm(asker, "000000")
    assert refused.value.field == "code"
    assert isinstance(await sign_ins.sign_in(caller(), email=team.email, password=PASSWORD), SignedIn)


async def test_a_wrong_code_costs_no_hashing_of_backup_codes(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = await me(team)
    await control.set_up(asker, PASSWORD)
    monkeypatch.setattr(backup_codes, "new_set", None)
    assert await outcomes(control.confirm(asker, "000000")) == ["Invalid"]


async def test_nothing_is_confirmed_that_was_not_set_up(team: Team) -> None:
    with pytest.raises(Conflict, match="setUpTwoFactor"):
        await control.confirm(await me(team), "123456")


async def test_setting_up_again_replaces_a_secret_that_was_not_confirmed(team: Team) -> None:
    asker = await me(team)
    first, second = [(await control.set_up(asker, PASSWORD)).secret for _ in range(2)]
    with pytest.raises(Invalid):
        await control.confirm(asker, pyotp.TOTP(first).at(now()))
    assert (await control.confirm(asker, pyotp.TOTP(second).at(now()))).two_factor.is_confirmed


async def test_setting_up_at_the_same_time_leaves_one_secret(team: Team) -> None:
    asker = await me(team)

    async def keep(closed: str) -> str:
        async with transaction() as session:
            await control._keep_secret(session, asker, closed)
        return closed

    kept = await asyncio.gather(*(keep(f"secret {number}") for number in range(5)))
    async with transaction() as session:
        row = (await session.scalars(sa.select(TwoFactor).where(TwoFactor.user_id == team.user_id))).one()
    assert row.secret in kept


async def test_a_confirmed_one_is_neither_set_up_nor_confirmed_again(team: Team) -> None:
    totp, asker = await second_factors.confirmed(team), await me(team)
    with pytest.raises(Conflict, match="disableTwoFactor"):
        await control.set_up(asker, PASSWORD)
    with pytest.raises(Conflict, match="disableTwoFactor"):
        await control.confirm(asker, totp.at(now()))
    assert (await second_factors.known(team)).secret == totp.secret


async def test_confirming_ends_all_sessions_and_gives_one_in_the_place_of_the_one_at_hand(team: Team) -> None:
    other = await sign_ins.sign_in(caller(), email=team.email, password=PASSWORD)
    asker = await me(team)
    secret = (await control.set_up(asker, PASSWORD)).secret
    confirmed = await control.confirm(asker, pyotp.TOTP(secret).at(now()))
    on = await auth.authenticate(confirmed.access_token)
    assert (on.session_id, on.user_id, on.app_id) == (confirmed.session.id, asker.user_id, asker.app_id)
    assert on.session_id != asker.session_id
    async with transaction() as session:
        old = await session.get(UserSession, asker.session_id)
    assert old is not None
    assert confirmed.session.expires_at == old.expires_at, "it lives no longer"
    for dead in (team.token, other.access_token):
        with pytest.raises(Unauthenticated):
            await auth.authenticate(dead)
    renewed = await sessions.refresh(caller(), confirmed.refresh_token)
    assert (await auth.prove(renewed.access_token)).session_id == confirmed.session.id


async def test_confirming_twice_at_once_confirms_once(team: Team) -> None:
    asker = await me(team)
    code = pyotp.TOTP((await control.set_up(asker, PASSWORD)).secret).at(now())
    assert await outcomes(control.confirm(asker, code), control.confirm(asker, code)) == ["Confirmed", "Conflict"]


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_may_be_one_step_early_or_late(team: Team, steps: int, good: bool) -> None:
    totp, at = await second_factors.confirmed(team), step_start()
    with time_machine.travel(at, tick=False):
        assert await outcomes(sign_in(team, totp.at(at, counter_offset=steps))) == [
            "SignedIn" if good else "Unauthenticated"
        ]


async def test_a_code_is_good_once(team: Team) -> None:
    totp, at = await second_factors.confirmed(team), step_start()
    with time_machine.travel(at, tick=False):
        await sign_in(team, totp.at(at))
        with pytest.raises(Unauthenticated) as refused:
            await sign_in(team, totp.at(at))
    assert refused.value.field == "code"


async def test_an_older_code_is_refused_after_a_newer_one(team: Team) -> None:
    totp, at = await second_factors.confirmed(team), step_start()
    with time_machine.travel(at, tick=False):
        await sign_in(team, totp.at(at))
        assert await outcomes(sign_in(team, totp.at(at - STEP))) == ["Unauthenticated"]
        await sign_in(team, totp.at(at + STEP))


async def test_of_one_code_given_twice_at_once_one_is_taken(team: Team) -> None:
    totp, at = await second_factors.confirmed(team), step_start()
    with time_machine.travel(at, tick=False):
        found = await outcomes(*(sign_in(team, totp.at(at)) for _ in range(4)))
    assert found == ["SignedIn", "Unauthenticated", "Unauthenticated", "Unauthenticated"]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "0" * 10_000, "\0", "-- --"])
async def test_what_is_no_code_proves_nothing(team: Team, code: str) -> None:
    await second_factors.confirmed(team)
    assert await outcomes(sign_in(team, code)) == ["Unauthenticated"]


async def test_digits_may_be_grouped(team: Team) -> None:
    totp, at = await second_factors.confirmed(team), step_start()
    with time_machine.travel(at, tick=False):
        code = totp.at(at)
        assert isinstance(await sign_in(team, f" {code[:3]} {code[3:]} "), SignedIn)


async def with_codes(team: Team) -> list[str]:
    """Fresh backup codes of a person with a second factor."""
    await second_factors.confirmed(team)
    fresh = await backup_codes.new_set()
    async with transaction() as session:
        await backup_codes.replace(session, team.user_id, fresh.hashes)
    return fresh.shown


async def test_a_backup_code_is_good_once_and_is_told(team: Team) -> None:
    codes = await with_codes(team)
    assert isinstance(await sign_in(team, codes[3].lower()), SignedIn)
    assert await outcomes(sign_in(team, codes[3])) == ["Unauthenticated"]
    assert await actions(team) == [
        (f"user:{team.user_id}", "two_factor.backup_code_used"),
        ("nobody", "sign_in.failed"),
    ]
    ((subject, body),) = await mails(team)
    assert subject == "ReplyHQ: A backup code was used"
    assert "You have 9 left." in body
    assert "renew" not in body


async def test_a_backup_code_is_no_code_of_another_slot_or_person(team: Team) -> None:
    codes, other = await with_codes(team), await factories.team()
    await with_codes(other)
    assert await outcomes(sign_in(team, f"4{codes[3][1:]}")) == ["Unauthenticated"]
    assert await outcomes(sign_in(other, codes[3])) == ["Unauthenticated"]


async def test_of_one_backup_code_given_at_once_one_is_taken(team: Team) -> None:
    codes = await with_codes(team)
    found = await outcomes(*(sign_in(team, codes[0]) for _ in range(4)))
    assert found == ["SignedIn", "Unauthenticated", "Unauthenticated", "Unauthenticated"]
    assert len(await mails(team)) == 1


async def test_who_has_two_backup_codes_left_is_warned(team: Team) -> None:
    codes = await with_codes(team)
    used = sa.update(BackupCode).where(BackupCode.user_id == team.user_id, BackupCode.slot < 6)
    async with transaction() as session:
        await session.execute(used.values(used_at=now()))
    await sign_in(team, codes[8])
    await sign_in(team, codes[9])
    told = [("You have 3 left" in body, "You have 2 left" in body, "renew" in body) for _, body in await mails(team)]
    assert told == [(True, False, False), (False, True, True)]


async def test_a_code_of_the_app_uses_no_backup_code_up(team: Team) -> None:
    await with_codes(team)
    totp = await second_factors.known(team)
    await sign_in(team, totp.at(now()))
    async with transaction() as session:
        assert await backup_codes.left(session, team.user_id) == 10


async def test_new_backup_codes_kill_the_old_ones(team: Team) -> None:
    codes, asker = await with_codes(team), await me(team)
    fresh = await control.renew_codes(asker, PASSWORD, codes[0])
    assert fresh.two_factor.backup_codes_left == 10
    assert await outcomes(sign_in(team, codes[1])) == ["Unauthenticated"]
    assert await outcomes(sign_in(team, fresh.backup_codes[1])) == ["SignedIn"]


async def test_password_and_code_are_asked_for_again(team: Team) -> None:
    asker = await me(team)
    with pytest.raises(Invalid) as refused:
        await control.set_up(asker, "not the password")
    assert refused.value.field == "password"
    totp = await second_factors.confirmed(team)
    code = totp.at(now())
    for change in (control.disable, control.renew_codes):
        with pytest.raises(Invalid) as refused:
            await change(asker, "not the password", code)
        assert refused.value.field == "password"
        with pytest.raises(Invalid) as refused:
            await change(asker, PASSWORD, "000000")
        assert refused.value.field == "code"
    by_me = f"user:{team.user_id}"
    assert await actions(team) == [
        (by_me, "password.refused"),
        *[(by_me, "password.refused"), (by_me, "two_factor.refused")] * 2,
    ]


async def test_without_a_second_factor_nothing_is_disabled_or_renewed(team: Team) -> None:
    asker = await me(team)
    assert await outcomes(control.disable(asker, PASSWORD, "123456")) == ["Conflict"]
    assert await outcomes(control.renew_codes(asker, PASSWORD, "123456")) == ["Conflict"]


async def test_disabled_it_is_gone_with_its_codes_and_can_be_set_up_anew(team: Team) -> None:
    codes, asker = await with_codes(team), await me(team)
    stands = await control.disable(asker, PASSWORD, codes[0])
    assert stands == standing.Standing(is_confirmed=False, confirmed_at=None, backup_codes_left=0, is_required=False)
    assert isinstance(await sign_ins.sign_in(caller(), email=team.email, password=PASSWORD), SignedIn)
    assert (await actions(team))[-1][1] == "two_factor.disabled"
    assert (await mails(team))[-1][0] == "ReplyHQ: second factor disabled"
    secret = (await control.set_up(asker, PASSWORD)).secret
    assert (await control.confirm(asker, pyotp.TOTP(secret).at(now()))).two_factor.is_confirmed


async def test_disabling_ends_the_other_sessions(team: Team) -> None:
    totp, asker = await second_factors.confirmed(team), await me(team)
    other = await sign_in(team, totp.at(now()))
    await control.disable(asker, PASSWORD, totp.at(now(), counter_offset=1))
    assert (await me(team)).session_id == asker.session_id
    with pytest.raises(Unauthenticated):
        await auth.prove(other.access_token)


async def test_tries_with_wrong_codes_are_throttled_by_the_account_and_by_the_day(team: Team) -> None:
    await second_factors.confirmed(team)
    here = caller()
    opened = await challenge(team, here)

    def attempt(there: Caller) -> Awaitable[SignedIn]:
        return sign_ins.confirm(there, challenge=opened, code="000000")

    found = await outcomes(*(attempt(here) for _ in range(15)))
    assert found == ["RateLimited"] * 6 + ["Unauthenticated"] * 9, "one of ten was the password"
    found = await outcomes(*(attempt(caller()) for _ in range(tries.CODES_PER_DAY)))
    assert found == ["RateLimited"] * 9 + ["Unauthenticated"] * 21, "however many addresses"


async def test_a_right_password_does_not_forgive_wrong_codes(team: Team) -> None:
    await second_factors.confirmed(team)
    here = caller()
    for _ in range(tries.TRIES_HERE // 2):
        opened = await challenge(team, here)
        assert await outcomes(sign_ins.confirm(here, challenge=opened, code="000000")) == ["Unauthenticated"]
    assert await outcomes(sign_ins.sign_in(here, email=team.email, password=PASSWORD)) == ["RateLimited"]


async def test_a_right_code_forgives_wrong_ones(team: Team) -> None:
    totp, here = await second_factors.confirmed(team), caller()
    opened = await challenge(team, here)
    for _ in range(tries.TRIES_HERE - 2):
        await outcomes(sign_ins.confirm(here, challenge=opened, code="000000"))
    await sign_ins.confirm(here, challenge=opened, code=totp.at(now()))
    found = await outcomes(*(tries.count_code(team.email, here.ip) for _ in range(tries.TRIES_HERE)))
    assert found == ["NoneType"] * tries.TRIES_HERE


async def codes_left(team: Team) -> int:
    """How many codes of the person could still be tried from an address that has tried none."""
    counted = [tries.count_code(team.email, caller().ip) for _ in range(tries.CODES_PER_DAY + 1)]
    return (await outcomes(*counted)).count("NoneType")


async def test_no_password_alone_forgives_codes(team: Team) -> None:
    await second_factors.confirmed(team)
    asker = await me(team)
    for _ in range(tries.TRIES_HERE - 1):
        await outcomes(sign_ins.confirm(asker.caller, challenge=await challenge(team), code="000000"))
    await passwords.change(asker, current=PASSWORD, new="another good password")
    refused = await outcomes(sign_ins.sign_in(asker.caller, email=team.email, password="another good password"))
    assert refused == ["RateLimited"], "nor the tries at the account"
    assert await codes_left(team) == tries.CODES_PER_DAY - tries.TRIES_HERE + 1


async def test_setting_up_again_and_again_forgives_no_codes(team: Team) -> None:
    asker = await me(team)
    for _ in range(3):
        await control.set_up(asker, PASSWORD)
        assert await outcomes(control.confirm(asker, "000000")) == ["Invalid"]
    assert await codes_left(team) == tries.CODES_PER_DAY - 3


async def test_of_fifty_sign_ins_at_once_from_an_address_ten_are_evaluated(team: Team) -> None:
    here = caller()

    def attempt() -> Awaitable[Any]:
        return sign_ins.sign_in(here, email=team.email, password="not the password")

    found = await outcomes(*(attempt() for _ in range(50)))
    assert found == ["RateLimited"] * 40 + ["Unauthenticated"] * 10


async def test_nobody_locks_somebody_else_out(team: Team) -> None:
    """From all the addresses that a few have; the person still gets in from their own."""
    for there in (caller() for _ in range(3)):
        await outcomes(*(tries.count_password(team.email, there.ip) for _ in range(50)))
    signed_in = await sign_ins.sign_in(caller(), email=team.email, password=PASSWORD)
    assert isinstance(signed_in, SignedIn)


async def test_an_account_in_all_takes_a_hundred_tries_from_however_many_addresses(team: Team) -> None:
    found = await outcomes(*(tries.count_password(team.email, caller().ip) for _ in range(110)))
    assert found == ["NoneType"] * 100 + ["RateLimited"] * 10


async def test_an_address_is_counted_whatever_the_account_takes(team: Team) -> None:
    here, other = caller(), await factories.team()
    await outcomes(*(tries.count_password(team.email, here.ip) for _ in range(tries.TRIES_PER_IP)))
    assert await outcomes(tries.count_password(other.email, here.ip)) == ["RateLimited"]


async def failures(**where: Any) -> list[dict[str, Any]]:
    """What the audit log has of failed sign-ins."""
    failed = sa.select(AuditEntry).filter_by(action="sign_in.failed", **where).order_by(AuditEntry.id)
    async with transaction() as session:
        rows = list(await session.scalars(failed))
    return [{"actor": row.actor, "app": row.app_id, "who": row.entity_id, "after": row.after} for row in rows]


async def test_a_failed_sign_in_is_kept_in_the_audit_log(team: Team) -> None:
    await second_factors.confirmed(team)
    here = caller()
    opened = await challenge(team, here)
    await outcomes(sign_ins.sign_in(here, email=team.email, password="wrong"))
    for _ in range(tries.TRIES_HERE - 1):
        await outcomes(sign_ins.confirm(here, challenge=opened, code="000000"))
    seen = await failures(entity_id=team.user_id)
    known = {"actor": "nobody", "app": team.app_id, "who": team.user_id}
    reasons = ["password", *["code"] * 8, "throttled"]
    assert seen == [known | {"after": {"reason": reason}} for reason in reasons]


async def test_a_right_password_that_is_answered_by_a_challenge_is_kept_in_the_audit_log(team: Team) -> None:
    await second_factors.confirmed(team)
    somewhere = caller()
    await challenge(team, somewhere)
    async with transaction() as session:
        (kept,) = await session.scalars(sa.select(AuditEntry).where(AuditEntry.ip == somewhere.ip))
    known = ("sign_in.challenged", "nobody", team.app_id, "AdminUser", team.user_id)
    assert (kept.action, kept.actor, kept.app_id, kept.entity, kept.entity_id) == known
    assert (kept.before, kept.after) == (None, None)


async def test_of_an_unknown_e_mail_the_log_keeps_nothing_but_the_address(team: Team) -> None:
    somewhere = caller()
    await outcomes(sign_ins.sign_in(somewhere, email="secret-name@example.com", password=PASSWORD))
    (kept,) = await failures(ip=somewhere.ip)
    assert kept == {"actor": "nobody", "app": None, "who": None, "after": {"reason": "password"}}


async def test_a_challenge_that_is_none_is_kept_in_the_audit_log() -> None:
    somewhere = caller()
    await outcomes(sign_ins.confirm(somewhere, challenge="nonsense", code="000000"))
    (kept,) = await failures(ip=somewhere.ip)
    assert kept == {"actor": "nobody", "app": None, "who": None, "after": {"reason": "challenge"}}


async def test_a_known_and_an_unknown_e_mail_cost_the_same_statements(team: Team) -> None:
    with recorded() as known:
        await outcomes(sign_ins.sign_in(caller(), email=team.email, password="wrong"))
    with recorded() as unknown:
        await outcomes(sign_ins.sign_in(caller(), email=f"{team.user_id}@example.org", password="wrong"))
    assert unknown == known


@pytest.mark.parametrize(
    ("age", "found"), [(timedelta(minutes=5), "SignedIn"), (timedelta(minutes=6), "Unauthenticated")]
)
async def test_a_challenge_is_good_for_five_minutes(team: Team, age: timedelta, found: str) -> None:
    totp, opened = await second_factors.confirmed(team), await challenge(team)
    with time_machine.travel(now() + age, tick=False):
        assert await outcomes(sign_ins.confirm(caller(), challenge=opened, code=totp.at(now()))) == [found]


async def test_a_challenge_dies_with_the_password_and_with_the_second_factor(team: Team) -> None:
    totp = await second_factors.confirmed(team)
    opened = await challenge(team)
    own = sa.update(AdminUser).where(AdminUser.id == team.user_id)
    async with transaction() as session:
        before = await session.scalar(sa.select(AdminUser.password_hash).where(AdminUser.id == team.user_id))
        await session.execute(own.values(password_hash="another"))
    code = totp.at(now())
    assert await outcomes(sign_ins.confirm(caller(), challenge=opened, code=code)) == ["Unauthenticated"]
    async with transaction() as session:
        await session.execute(own.values(password_hash=before))
        await session.execute(sa.update(TwoFactor).where(TwoFactor.user_id == team.user_id).values(confirmed_at=None))
    assert await outcomes(sign_ins.confirm(caller(), challenge=opened, code=code)) == ["Unauthenticated"]


async def test_a_password_reset_does_not_pass_the_second_factor_by(team: Team) -> None:
    await second_factors.confirmed(team)
    token, new = security.random_token(), "another horse battery"
    async with transaction() as session:
        hashed, at = security.token_hash(token), now() + timedelta(hours=1)
        await session.merge(PasswordReset(user_id=team.user_id, token_hash=hashed, expires_at=at))
    await password_resets.reset(caller(), token=token, new=new)
    answered = await sign_ins.sign_in(caller(), email=team.email, password=new)
    assert isinstance(answered, sign_ins.Challenged)


async def require(app_id: UUID) -> None:
    async with transaction() as session:
        await session.execute(sa.update(App).where(App.id == app_id).values(requires_two_factor=True))
        proofs.outdated(session)


@pytest.mark.parametrize(("role", "restricted"), [(Role.OWNER, True), (Role.ADMIN, True), (Role.AGENT, False)])
async def test_owners_and_admins_are_restricted_where_the_app_requires_a_second_factor(
    role: Role, restricted: bool
) -> None:
    team = await factories.team(role)
    assert (await me(team)).permissions == ROLE_PERMISSIONS[role]
    await require(team.app_id)
    asker = await me(team)
    assert asker.must_enrol is restricted
    assert asker.permissions == (ENROLLING_PERMISSIONS if restricted else ROLE_PERMISSIONS[role])
    secret = (await control.set_up(asker, PASSWORD)).secret
    confirmed = await control.confirm(asker, pyotp.TOTP(secret).at(now()))
    assert (await auth.prove(confirmed.access_token)).permissions == ROLE_PERMISSIONS[role]


async def test_a_device_needs_no_second_factor(team: Team) -> None:
    await require(team.app_id)
    (device,) = await factories.contacts(team.app_id, 1)
    assert (await auth.prove(await factories.device_token(device))).permissions == DEVICE_PERMISSIONS


async def test_who_becomes_an_admin_is_restricted_at_once(team: Team) -> None:
    await require(team.app_id)
    agent = await factories.team(Role.AGENT, team.app_id)
    assert not (await me(agent)).must_enrol
    async with transaction() as session:
        await session.execute(sa.update(Membership).where(Membership.user_id == agent.user_id).values(role=Role.ADMIN))
        proofs.outdated(session)
    assert (await me(agent)).permissions == ENROLLING_PERMISSIONS


async def test_each_session_is_judged_by_the_rule_of_its_own_app(team: Team) -> None:
    strict = await factories.team()
    await require(strict.app_id)
    async with transaction() as session:
        member = Membership(app_id=strict.app_id, user_id=team.user_id, role=Role.ADMIN)
        session.add(member)
        await session.flush()
        there = await sessions.start(session, member, caller())
    assert (await auth.prove(there.access_token)).must_enrol
    assert not (await me(team)).must_enrol


async def test_disabling_where_it_is_required_restricts_again(team: Team) -> None:
    totp = await second_factors.confirmed(team)
    await require(team.app_id)
    asker = await me(team)
    assert not asker.must_enrol
    assert (await control.disable(asker, PASSWORD, totp.at(now()))).is_required
    assert (await me(team)).permissions == ENROLLING_PERMISSIONS


async def test_a_session_that_began_without_the_second_factor_is_dead_once_there_is_one(team: Team) -> None:
    await second_factors.confirmed(team)
    async with transaction() as session:
        own = sa.update(UserSession).where(UserSession.user_id == team.user_id)
        await session.execute(own.values(second_factor_at=None))
    with pytest.raises(Unauthenticated):
        await me(team)


async def test_a_person_is_proven_by_one_statement(team: Team) -> None:
    await second_factors.confirmed(team)
    await require(team.app_id)
    with recorded() as seen:
        await auth.prove(team.token)
    assert len(seen) == 1, seen


async def test_only_who_has_a_second_factor_requires_one(team: Team) -> None:
    asker = await me(team)

    async def ask(required: bool) -> App:
        async with transaction() as session:
            return await standing.require(session, asker, required)

    with pytest.raises(Conflict) as refused:
        await ask(required=True)
    assert refused.value.field == "requiresTwoFactor"
    await second_factors.confirmed(team)
    assert (await ask(required=True)).requires_two_factor
    assert not (await ask(required=False)).requires_two_factor


async def test_an_app_is_not_changed_by_a_program(team: Team) -> None:
    program = Principal(team.app_id, frozenset(), now(), api_key_id=team.app_id)
    async with transaction() as session:
        with pytest.raises(Forbidden):
            await standing.require(session, program, required=False)


async def test_a_secret_does_not_open_at_another_person(team: Team) -> None:
    other = await factories.team()
    totp = await second_factors.confirmed(team)
    closed = encrypt(totp.secret, f"two_factors.secret:{team.user_id}")
    async with transaction() as session:
        session.add(TwoFactor(user_id=other.user_id, secret=closed, confirmed_at=now()))
    assert await outcomes(sign_in(other, totp.at(now()))) == ["Misconfigured"]
