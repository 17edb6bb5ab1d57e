"""What the processes of a running demo share, so that a second shell finds its servers without setting variables."""

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from core.config import config
from core.embedded import SetUpError
from core.embedded.processes import Identity
from core.embedded.state import write_private

SERVERS = ("DATABASE_URL", "REDIS_URL")


class RunningDemo(BaseModel):
    """A demo as its supervisor notes it down.

    Attributes:
        supervisor: the process that runs it.
        environment: variables that its children have besides those of the shell. Holds secrets.
        children: the processes it started, for the next start to stop if this supervisor is killed.
    """

    supervisor: Identity
    environment: dict[str, str]
    children: list[Identity] = []


def note_file(state_dir: Path) -> Path:
    """Where the supervisor notes down the running demo; only the demo's user may read it."""
    return state_dir / "demo.json"


def write_note(state_dir: Path, demo: RunningDemo) -> None:
    """Note down the running demo."""
    write_private(note_file(state_dir), demo.model_dump_json(indent=2))


def read_note(state_dir: Path) -> RunningDemo | None:
    """The demo noted down last, running or not; None when there is none or this user may not read it."""
    try:
        return RunningDemo.model_validate_json(note_file(state_dir).read_text())
    except (OSError, ValidationError):
        return None


def load_environment() -> None:
    """Let this process find its servers: by its own variables, else those of the demo that runs in the state directory.

    Every command that needs the servers calls this before anything else. What is already set stays as it is.

    Raises:
        SetUpError: DATABASE_URL or REDIS_URL is not set and no demo runs.
    """
    demo = read_note(config().state_dir)
    if demo and demo.supervisor.alive() and _same_servers(demo):
        for name, value in demo.environment.items():
            os.environ[name] = os.environ.get(name) or value
        config.cache_clear()
    missing = [name for name in SERVERS if not os.environ.get(name)]
    if missing:
        raise SetUpError(f"{' and '.join(missing)} not set. Start `make demo`, or set DATABASE_URL and REDIS_URL.")


def _same_servers(demo: RunningDemo) -> bool:
    """Whether nothing that is set here points elsewhere: the demo's secret must not leak to other servers."""
    return all(os.environ.get(name, "") in {"", demo.environment.get(name)} for name in SERVERS)
