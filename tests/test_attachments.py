"""Files over HTTP: taken in from either side, refused as early as can be, shown by an address that ends."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import pytest
import sqlalchemy as sa
import time_machine

from core.clock import now
from core.database import transaction
from domain.attachments import links
from domain.permissions import Permission
from models.attachments import Attachment
from server.attachments import LINGER_BYTES
from tests.support import factories, files
from tests.support.audited import actions
from tests.support.downloads import peak
from tests.support.factories import Team
from tests.support.graph import Graph, local_client
from tests.support.processes import Api

MIB = 2**20
ATTACHMENT = "query($id: ID!) { attachment(id: $id) { id kind contentType fileName size width height url } }"
PLAIN = "text/plain"


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    async with local_client(base_url=api.url, timeout=60) as client:
        yield client


async def upload(
    http: httpx2.AsyncClient, token: str | None, content: Any, content_type: str = "image/png", **said: str
) -> httpx2.Response:
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {token}"} if token else {})
    return await http.post("/attachments", content=content, headers=headers, params={"fileName": "cat.png"} | said)


def refused(answer: httpx2.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["extensions"]["code"]


async def count(team: Team) -> int:
    async with transaction() as session:
        own = sa.select(sa.func.count()).where(Attachment.app_id == team.app_id)
        return await session.scalar(own) or 0


async def uploaded(http: httpx2.AsyncClient, team: Team, content: bytes, content_type: str, name: str = "cat") -> str:
    """Where the new file can be loaded, as a path of the API."""
    answer = await upload(http, team.token, content, content_type, fileName=name)
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.json()["attachment"]["url"]).path


async def test_a_file_is_taken_and_shown(http: httpx2.AsyncClient, team: Team, graph: Graph) -> None:
    answer = await upload(http, team.token, files.png(), fileName="../Größe.png")
    assert answer.status_code == 201
    told = answer.json()["attachment"]
    assert told == {
        "id": told["id"],
        "kind": "IMAGE",
        "contentType": "image/png",
        "fileName": "Größe.png",
        "size": len(files.png()),
        "width": 3,
        "height": 2,
        "url": told["url"],
    }
    assert (await graph.data(ATTACHMENT, id=told["id"]))["attachment"] == told
    assert await actions(UUID(told["id"])) == ["attachment.uploaded"]

    shown = await http.get(urlsplit(told["url"]).path)
    assert (shown.status_code, shown.content) == (200, files.png())
    assert shown.headers["Content-Type"] == "image/png"
    assert (
        shown.headers["Content-Disposition"] == "inline; filename=\"Gr__e.png\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.png"
    )
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert shown.headers["Cache-Control"].startswith("private, max-age=")
    assert shown.headers["ETag"] == f'"{hashlib.sha256(files.png()).hexdigest()}"'


async def test_each_side_uploads_and_a_device_sees_its_own(http: httpx2.AsyncClient, team: Team, graph: Graph) -> None:
    one, other = [await factories.device_token(id_) for id_ in await factories.contacts(team.app_id, 2)]
    key = (await factories.api_key(team, Permission.UPLOAD_ATTACHMENTS)).secret
    ids = [(await upload(http, token, files.png())).json()["attachment"]["id"] for token in (one, key)]
    seen = [
        [bool((await graph.as_(token).ask(ATTACHMENT, id=id_)).body["data"]["attachment"]) for id_ in ids]
        for token in (one, other, key, team.token, (await factories.team()).token)
    ]
    assert seen == [[True, False], [False, False], [True, True], [True, True], [False, False]]


SAY = """mutation($input: SendOwnMessageInput!) {
  sendOwnMessage(input: $input) { message { conversationId attachments { id url } } userErrors { code field } }
}"""
ANSWER = """mutation($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id attachments { id } } userErrors { code field } }
}"""
READ = "query($id: ID!) { conversation(id: $id) { messages(first: 9) { nodes { body attachments { id fileName } } } } }"
READ_OWN = "query($id: ID!) { ownMessages(conversationId: $id, first: 9) { nodes { body attachments { id } } } }"
DELETE = "mutation($input: DeleteMessageInput!) { deleteMessage(input: $input) { userErrors { code } } }"


async def test_both_sides_send_files(http: httpx2.AsyncClient, team: Team, graph: Graph) -> None:
    (device_id,) = await factories.contacts(team.app_id, 1)
    device = graph.as_(await factories.device_token(device_id))

    async def attached(by: Graph, name: str) -> str:
        return (await upload(http, by.token, files.png(), fileName=name)).json()["attachment"]["id"]

    first, second = [await attached(device, name) for name in ("one.png", "two.png")]
    said = (await device.change(SAY, body="", attachmentIds=[second, first], clientKey="k"))["message"]
    assert [one["id"] for one in said["attachments"]] == [second, first]
    assert (await device.change(SAY, body="", attachmentIds=[second, first], clientKey="k"))["message"] == said
    id_ = said["conversationId"]
    shown = (await graph.data(READ, id=id_))["conversation"]["messages"]["nodes"]
    assert shown == [
        {
            "body": "",
            "attachments": [{"id": second, "fileName": "two.png"}, {"id": first, "fileName": "one.png"}],
        }
    ]
    answer = await attached(graph, "answer.png")
    sent = (await graph.change(ANSWER, conversationId=id_, body="Here", attachmentIds=[answer]))["message"]
    own = (await device.data(READ_OWN, id=id_))["ownMessages"]["nodes"]
    assert own[1] == {"body": "Here", "attachments": [{"id": answer}]}
    for ids, told in (
        ([first], {"code": "NOT_FOUND", "field": ["attachmentIds", "0"]}),
        ([answer], {"code": "CONFLICT", "field": ["attachmentIds", "0"]}),
        (["x"], {"code": "BAD_USER_INPUT", "field": ["attachmentIds", "0"]}),
    ):
        assert await graph.refused(ANSWER, conversationId=id_, body="No", attachmentIds=ids) == [told]
    assert len((await device.data(READ_OWN, id=id_))["ownMessages"]["nodes"]) == 2, "what is refused is not written"

    path = urlsplit((await graph.data(ATTACHMENT, id=answer))["attachment"]["url"]).path
    await graph.change(DELETE, id=sent["id"])
    assert (await device.data(READ_OWN, id=id_))["ownMessages"]["nodes"][1]["attachments"] == []
    assert (await http.get(path)).status_code == 404


async def test_what_is_no_picture_is_offered_for_saving(http: httpx2.AsyncClient, team: Team) -> None:
    for content, content_type, name, disposition, shown_as in (
        (files.PDF, "application/pdf", "a.pdf", "attachment", "application/pdf"),
        (files.HTML, PLAIN, "page.html", "attachment", "text/plain; charset=utf-8"),
        (files.MP4, "video/mp4", "a.mp4", "inline", "video/mp4"),
    ):
        answer = await http.get(await uploaded(http, team, content, content_type, name))
        assert answer.headers["Content-Disposition"].startswith(f"{disposition}; ")
        assert answer.headers["Content-Type"] == shown_as
        assert answer.content == content


async def test_who_may_not_upload(http: httpx2.AsyncClient, team: Team) -> None:
    key = (await factories.api_key(team, Permission.VIEW_CONTACTS)).secret
    assert refused(await upload(http, None, files.png())) == (401, "UNAUTHENTICATED")
    assert refused(await upload(http, "no", files.png())) == (401, "UNAUTHENTICATED")
    assert refused(await upload(http, key, files.png())) == (403, "FORBIDDEN")
    assert await count(team) == 0


async def test_what_is_refused_is_refused_by_a_code(http: httpx2.AsyncClient, team: Team) -> None:
    for answer, told in (
        (await upload(http, team.token, files.png(), "image/jpeg"), (415, "UNSUPPORTED_FILE")),
        (await upload(http, team.token, files.SVG, "image/svg+xml"), (415, "UNSUPPORTED_FILE")),
        (await upload(http, team.token, files.png() + files.ZIP), (415, "UNSUPPORTED_FILE")),
        (await upload(http, team.token, files.png(text=bytes(9_000)), "image/jpeg"), (415, "UNSUPPORTED_FILE")),
        (await upload(http, team.token, b""), (415, "UNSUPPORTED_FILE")),
        (await upload(http, team.token, files.png(), other="1"), (400, "BAD_USER_INPUT")),
        (await upload(http, team.token, bytes(10 * MIB + 1)), (413, "TOO_LARGE")),
    ):
        assert refused(answer) == told
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert await count(team) == 0


async def test_who_stops_sending_reads_why(http: httpx2.AsyncClient, team: Team) -> None:
    for start, content_type, size, told in (
        (files.MP4, "video/mp4", 66, (413, "TOO_LARGE")),
        (files.HTML, "image/png", 5, (415, "UNSUPPORTED_FILE")),
    ):
        assert refused(await upload(http, team.token, Endless(start, size * MIB), content_type)) == told
    assert await count(team) == 0


async def test_an_upload_that_comes_twice_is_one(http: httpx2.AsyncClient, team: Team) -> None:
    answers = await asyncio.gather(*(upload(http, team.token, files.png(), idempotencyKey="one") for _ in range(3)))
    assert len({answer.json()["attachment"]["id"] for answer in answers}) == 1
    other = await upload(http, team.token, files.png(9, 9), idempotencyKey="one")
    assert refused(other) == (400, "IDEMPOTENCY_KEY_REUSED")


class Endless:
    """A body without a declared length, that counts what of it was taken."""

    def __init__(self, start: bytes, size: int) -> None:
        self.start, self.size, self.sent = start, size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        part = self.start + bytes(MIB - len(self.start))
        while self.sent < self.size:
            yield part
            self.sent += len(part)
            part = bytes(MIB)


async def test_what_is_too_large_in_mid_stream_is_read_no_further(api: Api, team: Team) -> None:
    before = peak(api)
    for start, content_type, most in ((files.MP4, "video/mp4", 64), (files.HTML, "image/png", 0)):
        endless = Endless(start, 200 * MIB)
        async with local_client(base_url=api.url, timeout=60) as http:
            with pytest.raises(httpx2.TransportError):  # it goes on sending, and is cut off
                await upload(http, team.token, endless, content_type)
        assert endless.sent <= (most + LINGER_BYTES // MIB + 16) * MIB, "what the sockets hold is on its way, no more"
    assert peak(api) - before < 40 * MIB
    assert await count(team) == 0


async def test_a_large_file_costs_little_memory(api: Api, http: httpx2.AsyncClient, team: Team) -> None:
    content = files.MP4 + bytes(63 * MIB)
    before = peak(api)
    path = await uploaded(http, team, content, "video/mp4")
    assert (await http.get(path)).content == content
    assert peak(api) - before < 64 * MIB


async def test_an_address_that_is_changed_or_has_ended_shows_nothing(http: httpx2.AsyncClient, team: Team) -> None:
    path = await uploaded(http, team, files.png(), "image/png")
    for at in (len("/attachments/"), 40, len(path) - 1):
        changed = path[:at] + ("A" if path[at] != "A" else "B") + path[at + 1 :]
        assert refused(await http.get(changed)) == (404, "NOT_FOUND")
    assert refused(await http.get(path + "A")) == (404, "NOT_FOUND")
    async with transaction() as session:
        row = (await session.scalars(sa.select(Attachment).where(Attachment.app_id == team.app_id))).one()
    for hours, status in ((-3.1, 404), (-0.9, 200)):
        with time_machine.travel(now() + timedelta(hours=hours), tick=False):
            token = links.url(row)
        assert (await http.get(urlsplit(token).path)).status_code == status
    await factories.attachment(await factories.team())
    other = await factories.attachment(team, stored_at=None)
    assert (await http.get(urlsplit(links.url(other)).path)).status_code == 404, "what is not complete is not shown"


RANGES = [
    ("bytes=0-3", 206, (0, 4)),
    ("bytes=4-", 206, (4, 100)),
    ("bytes=-10", 206, (90, 100)),
    ("bytes=-1000", 206, (0, 100)),
    ("bytes=90-1000", 206, (90, 100)),
    ("bytes=99-99", 206, (99, 100)),
    ("bytes=100-", 416, (0, 0)),
    ("bytes=-0", 416, (0, 0)),
    ("bytes=5-4", 200, (0, 100)),
    ("bytes=0-1,5-6", 200, (0, 100)),
    ("bytes=-", 200, (0, 100)),
    ("lines=1-2", 200, (0, 100)),
    ("bytes=" + "9" * 30 + "-", 200, (0, 100)),
]


async def test_parts_of_a_file(http: httpx2.AsyncClient, team: Team) -> None:
    content = bytes(range(32, 126)) + b"123456"
    path = await uploaded(http, team, content, PLAIN)
    for asked, status, (start, end) in RANGES:
        answer = await http.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, content[start:end]), asked
        told = {206: f"bytes {start}-{end - 1}/100", 416: "bytes */100", 200: None}[status]
        assert answer.headers.get("Content-Range") == told
        head = await http.head(path, headers={"Range": asked})
        assert (head.status_code, head.headers["Content-Length"]) == (status, answer.headers["Content-Length"])
    etag = answer.headers["ETag"]
    other = {"Range": "bytes=0-3", "If-Range": '"other"'}
    assert (await http.get(path, headers=other)).status_code == 200
    assert (await http.get(path, headers=other | {"If-Range": etag})).status_code == 206
    known = await http.get(path, headers={"If-None-Match": f'"x", {etag}'})
    assert (known.status_code, known.content) == (304, b"")
