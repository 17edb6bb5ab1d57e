"""`replyhq serve`."""

from server import serve as api
from server.environment import load_environment


def serve() -> None:
    """Run one API process on REPLYHQ_HOST and REPLYHQ_PORT until SIGINT or SIGTERM."""
    load_environment()
    api.main()
