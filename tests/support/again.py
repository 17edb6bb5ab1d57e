"""After a run that has failed: the few tests that did are run once more, one after the other, nothing beside them.

A test that fails again is broken, and the run with it. One that passes is unsteady: the run is green, and says so,
because an unsteady test is a bug of the test or of the product, and is to be mended. See docs/decisions/0018.
"""

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 3
"""More than so many do not fail by chance."""


def main() -> int:
    """The exit code of the run: 0 when all that had failed has passed."""
    failed = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 1 <= len(failed) <= MOST:
        return 1
    console = Console()
    console.rule(f"[bold]Once more, alone: {len(failed)} of the tests that failed")
    if pytest.main(["-p", "no:randomly", *failed]):
        return 1
    console.rule("[bold yellow]UNSTEADY")
    for name in failed:
        console.print(f"[yellow]failed beside others, passed alone:[/] {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
