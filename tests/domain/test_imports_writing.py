"""What an import does to the contacts of an app."""

import asyncio
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.database import transaction
from domain import bulk, contacts
from domain.imports import running
from domain.imports.running import import_contacts
from domain.imports.table import open_table
from models.contacts import Contact
from models.devices import Device, Platform
from models.facts import Fact, FactKind
from tests.support import factories
from tests.support.factories import Team, principal


@pytest.fixture(params=[2, 1_000], ids=["slices of two", "one slice"], autouse=True)
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of a file does not depend on how it is cut."""
    monkeypatch.setattr(running, "SLICE", request.param)


async def run(team: Team, *lines: str) -> tuple[int, int, dict[int, str]]:
    """Created, updated, and the reasons of refused lines."""
    created, updated, refused = 0, 0, {}
    async for outcome in import_contacts(team.app_id, open_table(io.BytesIO("\n".join(lines).encode()))):
        created += outcome.created
        updated += outcome.updated
        refused |= {one.line: one.reason for one in outcome.refused}
    return created, updated, refused


async def people(team: Team) -> Sequence[Contact]:
    async with transaction() as session:
        rows = sa.select(Contact).where(Contact.app_id == team.app_id).order_by(Contact.name)
        return (await session.scalars(rows)).all()


async def devices(team: Team) -> Counter[tuple[UUID, Platform]]:
    async with transaction() as session:
        rows = await session.execute(sa.select(Device.contact_id, Device.platform).where(Device.app_id == team.app_id))
        return Counter((owner, platform) for owner, platform in rows)


async def facts(team: Team) -> Counter[FactKind]:
    async with transaction() as session:
        return Counter(await session.scalars(sa.select(Fact.kind).where(Fact.app_id == team.app_id)))


async def add(team: Team, **fields: Any) -> Contact:
    async with transaction() as session:
        return await contacts.create(session, principal(team), contacts.ContactFields(**fields))


@pytest.mark.parametrize("column", ["external id", "email", "phone"])
async def test_the_same_file_twice_changes_nothing_but_the_time(team: Team, column: str) -> None:
    values = {"external id": "user {}", "email": "u{}@example.com", "phone": "+4930123456{}"}
    lines = [f"{column},name,platform,size", *(f"{values[column].format(no)},User {no},web,{no}" for no in range(5))]

    assert await run(team, *lines) == (5, 0, {})
    before = [(one.id, one.name, one.attributes, one.updated_at) for one in await people(team)]
    assert await run(team, *lines) == (0, 5, {})

    after = [(one.id, one.name, one.attributes, one.updated_at) for one in await people(team)]
    assert [one[:3] for one in after] == [one[:3] for one in before]
    assert min(one[3] for one in after) > max(one[3] for one in before)
    assert set((await devices(team)).values()) == {1}


async def test_every_change_is_a_fact(team: Team) -> None:
    await run(team, "user id,platform", "1,ios", "2,web", "3,", "nobody")
    await run(team, "user id,platform", "1,ios", "2,android", "4,")

    told = await facts(team)
    assert told[FactKind.CONTACT_CREATED] == 4
    assert told[FactKind.CONTACT_UPDATED] == 2
    assert told[FactKind.DEVICE_REGISTERED] == 3


async def test_filled_cells_replace_and_empty_ones_leave(team: Team) -> None:
    whole = "1,Ada,a@example.com,+49301234567,DE,de,Europe/Berlin,pro,x;y,Acme,1"
    header = "user id,name,email,phone,country,locale,time zone,plan,tags,company,seats"
    await run(team, header, whole)
    await run(team, header, "1,,,,,,,,,,", "2,Bob,,,,,,,,,")
    ada, bob = await people(team)
    assert (ada.name, ada.emails, ada.phones, ada.country, ada.locale) == (
        *("Ada", ["a@example.com"], ["+49301234567"], "DE", "de"),
    )
    assert (ada.time_zone, ada.plan, ada.tags, ada.attributes) == (
        *("Europe/Berlin", "pro", ["x", "y"], {"company": "Acme", "seats": "1"}),
    )
    assert (bob.emails, bob.phones, bob.tags, bob.attributes) == ([], [], [], {})

    await run(team, "user id,tags,plan,seats,floor", "1,z,free,2,3")
    ada = (await people(team))[0]
    assert (ada.name, ada.tags, ada.plan) == ("Ada", ["z"], "free")
    assert ada.attributes == {"company": "Acme", "seats": "2", "floor": "3"}


async def test_an_email_and_a_phone_are_the_primary_ones(team: Team) -> None:
    await add(
        team,
        external_id="1",
        emails=["old@example.com", "b@example.com", "new@example.com"],
        phones=["+49301234567", "+49301234568"],
    )

    await run(team, "user id,email,phone", "1,new@example.com,+49301234567")

    (ada,) = await people(team)
    assert ada.emails == ["new@example.com", "b@example.com"]
    assert ada.phones == ["+49301234567", "+49301234568"]


async def test_a_known_contact_is_found_by_its_primary_email_whatever_its_external_id(team: Team) -> None:
    ada = await add(team, external_id="1", name="Ada", emails=["a@example.com", "b@example.com"])

    assert await run(team, "email,plan", "A@example.com,pro", "b@example.com,free") == (1, 1, {})

    by_plan = {one.plan: one for one in await people(team)}
    assert (by_plan["pro"].id, by_plan["pro"].external_id) == (ada.id, "1")
    assert by_plan["free"].id != ada.id


async def test_the_later_of_two_rows_for_one_contact_is_refused(team: Team) -> None:
    await add(team, external_id="1", emails=["a@example.com"], phones=["+49301234567"])

    created, updated, refused = await run(
        team,
        "user id,email,phone,name",
        "1,,,First",
        ",a@example.com,,by e-mail",
        ",,+49301234567,by phone",
        "2,b@example.com,,Second",
        "2,,,again",
        ",c@example.com,,Third",
        ",C@example.com,,again",
        "3,c@example.com,,another person with the same e-mail",
    )

    assert (created, updated) == (3, 1)
    said = "By its {} it is the same contact as an earlier row.".format
    assert refused == {3: said("e-mail"), 4: said("phone"), 6: said("external id"), 8: said("e-mail")}
    assert {one.name for one in await people(team)} == {
        *("First", "Second", "Third", "another person with the same e-mail"),
    }


async def test_a_refused_row_does_not_stand_in_the_way_of_a_good_one(team: Team) -> None:
    created, updated, refused = await run(team, "email,country", "a@example.com,XX", "a@example.com,DE")

    assert (created, updated, list(refused)) == (1, 0, [2])


async def test_an_email_of_two_contacts_tells_neither(team: Team) -> None:
    await add(team, external_id="1", emails=["a@example.com"])
    await add(team, external_id="2", emails=["a@example.com"])

    created, updated, refused = await run(team, "email,plan", "a@example.com,pro", "b@example.com,pro")

    assert (created, updated) == (1, 0)
    assert refused[2].startswith("2 contacts of the app have this e-mail")
    assert [one.plan for one in await people(team) if one.external_id] == [None, None]


async def test_contacts_of_other_apps_are_neither_found_nor_changed(team: Team) -> None:
    other = await factories.team()
    theirs = await add(other, external_id="1", name="Theirs", emails=["a@example.com"], phones=["+49301234567"])

    lines = ("user id,email,phone,name", "1,,,Ours", ",a@example.com,,Ours", ",,+49301234567,Ours")
    assert await run(team, *lines) == (3, 0, {})

    (still,) = await people(other)
    assert (still.id, still.name, still.updated_at) == (theirs.id, "Theirs", theirs.updated_at)


async def test_a_platform_gives_one_device_with_the_country_of_the_contact(team: Team) -> None:
    ada = await add(team, external_id="1", country="FR")
    lines = ("user id,platform", "1,ios", "2,whatsapp")
    await run(team, *lines)
    await run(team, "user id,platform,country", "1,iOS,DE", "2,web,DE")

    told = await devices(team)
    assert Counter(platform for _, platform in told.elements()) == Counter(
        {
            Platform.IOS: 1,
            Platform.WHATSAPP: 1,
            Platform.WEB: 1,
        }
    )
    async with transaction() as session:
        (country,) = await session.scalars(sa.select(Device.country).where(Device.contact_id == ada.id))
    assert country == "FR"


async def test_two_imports_at_once_make_every_contact_once(team: Team) -> None:
    lines = ("email,platform", *(f"u{no}@example.com,ios" for no in range(20)))

    outcomes = await asyncio.gather(*(run(team, *lines) for _ in range(4)))

    assert sum(created for created, _, _ in outcomes) == 20
    assert sum(updated for _, updated, _ in outcomes) == 60
    assert len(await people(team)) == 20
    assert sorted((await devices(team)).values()) == [1] * 20


async def test_a_contact_that_the_api_makes_meanwhile_is_updated(team: Team) -> None:
    """The insert meets a row that was not there when the slice looked."""
    lines = ("user id,name,platform", *(f"{no},Imported {no},ios" for no in range(20)))
    made = [add(team, external_id=str(no), name="Made") for no in reversed(range(20))]

    (created, updated, refused), *_ = await asyncio.gather(run(team, *lines), *made, return_exceptions=True)

    assert refused == {}
    assert created + updated == 20
    assert [one.name for one in await people(team)] == sorted(f"Imported {no}" for no in range(20))
    assert sorted((await devices(team)).values()) == [1] * 20
    told = await facts(team)
    assert told[FactKind.CONTACT_CREATED] == 20
    assert told[FactKind.CONTACT_UPDATED] == updated


async def test_a_failure_leaves_whole_slices_only(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(running, "SLICE", 3)
    outcomes = import_contacts(team.app_id, open_table(io.BytesIO(b"user id,platform\n1,ios\n2,ios\n3,ios\n4,ios\n")))
    assert (await anext(outcomes)).created == 3

    monkeypatch.setattr(bulk, "add_devices", fail)
    with pytest.raises(RuntimeError):
        await anext(outcomes)

    assert len(await people(team)) == len(await devices(team)) == 3
