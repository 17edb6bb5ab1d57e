"""`replyhq` as scripts run it: a process with its exit code, its answer and its asides."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


async def start(*words: str, **environment: str) -> Process:
    """Start a command; it has no terminal and finds no demo."""
    code = "from server.cli import app; app()"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *words),
        cwd=ROOT,
        env=os.environ | {"REPLYHQ_STATE_DIR": "none", "COLUMNS": "200"} | environment,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


async def end(process: Process) -> Ended:
    """Wait for the end of a command."""
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def replyhq(*words: str, **environment: str) -> Ended:
    """Run a command to its end."""
    return await end(await start(*words, **environment))
