"""The form of API keys, and the rules of who may have which: A5."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from core import security
from core.clock import now
from core.database import transaction
from core.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from core.ids import new_id
from domain import auth, proofs
from domain.api_keys import control, standing
from domain.api_keys.control import NewApiKey
from domain.api_keys.standing import ApiKeyStatus
from domain.pages import PageRequest
from domain.permissions import ROLE_PERMISSIONS, SCOPES, Permission
from models.api_keys import ApiKey, ApiKeyMode
from models.audit import AuditEntry
from models.facts import Fact
from models.team import Role
from tests.schema.test_statements import recorded
from tests.support import factories
from tests.support.factories import Team
from tests.support.waiting import until

HOUR = timedelta(hours=1)


@given(st.sampled_from(["live", "test"]))
def test_a_key_has_its_form(mode: str) -> None:
    key = security.random_api_key(mode)
    assert security.API_KEY.fullmatch(key)
    assert security.is_api_key(key)
    assert (len(key), security.shown_part(key)) == (65, key[:16])
    assert not security.is_signed(key)


@given(st.sampled_from(["live", "test"]), st.integers(0, 64), st.characters())
def test_a_key_with_one_character_changed_is_none(mode: str, place: int, character: str) -> None:
    key = security.random_api_key(mode)
    changed = f"{key[:place]}{character}{key[place + 1 :]}"
    assert security.is_api_key(changed) is (changed == key)


@given(st.integers(0, 64))
def test_a_key_with_one_character_too_few_or_too_many_is_none(place: int) -> None:
    key = security.random_api_key("live")
    assert not security.is_api_key(key[:place] + key[place + 1 :])
    assert not security.is_api_key(key[:place] + "0" + key[place:])


def test_keys_are_found_by_scanners_and_never_alike() -> None:
    keys = {security.random_api_key("live") for _ in range(1_000)}
    assert len({security.shown_part(key) for key in keys}) == 1_000
    assert all(key.startswith("rk_live_") for key in keys)


@pytest.mark.parametrize("token", ["rk_", "rk_live_short", "rk_live_" + "a" * 57, "rk_prod_" + "a" * 57])
async def test_a_wrong_checksum_costs_no_statement(token: str) -> None:
    with recorded() as statements, pytest.raises(Unauthenticated):
        await auth.authenticate(token)
    assert statements == []


async def test_a_right_checksum_is_looked_up() -> None:
    with recorded() as statements, pytest.raises(Unauthenticated):
        await auth.authenticate(security.random_api_key("live"))
    assert len([one for one in statements if "api_keys" in one]) == 1


async def test_a_key_is_proven_as_a_program_of_its_app(team: Team) -> None:
    made = await factories.api_key(team, Permission.VIEW_CONTACTS, Permission.SEND_BROADCASTS)
    asker = await auth.prove(made.secret)
    assert (asker.app_id, asker.api_key_id, asker.user_id) == (team.app_id, made.api_key.id, None)
    assert asker.permissions == {Permission.VIEW_CONTACTS, Permission.SEND_BROADCASTS}
    assert asker.author.actor == f"key:{made.api_key.id}"
    assert asker.expires_at > now() + timedelta(days=36_500)
    assert made.secret.startswith("rk_live_")
    assert made.api_key.prefix == made.secret[:16]
    assert made.api_key.secret_hash == hashlib.sha256(made.secret.encode()).hexdigest()


async def test_what_no_key_may_is_left_out_wherever_it_came_from(team: Team) -> None:
    made = await factories.api_key(team)
    kept = ["VIEW_CONTACTS", "MANAGE_TEAM", "OWN_ACCOUNT", "MANAGE_API_KEYS", "RECEIVE_MESSAGES", "NO_MORE"]
    await _set(made, scopes=kept)
    assert (await auth.prove(made.secret)).permissions == {Permission.VIEW_CONTACTS}


async def test_many_who_ask_at_once_are_answered_by_few_statements(team: Team) -> None:
    made = [await factories.api_key(team) for _ in range(10)]
    with recorded() as statements:
        found = await asyncio.gather(*(auth.prove(one.secret) for one in made * 10))
    assert [asker.api_key_id for asker in found] == [one.api_key.id for one in made * 10]
    assert len([one for one in statements if one.startswith("SELECT")]) <= 2


@pytest.mark.parametrize("forbidden", sorted(set(Permission) - SCOPES))
async def test_no_key_can_have_what_is_a_persons(team: Team, forbidden: Permission) -> None:
    with pytest.raises(Invalid) as refused:
        await factories.api_key(team, Permission.VIEW_CONTACTS, forbidden)
    assert (refused.value.field, refused.value.message) == ("scopes", f"No key can have {forbidden}.")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"expires_at": now() - HOUR}, "expiresAt"),
        ({"expires_at": now() + timedelta(days=36_600)}, "expiresAt"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(team: Team, fields: dict, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await factories.api_key(team, **fields)
    assert refused.value.field == field


async def test_nobody_gives_away_what_they_have_not(team: Team) -> None:
    weak = replace(factories.principal(team), permissions=ROLE_PERMISSIONS[Role.ADMIN])
    strong = await factories.api_key(team, Permission.DELETE_BROADCASTS)
    asked = {"name": "Shop", "mode": ApiKeyMode.LIVE, "scopes": [Permission.MANAGE_SETTINGS], "expires_at": None}
    scopes = [Permission.MANAGE_SETTINGS]
    for refused in (
        lambda session: control.create(session, weak, asked),
        lambda session: control.update(session, weak, strong.api_key.id, scopes=scopes),
        lambda session: control.regenerate(session, weak, strong.api_key.id, 24),
    ):
        with pytest.raises(Forbidden):
            async with transaction() as session:
                await refused(session)


async def test_a_key_makes_no_keys(team: Team) -> None:
    made = await factories.api_key(team)
    program = replace(await auth.prove(made.secret), permissions=frozenset(Permission))
    asked = {"name": "Shop", "mode": ApiKeyMode.LIVE, "scopes": [Permission.VIEW_TEAM], "expires_at": None}
    with pytest.raises(Forbidden):
        async with transaction() as session:
            await control.create(session, program, asked)
    with pytest.raises(Forbidden):
        async with transaction() as session:
            await control.regenerate(session, program, made.api_key.id, 24)


async def test_an_app_has_fifty_live_keys_also_when_two_are_made_at_once(team: Team) -> None:
    first = await factories.api_key(team)
    for _ in range(48):
        await factories.api_key(team)
    asked = {"name": "Shop", "mode": ApiKeyMode.LIVE, "scopes": [Permission.VIEW_TEAM], "expires_at": None}
    async with transaction() as session:
        await control.create(session, factories.principal(team), asked)
        pid = await session.scalar(sa.select(sa.func.pg_backend_pid()))
        second = asyncio.create_task(factories.api_key(team))
        await until(lambda: _waiting_for(pid))
    with pytest.raises(Conflict):
        await second
    assert isinstance(await _try_regenerate(team, first, 1), Conflict)
    assert isinstance(await _try_regenerate(team, first, 0), NewApiKey)


async def _try_regenerate(team: Team, made: NewApiKey, hours: int) -> NewApiKey | DomainError:
    try:
        async with transaction() as session:
            return await control.regenerate(session, factories.principal(team), made.api_key.id, hours)
    except DomainError as error:
        return error


async def _regenerate(team: Team, made: NewApiKey, hours: int = 24) -> NewApiKey:
    found = await _try_regenerate(team, made, hours)
    assert isinstance(found, NewApiKey)
    return found


async def _set(made: NewApiKey, **values: object) -> None:
    async with transaction() as session:
        await session.execute(sa.update(ApiKey).where(ApiKey.id == made.api_key.id).values(**values))
        proofs.outdated(session)


async def _read(made: NewApiKey) -> ApiKey:
    async with transaction() as session:
        return (await session.scalars(sa.select(ApiKey).where(ApiKey.id == made.api_key.id))).one()


async def _is_alive(made: NewApiKey) -> bool:
    try:
        await auth.prove(made.secret)
    except Unauthenticated:
        return False
    return True


async def test_the_old_key_goes_on_for_the_overlap(team: Team) -> None:
    old = await factories.api_key(team, Permission.VIEW_TEAM, mode=ApiKeyMode.TEST, name="CI")
    new = await _regenerate(team, old)
    assert (new.api_key.name, new.api_key.mode, new.api_key.scopes) == ("CI", ApiKeyMode.TEST, ["VIEW_TEAM"])
    assert new.secret.startswith("rk_test_")
    row = await _read(old)
    assert (row.replaced_by_id, standing.status(row)) == (new.api_key.id, ApiKeyStatus.EXPIRING)
    for hours, alive in ((23.9, True), (24.1, False)):
        with time_machine.travel(now() + HOUR * hours):
            assert (await _is_alive(old), await _is_alive(new)) == (alive, True)


async def test_without_overlap_the_old_key_ends_at_once(team: Team) -> None:
    old = await factories.api_key(team)
    new = await _regenerate(team, old, 0)
    assert (await _is_alive(old), await _is_alive(new)) == (False, True)
    assert standing.status(await _read(old)) is ApiKeyStatus.EXPIRED


async def test_an_overlap_goes_not_beyond_the_end_of_the_old_key_and_the_new_one_lives_as_long(team: Team) -> None:
    end = now() + HOUR
    old = await factories.api_key(team, expires_at=end)
    await _set(old, created_at=end - timedelta(days=90))
    new = await _regenerate(team, old, 168)
    assert (await _read(old)).expires_at == end
    assert abs((new.api_key.expires_at or now()) - now() - timedelta(days=90)) < HOUR


@pytest.mark.parametrize("hours", [-1, 169])
async def test_an_overlap_is_a_week_at_most(team: Team, hours: int) -> None:
    found = await _try_regenerate(team, await factories.api_key(team), hours)
    assert isinstance(found, Invalid)
    assert found.field == "overlapHours"


async def test_of_two_regenerations_at_once_one_wins(team: Team) -> None:
    made = await factories.api_key(team)
    async with transaction() as session:
        first = await control.regenerate(session, factories.principal(team), made.api_key.id, 24)
        pid = await session.scalar(sa.select(sa.func.pg_backend_pid()))
        second = asyncio.create_task(_try_regenerate(team, made, 24))
        await until(lambda: _waiting_for(pid))
    assert isinstance(await second, Conflict)
    assert (await _read(made)).replaced_by_id == first.api_key.id


async def _waiting_for(pid: int) -> int:
    """How many connections wait for a lock that the connection `pid` holds."""
    held = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))")
    async with transaction() as session:
        return await session.scalar(held, {"pid": pid})


async def test_what_has_ended_is_neither_changed_nor_replaced(team: Team) -> None:
    made = await factories.api_key(team)
    for ended in ({"revoked_at": now()}, {"revoked_at": None, "expires_at": now()}):
        await _set(made, **ended)
        assert isinstance(await _try_regenerate(team, made, 24), Conflict)
        with pytest.raises(Conflict):
            async with transaction() as session:
                await control.update(session, factories.principal(team), made.api_key.id, name="Other")


async def test_a_revoked_key_ends_at_once_and_only_once(team: Team) -> None:
    made = await factories.api_key(team)
    for _ in range(2):
        async with transaction() as session:
            await control.revoke(session, factories.principal(team), made.api_key.id)
    assert not await _is_alive(made)
    assert await _kinds(made.api_key.id) == ["api_key.created", "api_key.revoked"]


async def _kinds(key_id: UUID) -> list[str]:
    async with transaction() as session:
        kinds = sa.select(Fact.kind).where(Fact.entity_id == key_id).order_by(Fact.id)
        return [kind.value for kind in await session.scalars(kinds)]


async def test_what_happens_to_a_key_is_in_the_audit_log_without_its_hash(team: Team) -> None:
    made = await factories.api_key(team, Permission.VIEW_TEAM)
    async with transaction() as session:
        await control.update(session, factories.principal(team), made.api_key.id, scopes=[Permission.VIEW_CONTACTS])
    await _regenerate(team, made, 0)
    async with transaction() as session:
        own = sa.select(AuditEntry).where(AuditEntry.entity_id == made.api_key.id).order_by(AuditEntry.id)
        created, updated, replaced = await session.scalars(own)
    assert [one.action for one in (created, updated, replaced)] == [
        "api_key.created",
        "api_key.updated",
        "api_key.replaced",
    ]
    assert {one.actor for one in (created, updated, replaced)} == {f"user:{team.user_id}"}
    assert (created.after["prefix"], created.after["secret_hash"]) == (made.api_key.prefix, "•••")
    assert (updated.before, updated.after) == ({"scopes": ["VIEW_TEAM"]}, {"scopes": ["VIEW_CONTACTS"]})
    assert set(replaced.after) == {"expires_at", "replaced_by_id"}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"expires_at": None}, ApiKeyStatus.ACTIVE),
        ({"expires_at": now() + timedelta(days=8)}, ApiKeyStatus.ACTIVE),
        ({"expires_at": now() + timedelta(days=6)}, ApiKeyStatus.EXPIRING),
        ({"expires_at": now() - HOUR}, ApiKeyStatus.EXPIRED),
        ({"revoked_at": now()}, ApiKeyStatus.REVOKED),
        ({"revoked_at": now(), "expires_at": now() - HOUR}, ApiKeyStatus.REVOKED),
    ],
)
async def test_a_key_has_a_status_and_stands_in_one_of_the_two_lists(
    team: Team, fields: dict, status: ApiKeyStatus
) -> None:
    made = await factories.api_key(team)
    await _set(made, **fields)
    assert standing.status(await _read(made)) is status
    works = status in {ApiKeyStatus.ACTIVE, ApiKeyStatus.EXPIRING}
    async with transaction() as session:
        lists = [
            len((await standing.listed(session, team.app_id, PageRequest(), alive=alive)).rows)
            for alive in (True, False, None)
        ]
    assert lists == [works, not works, 1]


async def test_the_use_of_a_key_is_noted_once_a_minute(team: Team) -> None:
    made = await factories.api_key(team)
    await auth.prove(made.secret)
    assert (await _read(made)).last_used_at is None
    await auth.authenticate(made.secret)
    first = (await _read(made)).last_used_at or datetime.min.replace(tzinfo=UTC)
    assert now() - first < timedelta(minutes=1)
    proofs.remembered.forget()
    await auth.authenticate(made.secret)
    assert (await _read(made)).last_used_at == first
    await _set(made, last_used_at=first - timedelta(seconds=61))
    await auth.authenticate(made.secret)
    assert (await _read(made)).last_used_at >= first


async def test_a_locked_key_holds_nobody_up(team: Team) -> None:
    made, other = await factories.api_key(team), await factories.api_key(team)
    async with transaction() as holding:
        await holding.execute(sa.select(ApiKey).where(ApiKey.id == made.api_key.id).with_for_update())
        await asyncio.gather(auth.authenticate(made.secret), auth.authenticate(other.secret))
    assert ((await _read(made)).last_used_at, (await _read(other)).last_used_at is None) == (None, False)


async def test_the_keys_of_who_leaves_go_to_somebody_else_of_the_app(team: Team) -> None:
    leaving = await factories.team(Role.OWNER, team.app_id)
    elsewhere = replace(await factories.team(), user_id=leaving.user_id)
    theirs, own, foreign = [await factories.api_key(one) for one in (leaving, team, elsewhere)]
    async with transaction() as session:
        await control.hand_over(session, factories.principal(team), leaving.user_id, team.user_id)
    owners = [(await _read(one)).created_by_id for one in (theirs, own, foreign)]
    assert owners == [team.user_id, team.user_id, leaving.user_id]
    assert await _kinds(theirs.api_key.id) == ["api_key.created", "api_key.updated"]
    assert await _kinds(own.api_key.id) == await _kinds(foreign.api_key.id) == ["api_key.created"]
    assert await _is_alive(theirs)


async def test_a_key_of_another_app_is_not_there(team: Team) -> None:
    foreign = await factories.api_key(await factories.team())
    for key_id in (foreign.api_key.id, new_id()):
        with pytest.raises(NotFound):
            async with transaction() as session:
                await standing.get(session, team.app_id, key_id)
