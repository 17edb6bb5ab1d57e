"""PostgreSQL and Valkey without installing anything: the real servers, from wheels, by our own launcher."""

from core.embedded.failure import SetUpError
from core.embedded.servers import EmbeddedServers, Urls, erase

__all__ = ["EmbeddedServers", "SetUpError", "Urls", "erase"]
