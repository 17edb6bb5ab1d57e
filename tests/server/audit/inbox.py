"""Part of `make audit`: the inbox of the React example against a real API, its cache beside fresh answers."""

import asyncio
import os
import subprocess
import sys

from benchmarks.ground import ground
from core.database import dispose
from tests.support import factories
from tests.support.examples import PAGE
from tests.support.factories import PASSWORD, Team
from tests.support.processes import Api


async def _team() -> Team:
    try:
        return await factories.team()
    finally:
        await dispose()


def main() -> int:
    """Exit status: 0 when everything is ok."""
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=PAGE, check=True)
    with ground(REPLYHQ_RATE_USER_PER_MINUTE="100000", REPLYHQ_RATE_IP_PER_MINUTE="100000"):
        team = asyncio.run(_team())
        api = Api()
        api.start()
        try:
            who = {"REPLYHQ_URL": api.url, "REPLYHQ_EMAIL": team.email, "REPLYHQ_PASSWORD": PASSWORD}
            return subprocess.run(["npm", "test"], cwd=PAGE, env=os.environ | who, check=False).returncode
        finally:
            api.stop()


if __name__ == "__main__":
    sys.exit(main())
