"""Downloads as a front end has them, and what they cost the API."""

import csv
import io
from pathlib import Path

import httpx2

from tests.support.graph import local_client
from tests.support.processes import Api


async def download(api: Api, path: str, token: str | None, method: str = "GET", **wanted: str) -> httpx2.Response:
    """What the API answers at `path` to whoever has the token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with local_client(timeout=30) as client:
        return await client.request(method, f"{api.url}{path}", params=wanted, headers=headers)


def rows(answer: httpx2.Response) -> list[dict[str, str]]:
    """The rows of a table by its header."""
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def streamed(api: Api, path: str, token: str) -> int:
    """How many rows a table has that is not kept."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        local_client(timeout=60) as client,
        client.stream("GET", api.url + path, headers=headers) as answer,
    ):
        return sum([part.count(b"\r\n") async for part in answer.aiter_bytes()]) - 1


def peak(api: Api) -> int:
    """The most memory that the API's process ever had, in bytes."""
    (line,) = (one for one in Path(f"/proc/{api.pid}/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
