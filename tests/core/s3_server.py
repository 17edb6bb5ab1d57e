"""As much of S3 as the store of files uses: objects in parts or at once, ranges, removal."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from aiohttp import web

XML = "application/xml"


class S3Server:
    """One bucket, in memory.

    Attributes:
        objects: by path.
        parted: how many objects came in parts.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parted = 0
        self._parts: dict[str, dict[int, bytes]] = {}
        self._ids = count(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=test-key/"):
            return web.Response(status=403)
        if request.method == "PUT":
            return await self._put(request, path)
        if request.method == "POST":
            return await self._post(request, path)
        return self._get(request, path)

    async def _put(self, request: web.Request, path: str) -> web.Response:
        content = await request.read()
        if "uploadId" in request.query:
            self._parts[request.query["uploadId"]][int(request.query["partNumber"])] = content
        else:
            self.objects[path] = content
        return web.Response(headers={"ETag": '"x"'})

    async def _post(self, request: web.Request, path: str) -> web.Response:
        if "delete" in request.query:
            keys = re.findall(r"<Key>(.*?)</Key>", await request.text())
            for key in keys:
                self.objects.pop(f"{path}/{key}", None)
            deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            body = f"<DeleteResult>{deleted}</DeleteResult>"
        elif "uploads" in request.query:
            id_ = str(next(self._ids))
            self._parts[id_] = {}
            body = f"<InitiateMultipartUploadResult><UploadId>{id_}</UploadId></InitiateMultipartUploadResult>"
        else:
            self.parted += 1
            parts = self._parts.pop(request.query["uploadId"])
            self.objects[path] = b"".join(parts[no] for no in sorted(parts))
            body = '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
        return web.Response(text=body, content_type=XML)

    def _get(self, request: web.Request, path: str) -> web.Response:
        if path not in self.objects:
            return web.Response(status=404)
        content = self.objects[path]
        told = {"ETag": '"x"', "Last-Modified": "Tue, 24 Nov 2026 18:00:00 GMT"}
        span = request.http_range
        start, stop = span.start or 0, min(span.stop or len(content), len(content))
        told["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:stop], headers=told)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[S3Server, str]]:
    """The server and its address."""
    server = S3Server()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
