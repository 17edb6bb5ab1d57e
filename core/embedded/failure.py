"""The one error of this package."""

OWN_SERVERS = (
    "Or use servers of your own: set DATABASE_URL=postgresql://user:password@host:5432/name and "
    "REDIS_URL=redis://host:6379/0."
)


class SetUpError(RuntimeError):
    """The embedded servers cannot run here; the message says why and the way out."""
