"""The API process: uvicorn with uvloop and httptools around `server.app:create_app`."""

import uvicorn

from core.config import config
from core.guard import require_safe
from core.logging import configure_logging
from server.wire import SocketProtocol

STOP_SECONDS = 10
PING_SECONDS = 20


def main() -> None:
    """Serve until SIGINT or SIGTERM; open requests then have 10 s to end.

    Raises:
        SetUpError: the configuration must not be used in production.
    """
    require_safe()
    configure_logging()
    uvicorn.run(
        "server.app:create_app",
        factory=True,
        host=config().host,
        port=config().port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=[str(network) for network in config().trusted_proxies],
        ws=SocketProtocol,
        ws_max_size=config().ws_max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
