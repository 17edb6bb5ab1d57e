"""Why somebody gets a broadcast or not: every answer, before it is sent and after."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.database import transaction
from core.errors import NotFound
from core.ids import new_id
from domain import opt_outs, suppressions
from domain.broadcasts import explaining
from domain.broadcasts.explaining import Explanation, Verdict
from domain.broadcasts.results import Result
from domain.principals import SYSTEM
from models.broadcasts import Broadcast, BroadcastStatus, RecipientStatus, TargetType
from models.channels import ChannelKind
from models.contacts import Contact
from models.devices import Device, Platform
from models.opt_outs import OptOutReason
from models.suppressions import SuppressionReason
from tests.support import factories
from tests.support.factories import Team
from tests.support.sending import begin, failed, leased, record


async def explain(team: Team, broadcast: Broadcast, contact_id: UUID) -> Explanation:
    async with transaction() as session:
        return await explaining.explain(session, team.app_id, broadcast.id, contact_id)


async def verdict(team: Team, broadcast: Broadcast, contact_id: UUID) -> Verdict:
    return (await explain(team, broadcast, contact_id)).verdict


async def person(team: Team, devices: int = 1, **fields: Any) -> UUID:
    """A contact with some devices, without push tokens."""
    row = await factories.person(team.app_id, **fields)
    if devices:
        await factories.devices_of(team.app_id, str(row.id), devices)
    return row.id


async def opt_out(team: Team, contact_id: UUID, channel: ChannelKind | None) -> None:
    fields = opt_outs.OptOutFields(contact_id=contact_id, channel=channel, reason=OptOutReason.MANUAL, note=None)
    async with transaction() as session:
        await opt_outs.opt_out(session, team.app_id, SYSTEM, fields)


async def stand(broadcast: Broadcast, status: BroadcastStatus) -> None:
    async with transaction() as session:
        of_it = sa.update(Broadcast).where(Broadcast.id == broadcast.id)
        await session.execute(of_it.values(status=status))


# --- before


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (BroadcastStatus.DRAFT, Verdict.WILL_GET),
        (BroadcastStatus.SCHEDULED, Verdict.WILL_GET),
        (BroadcastStatus.SENDING, Verdict.WAITING),
        (BroadcastStatus.PAUSED, Verdict.WAITING),
        (BroadcastStatus.CANCELLED, Verdict.CANCELLED),
    ],
)
async def test_who_is_in_the_target_and_has_no_row_yet(team: Team, status: BroadcastStatus, expected: Verdict) -> None:
    contact_id = await person(team)
    broadcast = await factories.broadcast(team, status=status)
    assert await explain(team, broadcast, contact_id) == Explanation(expected, [])


async def test_who_is_not_in_the_target_or_is_excluded(team: Team) -> None:
    free, pro = await person(team, plan="free"), await person(team, plan="pro")
    query = {"field": "plan", "operator": "eq", "value": "pro"}
    named = {"target_type": TargetType.SPECIFIC_USERS, "contact_ids": [pro]}
    for fields in ({"target_type": TargetType.SEGMENT, "segment_query": query}, named):
        broadcast = await aimed(team, **fields)
        assert await verdict(team, broadcast, free) is Verdict.NOT_IN_TARGET
        assert await verdict(team, broadcast, pro) is Verdict.WILL_GET
    excluding = await factories.broadcast(team, exclude_query=query)
    assert await verdict(team, excluding, pro) is Verdict.NOT_IN_TARGET
    assert await verdict(team, excluding, free) is Verdict.WILL_GET


async def aimed(team: Team, **fields: Any) -> Broadcast:
    broadcast = await factories.broadcast(team)
    async with transaction() as session:
        await session.execute(sa.update(Broadcast).where(Broadcast.id == broadcast.id).values(**fields))
    return broadcast


@pytest.mark.parametrize(
    ("channels", "devices", "emails", "expected"),
    [
        (["IN_APP"], 0, ["one@example.com"], Verdict.UNREACHABLE),
        (["PUSH"], 1, ["one@example.com"], Verdict.UNREACHABLE),
        (["EMAIL"], 1, [], Verdict.UNREACHABLE),
        (["PUSH", "EMAIL"], 1, ["one@example.com"], Verdict.WILL_GET),
        (["IN_APP", "EMAIL"], 0, ["one@example.com"], Verdict.WILL_GET),
    ],
)
async def test_who_is_reached_by_none_of_its_channels(
    team: Team, channels: list[str], devices: int, emails: list[str], expected: Verdict
) -> None:
    contact_id = await person(team, devices, emails=emails)
    assert await verdict(team, await factories.broadcast(team, channels=channels), contact_id) is expected


async def test_who_has_opted_out_of_all_ways_that_reach_them(team: Team) -> None:
    contact_id = await person(team)
    broadcast = await factories.broadcast(team, channels=["IN_APP", "PUSH"])
    async with transaction() as session:
        session.add(Device(app_id=team.app_id, contact_id=contact_id, platform=Platform.IOS, push_token="t"))
    await opt_out(team, contact_id, ChannelKind.PUSH)
    assert await verdict(team, broadcast, contact_id) is Verdict.WILL_GET
    await opt_out(team, contact_id, ChannelKind.IN_APP)
    assert await verdict(team, broadcast, contact_id) is Verdict.OPTED_OUT


async def test_whose_address_is_suppressed(team: Team) -> None:
    contact_id = await person(team, 0, emails=["bounced@example.com"])
    broadcast = await factories.broadcast(team, channels=["EMAIL"])
    bounced = (ChannelKind.EMAIL, "bounced@example.com", SuppressionReason.HARD_BOUNCE)
    async with transaction() as session:
        await suppressions.suppress(session, team.app_id, SYSTEM, *bounced)
    assert await verdict(team, broadcast, contact_id) is Verdict.SUPPRESSED


# --- after


async def sent(team: Team, *results: Result) -> tuple[Broadcast, UUID]:
    """A broadcast to the devices of one contact, with what came of each."""
    contact_id = await person(team, len(results))
    broadcast = await factories.expanded(team)
    lease = await leased(broadcast)
    await begin(lease)
    await record(lease, *results)
    return broadcast, contact_id


UNCERTAIN = Result(2, RecipientStatus.UNCERTAIN, "NO_ANSWER")
SKIPPED = Result(2, RecipientStatus.SKIPPED, "QUIET_HOURS")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([failed(1), Result(2)], Verdict.GOT),
        ([failed(1), SKIPPED], Verdict.FAILED),
        ([failed(1), UNCERTAIN], Verdict.UNCERTAIN),
        ([Result(1, RecipientStatus.SKIPPED, "OPTED_OUT"), SKIPPED], Verdict.SKIPPED),
        ([failed(1), Result(2, RecipientStatus.DEFERRED, "QUIET_HOURS")], Verdict.WAITING),
    ],
)
async def test_what_became_of_their_devices(team: Team, results: list[Result], expected: Verdict) -> None:
    broadcast, contact_id = await sent(team, *results)
    found = await explain(team, broadcast, contact_id)
    assert found.verdict is expected
    assert [(row.seq, row.status, row.error_code) for row in found.recipients] == [
        (one.seq, one.status, one.code) for one in results
    ]


async def test_whose_turn_did_not_come_before_it_was_cancelled(team: Team) -> None:
    contact_id = await person(team)
    broadcast = await factories.expanded(team)
    assert await verdict(team, broadcast, contact_id) is Verdict.WAITING
    await stand(broadcast, BroadcastStatus.PAUSED)
    assert await verdict(team, broadcast, contact_id) is Verdict.WAITING
    await stand(broadcast, BroadcastStatus.CANCELLED)
    found = await explain(team, broadcast, contact_id)
    assert (found.verdict, len(found.recipients)) == (Verdict.CANCELLED, 1)


async def test_who_joined_later(team: Team) -> None:
    broadcast, _ = await sent(team, Result(1))
    assert await verdict(team, broadcast, await person(team)) is Verdict.JOINED_LATER
    assert await verdict(team, broadcast, await person(team, 0)) is Verdict.UNREACHABLE


# --- whose


async def test_it_is_told_of_the_own_app_only(team: Team) -> None:
    other = await factories.team()
    mine, theirs = await person(team), await person(other)
    broadcast = await factories.broadcast(team)
    for app, one, contact_id in ((team, broadcast, theirs), (other, broadcast, theirs), (team, broadcast, new_id())):
        with pytest.raises(NotFound):
            await explain(app, one, contact_id)
    assert await verdict(team, broadcast, mine) is Verdict.WILL_GET


async def test_an_erased_contact_is_none(team: Team) -> None:
    broadcast, contact_id = await sent(team, Result(1))
    async with transaction() as session:
        await session.execute(sa.delete(Contact).where(Contact.id == contact_id))
    with pytest.raises(NotFound):
        await explain(team, broadcast, contact_id)
