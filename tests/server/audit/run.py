"""`make audit`: reference clients of both protocols against the face, and Apollo's. Needs node and npm."""

import subprocess
import sys
from pathlib import Path

from tests.server.audit import inbox
from tests.server.face import running, settings

HERE = Path(__file__).parent


def main() -> int:
    """Exit status: 0 when everything is ok."""
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)
    with running(settings(ws_init_seconds=10, ws_max_operations=20)) as face:
        audits = [
            ["node", "audit.mjs", f"{face.url}/graphql"],
            ["node", "wsclient.mjs", f"{face.url.replace('http', 'ws')}/graphql"],
        ]
        protocols = [subprocess.run(audit, cwd=HERE, check=False).returncode for audit in audits]
    return max(*protocols, inbox.main())


if __name__ == "__main__":
    sys.exit(main())
