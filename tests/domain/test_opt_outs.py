"""Opt-outs and suppressed addresses, as a sender asks for them."""

import asyncio
import os
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import Conflict, Invalid, NotFound
from core.ids import new_id
from domain import contacts, opt_outs, suppressions
from domain.opt_outs import OptOutFields
from domain.pages import PageRequest
from domain.principals import SYSTEM
from models.apps import App
from models.channels import ChannelKind
from models.contacts import Contact
from models.facts import Fact, FactKind
from models.opt_outs import OptOut, OptOutReason
from models.suppressions import Suppression, SuppressionReason
from tests.schema.rows import rows_of
from tests.schema.test_statements import recorded
from tests.support import audited, databases, factories
from tests.support.factories import Team

IN_APP, PUSH, EMAIL, WHATSAPP = ChannelKind
ADA, PHONE = "ada@example.com", "+491701234567"
HARD_BOUNCE, ERASED = SuppressionReason.HARD_BOUNCE, SuppressionReason.ERASED


async def opt_out(app_id: UUID, contact_id: UUID, channel: ChannelKind | None, **fields: Any) -> Contact:
    said = {"reason": OptOutReason.MANUAL, "note": None} | fields
    async with transaction() as session:
        return await opt_outs.opt_out(
            session, app_id, SYSTEM, OptOutFields(contact_id=contact_id, channel=channel, **said)
        )


async def opt_in(app_id: UUID, contact_id: UUID, channel: ChannelKind | None) -> None:
    async with transaction() as session:
        await opt_outs.opt_in(session, app_id, SYSTEM, contact_id, channel)


async def suppress(
    app_id: UUID, channel: ChannelKind, address: str, reason: SuppressionReason = HARD_BOUNCE
) -> Suppression:
    async with transaction() as session:
        return await suppressions.suppress(session, app_id, SYSTEM, channel, address, reason)


async def refused(app_id: UUID, *asked: opt_outs.Asked) -> dict[int, str]:
    async with transaction() as session:
        return dict(await opt_outs.refused(session, app_id, asked))


async def channels(contact_id: UUID) -> set[ChannelKind | None]:
    async with transaction() as session:
        return set(await session.scalars(sa.select(OptOut.channel).where(OptOut.contact_id == contact_id)))


async def erase(team: Team, contact_id: UUID) -> None:
    async with transaction() as session:
        await contacts.delete(session, factories.principal(team), contact_id)


async def test_each_is_refused_for_what_it_is_asked_for_in_one_statement(team: Team) -> None:
    ada, bob, eve = [await factories.person(team.app_id) for _ in range(3)]
    await opt_out(team.app_id, ada.id, EMAIL)
    await opt_out(team.app_id, bob.id, None)
    await suppress(team.app_id, EMAIL, ADA)
    await suppress(team.app_id, WHATSAPP, PHONE)
    asked = {
        (ada.id, EMAIL, "other@example.com"): "OPTED_OUT",
        (ada.id, EMAIL, ADA): "OPTED_OUT",
        (ada.id, PUSH, None): None,
        (ada.id, WHATSAPP, "+491709999999"): None,
        (bob.id, PUSH, None): "OPTED_OUT",
        (bob.id, IN_APP, None): "OPTED_OUT",
        (eve.id, EMAIL, ADA): "SUPPRESSED",
        (eve.id, EMAIL, " Ada@Example.com"): "SUPPRESSED",
        (eve.id, EMAIL, None): None,
        (eve.id, EMAIL, "eve@example.com"): None,
        (eve.id, WHATSAPP, PHONE): "SUPPRESSED",
        (eve.id, EMAIL, PHONE): None,
        (eve.id, PUSH, ADA): None,
        (new_id(), EMAIL, ADA): "SUPPRESSED",
    }
    with recorded() as seen:
        found = await refused(team.app_id, *asked)
    assert len(seen) == 1
    assert [found.get(at) for at in range(len(asked))] == list(asked.values())
    assert await refused(team.app_id) == {}


async def test_what_another_app_refuses_is_nothing_to_us(team: Team) -> None:
    theirs = (await factories.team()).app_id
    ada = await factories.person(theirs)
    await opt_out(theirs, ada.id, None)
    await suppress(theirs, EMAIL, ADA)
    assert await refused(team.app_id, (ada.id, EMAIL, ADA)) == {}
    with pytest.raises(NotFound):
        await opt_out(team.app_id, ada.id, EMAIL)
    with pytest.raises(NotFound):
        await opt_in(team.app_id, ada.id, EMAIL)


async def test_a_thousand_are_answered_and_no_more(team: Team) -> None:
    people = [await factories.person(team.app_id) for _ in range(2)]
    await opt_out(team.app_id, people[1].id, PUSH)
    asked = [(people[at % 2].id, PUSH, None) for at in range(1_000)]
    assert await refused(team.app_id, *asked) == dict.fromkeys(range(1, 1_000, 2), "OPTED_OUT")
    with pytest.raises(ValueError, match="1000 at most"):
        await refused(team.app_id, *asked, asked[0])


async def test_an_index_answers(team: Team) -> None:
    """Among many, of which PostgreSQL knows: a table of a few rows is read whole, whatever its indexes."""
    await factories.contacts(team.app_id, 3_000)
    shared = {"app_id": team.app_id, "channel": EMAIL}
    async with transaction() as session:
        people = list(await session.scalars(sa.select(Contact.id).where(Contact.app_id == team.app_id)))
        out = shared | {"reason": OptOutReason.MANUAL}
        await session.execute(sa.insert(OptOut), [{"id": new_id(), "contact_id": one, **out} for one in people])
        bounced = shared | {"reason": HARD_BOUNCE}
        rows = [{"id": new_id(), "address_hash": f"{no}", **bounced} for no in range(10_000)]
        await session.execute(sa.insert(Suppression), rows)
    await asyncio.to_thread(databases.run, os.environ["DATABASE_URL"], "ANALYZE opt_outs, suppressions")
    async with transaction() as session:
        hashes = [opt_outs._hashes(team.app_id, EMAIL, ADA)] * 200
        values = {"app_id": team.app_id, **opt_outs._columns([(people[0], EMAIL, ADA)] * 200, hashes)}
        compiled = opt_outs._REFUSED.compile(session.bind.sync_engine)
        given = compiled.construct_params(values)
        bound = tuple(given[name] for name in compiled.positiontup)
        explained = await (await session.connection()).exec_driver_sql(f"EXPLAIN {compiled}", bound)
        plan = "\n".join(explained.scalars())
        await session.execute(sa.delete(App).where(App.id == team.app_id))
    assert "uq_opt_outs_contact_id_channel" in plan
    assert "uq_suppressions_app_id_channel_address_hash" in plan
    assert "Seq Scan" not in plan


async def test_opting_out_twice_keeps_the_first_and_tells_once(team: Team) -> None:
    ada = await factories.person(team.app_id)
    await opt_out(team.app_id, ada.id, EMAIL, reason=OptOutReason.UNSUBSCRIBED, note="secretive")
    await opt_out(team.app_id, ada.id, EMAIL)
    async with transaction() as session:
        (row,) = await session.scalars(sa.select(OptOut).where(OptOut.contact_id == ada.id))
        own = sa.select(Fact.kind, Fact.data).where(Fact.entity_id == ada.id)
        assert (await session.execute(own)).all() == [(FactKind.CONTACT_OPTED_OUT, {"channel": "EMAIL"})]
    assert row.reason == OptOutReason.UNSUBSCRIBED
    (entry,) = await audited.entries(ada.id)
    assert (entry.entity, entry.action, entry.before) == ("Contact", "contact.opted_out", None)
    assert entry.after == {"contact_id": str(ada.id), "channel": "EMAIL", "reason": "UNSUBSCRIBED", "note": "•••"}


@pytest.mark.parametrize("channel", [EMAIL, None])
async def test_twenty_at_once_make_one(team: Team, channel: ChannelKind | None) -> None:
    ada = await factories.person(team.app_id)
    await asyncio.gather(*(opt_out(team.app_id, ada.id, channel) for _ in range(20)))
    assert await channels(ada.id) == {channel}
    assert await audited.actions(ada.id) == ["contact.opted_out"]


async def test_opting_in_takes_back_one_channel_or_all(team: Team) -> None:
    ada = await factories.person(team.app_id)
    for channel in (EMAIL, PUSH):
        await opt_out(team.app_id, ada.id, channel)
    await opt_in(team.app_id, ada.id, EMAIL)
    assert await channels(ada.id) == {PUSH}
    await opt_out(team.app_id, ada.id, None)
    with pytest.raises(Conflict):
        await opt_in(team.app_id, ada.id, PUSH)
    await opt_in(team.app_id, ada.id, None)
    assert await channels(ada.id) == set()
    await opt_in(team.app_id, ada.id, None)
    assert (await audited.actions(ada.id)).count("contact.opted_in") == 3


async def test_an_address_is_suppressed_once_until_it_is_not(team: Team) -> None:
    rows = await asyncio.gather(*(suppress(team.app_id, EMAIL, one) for one in (ADA, " ADA@Example.com") * 5))
    assert {(row.id, row.address) for row in rows} == {(rows[0].id, ADA)}
    assert await audited.actions(rows[0].id) == ["address.suppressed"]
    (entry,) = await audited.entries(rows[0].id)
    assert (entry.after["address"], entry.after["address_hash"]) == ("•••", "•••")
    async with transaction() as session:
        gone = await suppressions.unsuppress(session, team.app_id, SYSTEM, EMAIL, ADA)
        assert gone.id == rows[0].id
    assert await audited.actions(rows[0].id) == ["address.suppressed", "address.unsuppressed"]
    async with transaction() as session:
        with pytest.raises(NotFound):
            await suppressions.unsuppress(session, team.app_id, SYSTEM, EMAIL, ADA)


@pytest.mark.parametrize(
    ("channel", "address", "field"),
    [(PUSH, "token", "channel"), (IN_APP, ADA, "channel"), (EMAIL, PHONE, "address"), (WHATSAPP, ADA, "address")],
)
async def test_what_is_no_address_of_the_channel_is_refused(
    team: Team, channel: ChannelKind, address: str, field: str
) -> None:
    with pytest.raises(Invalid) as found:
        await suppress(team.app_id, channel, address)
    assert found.value.field == field


async def test_of_who_is_erased_only_hashes_stay_and_what_they_refused_stays_refused(team: Team) -> None:
    ada = await factories.person(team.app_id, name="Ada Lovelace", emails=[ADA, "ada@work.example"], phones=[PHONE])
    await suppress(team.app_id, EMAIL, ADA)
    await suppress(team.app_id, EMAIL, "bob@example.com")
    await opt_out(team.app_id, ada.id, WHATSAPP, note=f"said {PHONE}")
    await erase(team, ada.id)
    left = str(await rows_of(team.app_id))
    assert [one for one in (ADA, "ada@work.example", PHONE, "Lovelace") if one in left] == []
    assert "bob@example.com" in left
    again = await factories.person(team.app_id, emails=[ADA, "ada@work.example"], phones=[PHONE])
    asked = [(again.id, EMAIL, ADA), (again.id, EMAIL, "ada@work.example"), (again.id, WHATSAPP, PHONE)]
    assert await refused(team.app_id, *asked) == {0: "SUPPRESSED", 2: "SUPPRESSED"}
    async with transaction() as session:
        for channel, address, reason in ((EMAIL, ADA, HARD_BOUNCE), (WHATSAPP, PHONE, ERASED)):
            request = PageRequest()
            (row,) = (await suppressions.listed(session, team.app_id, request, channel=channel, address=address)).rows
            assert (row.address, row.reason) == (None, reason)
        await suppressions.unsuppress(session, team.app_id, SYSTEM, EMAIL, ADA)
    assert await refused(team.app_id, *asked) == {2: "SUPPRESSED"}


async def test_who_opted_out_of_everything_stays_so_by_each_address(team: Team) -> None:
    ada = await factories.person(team.app_id, emails=[ADA], phones=[PHONE])
    await opt_out(team.app_id, ada.id, None)
    await suppress(team.app_id, EMAIL, ADA)
    await erase(team, ada.id)
    asked = [(new_id(), EMAIL, ADA), (new_id(), WHATSAPP, PHONE), (new_id(), PUSH, None)]
    assert await refused(team.app_id, *asked) == {0: "SUPPRESSED", 1: "SUPPRESSED"}


async def test_an_address_that_is_suppressed_as_erased_is_not_kept(team: Team) -> None:
    row = await suppress(team.app_id, EMAIL, ADA, ERASED)
    assert row.address is None
    assert await refused(team.app_id, (new_id(), EMAIL, ADA)) == {0: "SUPPRESSED"}
