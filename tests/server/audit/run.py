"""`make audit`: the reference clients of both protocols against the face on a real port. Needs node and npm."""

import subprocess
import sys
from pathlib import Path

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
        return max(subprocess.run(audit, cwd=HERE, check=False).returncode for audit in audits)


if __name__ == "__main__":
    sys.exit(main())
