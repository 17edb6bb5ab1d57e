"""Simulated providers, and the channels to them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from channels.apns import Apns, ApnsAccount
from channels.base import Channel, Outgoing, Result
from channels.email import Email, EmailAccount
from channels.fcm import Fcm, FcmAccount
from channels.http import Http
from channels.web_push import WebPush, WebPushAccount
from core.ids import new_id
from server.simulator.providers.behaviour import Behaviour, Luck
from server.simulator.providers.credentials import KEY_ID, TEAM_ID, TOPIC
from server.simulator.providers.running import Running, providers

APP = new_id()
AT_ONCE = 8


@dataclass
class Ground:
    """Simulators that behave as they are told, and channels of each kind to them."""

    running: Running
    luck: Luck
    http: Http
    made: list[Apns] = field(default_factory=list)

    def behave(self, **given: float) -> None:
        self.luck.behaviour = Behaviour(**given)

    def fcm(self, **given: Any) -> Fcm:
        file = orjson.loads(self.running.credentials.service_account())
        names = ("project_id", "client_email", "private_key_id", "private_key")
        account = {name: file[name] for name in names} | {"base_url": self.running.http_url} | given
        return Fcm(FcmAccount(**account), self.http, AT_ONCE)

    def apns(self, **given: Any) -> Apns:
        account = {"team_id": TEAM_ID, "key_id": KEY_ID, "topic": TOPIC, "private_key": self.running.credentials.apns}
        self.made.append(Apns(ApnsAccount(**account | {"base_url": self.running.apns_url} | given), AT_ONCE))
        return self.made[-1]

    def web_push(self) -> WebPush:
        account = WebPushAccount(self.running.credentials.browser, "mailto:ops@example.com")
        return WebPush(account, self.http, AT_ONCE)

    def email(self, **given: Any) -> Email:
        account = {"url": f"smtp://127.0.0.1:{self.running.ports.smtp}", "sender": "Acme <hello@example.com>"}
        return Email(EmailAccount(**account | given), allow_loopback=True)

    def channel(self, kind: str) -> Channel:
        made: dict[str, Callable[[], Channel]] = {
            "FCM": self.fcm,
            "APNS": self.apns,
            "WEB_PUSH": self.web_push,
            "SMTP": self.email,
        }
        return made[kind]()

    def address(self, kind: str, name: str) -> str:
        if kind == "WEB_PUSH":
            return self.running.credentials.subscription(self.running.http_url, name)
        return f"{name}@example.org" if kind == "SMTP" else name

    def batch(self, kind: str, names: Sequence[str], **given: Any) -> list[Outgoing]:
        return [outgoing(self.address(kind, name), **given) for name in names]

    def counts(self, kind: str) -> Counter[str]:
        """How often each name was accepted."""
        lines = [orjson.loads(line) for line in self.running.ledger.lines()]
        found = {one["address"].removesuffix("@example.org"): one["count"] for one in lines if one["provider"] == kind}
        return Counter(found)


def outgoing(address: str, **given: Any) -> Outgoing:
    fields = {"title": "Hello", "body": "World", "data": {"url": "app://1", "n": 1}} | given
    return Outgoing(**{"key": f"t:{new_id()}", "app_id": APP, "device_id": new_id(), "address": address} | fields)


async def results(channel: Channel, batch: Sequence[Outgoing]) -> list[Result]:
    """What came of each, in the order of the batch."""
    found = {outcome.key: outcome.result for outcome in await channel.send(batch)}
    return [found[one.key] for one in batch]


async def result(channel: Channel, one: Outgoing) -> Result:
    (found,) = await results(channel, [one])
    return found


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Ground]:
    """The ground until the end of the block."""
    luck = Luck(Behaviour(), seed=7)
    async with providers(folder, luck) as running:
        made = Ground(running, luck, Http(allow_loopback=True))
        yield made
        await made.http.close()
        for one in made.made:
            await one.close()
