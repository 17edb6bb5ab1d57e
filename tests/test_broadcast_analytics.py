"""The numbers of a broadcast from outside: GraphQL, and its recipients as a file."""

from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from core.clock import now
from core.database import transaction
from core.ids import new_id
from domain.audit import exporting
from domain.broadcasts import receipts
from domain.broadcasts.receipts import Step
from domain.broadcasts.results import Result
from domain.permissions import Permission
from models.broadcasts import Broadcast, BroadcastRecipient, RecipientStatus
from models.contacts import Contact
from models.team import Role
from tests.support import downloads, factories
from tests.support.downloads import peak, rows
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.processes import Api
from tests.support.sending import begin, failed, leased, record

STATS = (
    "totalRecipients totalSent totalFailed totalDelivered totalOpened totalClicked totalSkipped totalUncertain"
    " openRate clickRate"
)
ANALYTICS = f"""query($id: ID!, $zone: String!) {{ broadcastAnalytics(broadcastId: $id, timeZone: $zone) {{
  stats {{ {STATS} }} timeZone openRateByHour {{ hour opened rate }}
  deviceBreakdown {{ value recipients delivered opened clicked }} countryBreakdown {{ value recipients }}
  skippedByReason {{ code count }} failedByCode {{ code count }}
  variants {{ name isWinner sent delivered opened clicked openRate clickRate }} }} }}"""
EXPLANATION = """query($id: ID!, $contact: ID!) { broadcastExplanation(broadcastId: $id, contactId: $contact) {
  verdict recipients { seq status errorCode } } }"""
RECIPIENTS = """query($id: ID!, $status: RecipientStatus, $code: String, $platform: Platform, $country: String,
    $variant: Int) {
  broadcastRecipients(broadcastId: $id, status: $status, code: $code, platform: $platform, country: $country,
    variant: $variant) { totalCount nodes { seq status } } }"""
LOG = 'query { auditLog(filter: {actions: ["broadcast.exported"]}) { nodes { entity entityId after user { email } } } }'


async def sent(team: Team) -> Broadcast:
    """To four: opened, failed, skipped, uncertain."""
    broadcast = await factories.sending(team, 4)
    lease = await leased(broadcast)
    await begin(lease)
    skipped = Result(3, RecipientStatus.SKIPPED, "QUIET_HOURS")
    uncertain = Result(4, RecipientStatus.UNCERTAIN, "NO_ANSWER")
    await record(lease, Result(1), failed(2, "UNREGISTERED"), skipped, uncertain)
    async with transaction() as session:
        await receipts.advance(session, {(broadcast.id, 1): {Step.OPENED}}, now().replace(hour=18, minute=40))
    return broadcast


async def contacts(broadcast: Broadcast) -> list[Contact]:
    """Of its recipients, in their order."""
    async with transaction() as session:
        theirs = sa.select(Contact).join(BroadcastRecipient, BroadcastRecipient.contact_id == Contact.id)
        own = theirs.where(BroadcastRecipient.broadcast_id == broadcast.id)
        return list(await session.scalars(own.order_by(BroadcastRecipient.seq)))


async def test_all_numbers_of_a_broadcast(graph: Graph, team: Team) -> None:
    broadcast = await sent(team)
    seen = (await graph.data(ANALYTICS, id=str(broadcast.id), zone="Asia/Kolkata"))["broadcastAnalytics"]
    counts = dict.fromkeys(("totalSent", "totalFailed", "totalSkipped", "totalUncertain", "totalDelivered"), 1)
    more = {"totalRecipients": 4, "totalOpened": 1, "totalClicked": 0, "openRate": 1.0, "clickRate": 0.0}
    assert seen["stats"] == counts | more
    assert seen["timeZone"] == "Asia/Kolkata"
    nobody = {"opened": 0, "rate": 0.0}
    assert seen["openRateByHour"] == [
        {"hour": hour, **({"opened": 1, "rate": 1.0} if hour == 0 else nobody)} for hour in range(24)
    ]
    assert seen["deviceBreakdown"] == [{"value": "IOS", "recipients": 4, "delivered": 1, "opened": 1, "clicked": 0}]
    assert seen["countryBreakdown"] == [{"value": "DE", "recipients": 4}]
    assert seen["skippedByReason"] == [{"code": "QUIET_HOURS", "count": 1}]
    assert seen["failedByCode"] == [{"code": "UNREGISTERED", "count": 1}]
    assert seen["variants"] == []


async def test_rates_are_null_where_nothing_was_delivered(graph: Graph, team: Team) -> None:
    variants = [{"name": name, "title": name, "body": name, "weight": 1} for name in "AB"]
    broadcast = await factories.broadcast(team, variants=variants)
    seen = (await graph.data(ANALYTICS, id=str(broadcast.id), zone="UTC"))["broadcastAnalytics"]
    assert (seen["stats"]["openRate"], seen["stats"]["clickRate"]) == (None, None)
    assert [hour["rate"] for hour in seen["openRateByHour"]] == [None] * 24
    assert [(one["name"], one["openRate"], one["clickRate"]) for one in seen["variants"]] == [
        ("A", None, None),
        ("B", None, None),
    ]


async def test_why_somebody_did_not_get_it(graph: Graph, team: Team) -> None:
    broadcast = await sent(team)
    for seq, verdict, status, code in (
        (1, "GOT", "OPENED", None),
        (2, "FAILED", "FAILED", "UNREGISTERED"),
        (3, "SKIPPED", "SKIPPED", "QUIET_HOURS"),
        (4, "UNCERTAIN", "UNCERTAIN", "NO_ANSWER"),
    ):
        contact = (await contacts(broadcast))[seq - 1]
        answer = await graph.data(EXPLANATION, id=str(broadcast.id), contact=str(contact.id))
        recipient = {"seq": seq, "status": status, "errorCode": code}
        assert answer["broadcastExplanation"] == {"verdict": verdict, "recipients": [recipient]}
    stranger = await factories.person(team.app_id)
    answer = await graph.data(EXPLANATION, id=str(broadcast.id), contact=str(stranger.id))
    assert answer["broadcastExplanation"] == {"verdict": "UNREACHABLE", "recipients": []}


async def test_recipients_by_what_became_of_them(graph: Graph, team: Team) -> None:
    id_ = str((await sent(team)).id)
    wanted: dict[str, dict[str, Any]] = {
        "OPENED": {"status": "OPENED", "platform": "IOS", "country": "DE"},
        "FAILED": {"code": "UNREGISTERED", "status": "FAILED"},
        "SKIPPED": {"status": "SKIPPED"},
        "UNCERTAIN": {"status": "UNCERTAIN"},
    }
    for status, filters in wanted.items():
        found = (await graph.data(RECIPIENTS, id=id_, **filters))["broadcastRecipients"]
        assert (found["totalCount"], [one["status"] for one in found["nodes"]]) == (1, [status])
    assert (await graph.data(RECIPIENTS, id=id_, platform="ANDROID"))["broadcastRecipients"]["totalCount"] == 0
    refused = await graph.ask(RECIPIENTS, id=id_, variant=-1)
    assert refused.codes == ["BAD_USER_INPUT"]


# --- as a file


async def download(api: Api, token: str | None, id_: object, method: str = "GET", **wanted: str) -> httpx2.Response:
    return await downloads.download(api, f"/exports/broadcasts/{id_}/recipients.csv", token, method, **wanted)


async def test_a_file_has_who_it_went_to(api: Api, team: Team) -> None:
    broadcast = await sent(team)
    async with transaction() as session:
        first = sa.update(Contact).where(Contact.app_id == team.app_id, Contact.external_id == "user-0")
        await session.execute(first.values(name='=1 "a",\r\nb', emails=["ada@example.com", "b@example.com"]))
        await session.execute(sa.delete(Contact).where(Contact.external_id == "user-1", Contact.app_id == team.app_id))
        row = await session.get_one(BroadcastRecipient, (broadcast.id, 1))
    answer = await download(api, team.token, broadcast.id)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="recipients-{now():%Y-%m-%d}.csv"'
    assert row.sent_at
    assert row.opened_at
    first_row, second, third, _ = rows(answer)
    assert first_row == {
        "seq": "1",
        "external_id": "user-0",
        "name": '\'=1 "a",\r\nb',
        "email": "ada@example.com",
        "platform": "IOS",
        "country": "DE",
        "status": "OPENED",
        "channel": "",
        "error_code": "",
        "variant": "",
        "sent_at": row.sent_at.isoformat(),
        "delivered_at": row.opened_at.isoformat(),
        "opened_at": row.opened_at.isoformat(),
        "clicked_at": "",
        "deferred_until": "",
    }
    assert (second["seq"], second["external_id"], second["name"]) == ("2", "", "")
    assert (third["status"], third["error_code"], third["sent_at"]) == ("SKIPPED", "QUIET_HOURS", "")


async def test_a_file_is_of_what_is_asked_for_and_is_entered_in_the_log(api: Api, graph: Graph, team: Team) -> None:
    broadcast = await sent(team)
    for wanted, seqs in (
        ({"status": "FAILED", "code": "UNREGISTERED"}, ["2"]),
        ({"status": "UNCERTAIN", "platform": "IOS", "country": "de"}, ["4"]),
        ({"variant": "0"}, []),
        ({"platform": ""}, ["1", "2", "3", "4"]),
    ):
        assert [row["seq"] for row in rows(await download(api, team.token, broadcast.id, **wanted))] == seqs
    entries = (await graph.data(LOG))["auditLog"]["nodes"]
    assert [(one["entity"], one["entityId"], one["user"]["email"]) for one in entries] == [
        ("Broadcast", str(broadcast.id), team.email)
    ] * 4
    assert [one["after"] for one in entries] == [
        {},
        {"variant": 0},
        {"status": "UNCERTAIN", "platform": "IOS", "country": "de"},
        {"status": "FAILED", "code": "UNREGISTERED"},
    ]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"status": "GONE"}, "status"),
        ({"platform": "ios"}, "platform"),
        ({"variant": "-1"}, "variant"),
        ({"variant": "99999"}, "variant"),
        ({"country": "Germany"}, "country"),
        ({"since": "2026"}, "since"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(
    api: Api, graph: Graph, team: Team, wanted: dict[str, str], field: str
) -> None:
    answer = await download(api, team.token, (await factories.broadcast(team)).id, **wanted)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")
    assert error["extensions"]["field"] == field
    assert (await graph.data(LOG))["auditLog"]["nodes"] == []


async def test_only_the_own_app_gets_a_file_and_only_who_may_see_contacts(api: Api, team: Team) -> None:
    broadcast, other = await sent(team), await factories.team()
    for token, id_ in ((other.token, broadcast.id), (team.token, new_id())):
        answer = await download(api, token, id_)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "NOT_FOUND")
    assert (await download(api, team.token, "it")).status_code == 400
    blind = (await factories.api_key(team, Permission.VIEW_BROADCASTS)).secret
    seeing = (await factories.api_key(team, Permission.VIEW_BROADCASTS, Permission.VIEW_CONTACTS)).secret
    agent = (await factories.team(Role.AGENT, team.app_id)).token
    given = {None: 401, blind: 403, seeing: 200, agent: 200}
    for token, status in given.items():
        assert (await download(api, token, broadcast.id)).status_code == status
    for method in ("HEAD", "POST"):
        assert (await download(api, team.token, broadcast.id, method)).status_code == 405


async def test_nobody_exports_without_end(api: Api, team: Team) -> None:
    id_ = (await factories.broadcast(team)).id
    for _ in range(exporting.PER_HOUR):
        assert (await download(api, team.token, id_)).status_code == 200
    answer = await download(api, team.token, id_)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")


async def test_ten_times_as_many_recipients_need_no_more_memory(api: Api, team: Team) -> None:
    broadcast = await factories.sending(team, 1)
    assert await exported(api, team, broadcast, 5_000) == 5_001
    before = peak(api)
    assert await exported(api, team, broadcast, 45_000) == 50_001
    assert peak(api) - before < 10 * 2**20


async def exported(api: Api, team: Team, broadcast: Broadcast, more: int) -> int:
    """The rows of the file once there are `more` recipients."""
    many = sa.text(
        "INSERT INTO broadcast_recipients (broadcast_id, seq, device_id, contact_id, platform, country, status,"
        " error_code) SELECT r.broadcast_id, last.seq + no, gen_random_uuid(), r.contact_id, 'IOS', 'DE', 'SENT',"
        " repeat('X', 500) FROM broadcast_recipients r, generate_series(1, :more) no,"
        " (SELECT max(seq) AS seq FROM broadcast_recipients WHERE broadcast_id = :id) last"
        " WHERE r.broadcast_id = :id AND r.seq = 1"
    )
    async with transaction() as session:
        await session.execute(many, {"id": broadcast.id, "more": more})
    return await downloads.streamed(api, f"/exports/broadcasts/{broadcast.id}/recipients.csv", team.token)
