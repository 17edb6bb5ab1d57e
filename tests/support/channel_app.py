"""An app that has set up its channels with simulated providers, as its owner meets it over GraphQL."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.database import transaction
from models.devices import Device, Platform
from server.simulator.providers.running import HOST
from tests.support import factories
from tests.support.factories import Team
from tests.support.graph import Graph
from tests.support.mail_server import MailServer
from tests.support.processes import Api, clock, worker
from tests.support.provider_ground import Ground, standing
from tests.support.waiting import until
from tests.test_broadcasts import create

SET_ACCOUNT = """mutation($input: SetChannelAccountInput!) {
  setChannelAccount(input: $input) { userErrors { code message field } } }"""
CONTACT = """mutation($input: CreateContactInput!) {
  createContact(input: $input) { contact { id } userErrors { code message field } } }"""
DEVICE = """mutation($input: RegisterDeviceInput!) {
  registerDevice(input: $input) { device { id } token userErrors { code message field } } }"""
STATUS = "query($id: ID!) { broadcast(id: $id) { status } }"
RECIPIENTS = """query($id: ID!) { broadcastRecipients(broadcastId: $id, first: 100) {
  nodes { platform status channel errorCode } } }"""
PROVIDERS = {"ANDROID": "FCM", "IOS": "APNS", "WEB": "WEB_PUSH"}


@dataclass(frozen=True)
class Providers:
    """Simulated providers, a mail server that keeps what it gets, and the processes of the product."""

    ground: Ground
    mail: MailServer
    api: Api

    def taken(self, name: str) -> Counter[str]:
        """How often push tokens that begin with `name` were sent to, by provider and token."""
        counts = {kind: self.ground.counts(kind) for kind in PROVIDERS.values()}
        return Counter(
            {
                f"{kind} {token}": count
                for kind, found in counts.items()
                for token, count in found.items()
                if token.startswith(name)
            }
        )


@asynccontextmanager
async def providers(folder: Path) -> AsyncIterator[Providers]:
    """All of it, until the end of the block."""
    loopback = {"REPLYHQ_OUTBOUND_ALLOW_LOOPBACK": "true"}
    api, mail = Api(**loopback), MailServer()
    others = worker(REPLYHQ_PUBLIC_URL=api.url, **loopback), clock()
    mail.start()
    async with standing(folder) as ground:
        for process in (api, *others):
            process.start()
        yield Providers(ground, mail, api)
        for process in (*others, api):
            process.stop()
    mail.stop()


@dataclass(frozen=True)
class ChannelApp:
    """One app there."""

    providers: Providers
    team: Team
    graph: Graph

    @property
    def name(self) -> str:
        """What the push tokens of this app begin with."""
        return self.team.app_id.hex

    def token(self, platform: str) -> str:
        """The push token of its device of a platform, by which the ledger knows it."""
        return f"{self.name}-{platform.lower()}"

    @property
    def taken(self) -> Counter[str]:
        """How often each of its devices was sent to, by provider and platform."""
        found = self.providers.taken(self.name)
        return Counter({key.replace(f"{self.name}-", ""): count for key, count in found.items()})

    async def set_up(self, *names: str) -> None:
        """Give its accounts: fcm, apns, webPush, smtp."""
        running = self.providers.ground.running
        accounts = running.accounts()
        accounts["webPush"]["account"] |= {  # type: ignore[operator]
            "webPush": {"subject": "mailto:ops@example.com", "privateKey": running.credentials.browser}
        }
        accounts["smtp"]["account"]["smtp"] |= {"host": HOST, "port": self.providers.mail.port}  # type: ignore[index]
        for name in names:
            await self.graph.change(SET_ACCOUNT, **accounts[name])

    async def person(self, platform: str | None = None, **fields: Any) -> tuple[str, dict[str, Any]]:
        """A contact, with a device that takes pushes if a platform is given; the contact's id and that device."""
        contact_id = (await self.graph.change(CONTACT, **fields))["contact"]["id"]
        if platform is None:
            return contact_id, {}
        token = self.providers.ground.address(PROVIDERS[platform], self.token(platform))
        device = {"contactId": contact_id, "platform": platform, "pushToken": token}
        return contact_id, await self.graph.change(DEVICE, **device)

    async def many(self, count: int) -> int:
        """`count` contacts with an Android device each; returns how many."""
        devices = await factories.contacts(self.team.app_id, count, Platform.ANDROID)
        named = sa.literal(f"{self.name}-") + sa.cast(Device.id, sa.Text)
        async with transaction() as session:
            await session.execute(sa.update(Device).where(Device.id.in_(devices)).values(push_token=named))
        return count

    async def draft(self, *channels: str, **fields: Any) -> str:
        """A broadcast to everybody."""
        return await create(self.graph, options={"channels": list(channels)}, **fields)

    async def ended(self, broadcast_id: str, status: str = "SENT") -> list[dict[str, Any]]:
        """Its recipients, once it has ended."""
        look = lambda: self.graph.data(STATUS, id=broadcast_id)  # noqa: E731
        await until(look, lambda seen: seen["broadcast"]["status"] == status, seconds=90)
        return await self.recipients(broadcast_id)

    async def recipients(self, broadcast_id: str) -> list[dict[str, Any]]:
        found = await self.graph.data(RECIPIENTS, id=broadcast_id)
        return found["broadcastRecipients"]["nodes"]
