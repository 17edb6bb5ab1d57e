"""All simulated providers in one process, on this machine alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from server.simulator.providers import credentials
from server.simulator.providers.apns import Apns
from server.simulator.providers.behaviour import Luck
from server.simulator.providers.credentials import KEY_ID, TEAM_ID, TOPIC, Credentials
from server.simulator.providers.http import HttpProviders
from server.simulator.providers.ledger import Ledger
from server.simulator.providers.mail import Mailboxes

HOST = "127.0.0.1"
LEDGER, CREDENTIALS = "ledger.jsonl", "credentials.json"


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 is any free port."""

    http: int = 0
    apns: int = 0
    smtp: int = 0


@dataclass(frozen=True)
class Running:
    """Where the simulators listen, and what they are signed in to with."""

    ports: Ports
    credentials: Credentials
    ledger: Ledger

    @property
    def http_url(self) -> str:
        """Of FCM, the push services, and the control."""
        return f"http://{HOST}:{self.ports.http}"

    @property
    def apns_url(self) -> str:
        """Of APNs."""
        return f"http://{HOST}:{self.ports.apns}"

    def accounts(self) -> dict[str, dict[str, object]]:
        """The inputs of setChannelAccount, by provider."""
        given = {"teamId": TEAM_ID, "keyId": KEY_ID, "topic": TOPIC, "privateKey": self.credentials.apns}
        mail = {"host": HOST, "port": self.ports.smtp, "security": "STARTTLS", "fromAddress": "hello@example.com"}
        inputs: dict[str, dict[str, object]] = {
            "fcm": {"serviceAccount": self.credentials.service_account(), "baseUrl": self.http_url},
            "apns": {**given, "baseUrl": self.apns_url},
            "webPush": {"subject": "mailto:ops@example.com"},
            "smtp": {**mail},
        }
        return {name: {"account": {name: one}} for name, one in inputs.items()}


@asynccontextmanager
async def providers(folder: Path, luck: Luck, ports: Ports | None = None) -> AsyncIterator[Running]:
    """Simulators that run until the end of the block. What they took stands in `folder`, and stays.

    Raises:
        OSError: a port is taken, or the folder cannot be written to.
    """
    asked = ports or Ports()
    keys, ledger = credentials.kept(folder / CREDENTIALS), Ledger(folder / LEDGER)
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(HttpProviders(luck, ledger, keys).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, asked.http)
    await site.start()
    apns = await loop.create_server(lambda: Apns(luck, ledger, keys), HOST, asked.apns)
    mail = await loop.create_server(Mailboxes(luck, ledger).connection, HOST, asked.smtp)
    try:
        found = Ports(runner.addresses[0][1], _port(apns), _port(mail))
        yield Running(found, keys, ledger)
    finally:
        apns.close()
        mail.close()
        await runner.cleanup()
        ledger.close()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
