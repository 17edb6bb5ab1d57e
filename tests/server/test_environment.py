"""How a command finds its servers."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import config
from core.embedded import SetUpError
from core.embedded.processes import Identity, identify
from server.environment import RunningDemo, load_environment, note_file, read_note, write_note

OF_THE_DEMO = {"DATABASE_URL": "postgresql://demo", "REDIS_URL": "redis://demo", "REPLYHQ_SECRET_KEY": "of the demo"}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state directory, and none of the demo's variables set."""
    monkeypatch.setenv("REPLYHQ_STATE_DIR", str(tmp_path))
    for name in OF_THE_DEMO:
        monkeypatch.setenv(name, "")
    config.cache_clear()
    yield tmp_path
    config.cache_clear()


def note(state: Path, supervisor: Identity | None = None) -> None:
    alive = identify(os.getpid())
    assert alive
    write_note(state, RunningDemo(supervisor=supervisor or alive, environment=OF_THE_DEMO))


def test_a_running_demo_is_found(state: Path) -> None:
    note(state)

    load_environment()

    assert config().database_url == "postgresql://demo"
    assert config().secret_key.get_secret_value() == "of the demo"


def test_what_is_set_stays(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(state)
    monkeypatch.setenv("REPLYHQ_SECRET_KEY", "mine")

    load_environment()

    assert os.environ["REPLYHQ_SECRET_KEY"] == "mine"
    assert os.environ["REDIS_URL"] == "redis://demo"


def test_other_servers_get_nothing_of_the_demo(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(state)
    monkeypatch.setenv("DATABASE_URL", "postgresql://mine")

    with pytest.raises(SetUpError, match="REDIS_URL not set"):
        load_environment()
    monkeypatch.setenv("REDIS_URL", "redis://mine")
    load_environment()

    assert os.environ["REPLYHQ_SECRET_KEY"] == ""


def test_a_demo_that_ended_is_not_used(state: Path) -> None:
    alive = identify(os.getpid())
    assert alive
    note(state, alive.model_copy(update={"started": "earlier"}))

    with pytest.raises(SetUpError, match=r"DATABASE_URL and REDIS_URL not set. Start `make demo`, or set"):
        load_environment()


@pytest.mark.usefixtures("state")
def test_without_a_demo_the_way_out_is_told() -> None:
    with pytest.raises(SetUpError, match=r"Start `make demo`, or set DATABASE_URL and REDIS_URL"):
        load_environment()


def test_the_note_is_private_and_may_be_damaged(state: Path) -> None:
    note(state)
    assert stat.S_IMODE(note_file(state).stat().st_mode) == 0o600

    note_file(state).write_text("{")
    assert read_note(state) is None
