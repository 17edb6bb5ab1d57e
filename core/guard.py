"""The production guard: a process that is not configured safely does not start, and says everything that is missing.

A process is in production unless REPLYHQ_ENVIRONMENT says `development`, as the demo and the tests do.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pydantic import IPvAnyNetwork, ValidationError

from core.config import Config, config
from core.embedded import SetUpError
from core.embedded.state import Saved
from core.encryption import parse_keys
from core.storage import SCHEMES

SECRET_BYTES = 32
# A random key of 32 hexadecimal digits has 14 different ones as a rule, and fewer than 9 in no lifetime.
DISTINCT_LEAST = 9
GUESSABLE = ("change", "example", "secret", "password", "replyhq", "123456", "abcdef", "qwerty")
# The largest networks that belong to somebody: 10.0.0.0/8 and fc00::/7.
PREFIX_LEAST = 7
MAKE_KEY = "Make one: python -c \"from core.encryption import new_key; print('1:' + new_key())\""
MAKE_RANDOM = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def require_safe() -> None:
    """Refuse to go on with a configuration that must not be used in production.

    Raises:
        SetUpError: in production; every reason in a sentence of its own, with the way out.
    """
    found = refusals(config())
    if found:
        lines = "\n".join(f"- {reason}" for reason in found)
        raise SetUpError(
            f"Not configured for production:\n{lines}\n"
            "On a machine for development alone, set REPLYHQ_ENVIRONMENT=development."
        )


def refusals(conf: Config) -> list[str]:
    """Why a process with this configuration must not start; nothing in development."""
    if conf.environment == "development":
        return []
    return [reason for check in CHECKS for reason in check(conf)]


def _secret_key(conf: Config) -> Iterator[str]:
    key = conf.secret_key.get_secret_value()
    if not key:
        yield f"REPLYHQ_SECRET_KEY is missing. {MAKE_RANDOM}"
    elif len(key.encode()) < SECRET_BYTES:
        yield f"REPLYHQ_SECRET_KEY is shorter than {SECRET_BYTES} bytes. {MAKE_RANDOM}"
    elif len(set(key)) < DISTINCT_LEAST or any(word in key.lower() for word in GUESSABLE):
        yield f"REPLYHQ_SECRET_KEY can be guessed: it is not random. {MAKE_RANDOM}"


def _secret_keys_before(conf: Config) -> Iterator[str]:
    keys = [key.strip() for key in conf.secret_keys_before.get_secret_value().split(",") if key.strip()]
    if any(len(key.encode()) < SECRET_BYTES for key in keys):
        yield f"REPLYHQ_SECRET_KEYS_BEFORE has a key that is shorter than {SECRET_BYTES} bytes. Leave it out."


def _encryption_keys(conf: Config) -> Iterator[str]:
    try:
        keys = parse_keys(conf.encryption_keys.get_secret_value())
    except ValueError as error:
        yield f"{error} {MAKE_KEY}"
        return
    if any(len(set(key)) < DISTINCT_LEAST for key in keys.values()):
        yield f"REPLYHQ_ENCRYPTION_KEYS has a key that is not random. {MAKE_KEY}"


def _mail(conf: Config) -> Iterator[str]:
    if not conf.smtp_url.get_secret_value():
        yield "REPLYHQ_SMTP_URL is missing: invitations and new passwords go by mail. Write smtp://user:password@host:587."


def _public_url(conf: Config) -> Iterator[str]:
    url = _split(conf.public_url)
    if url.scheme != "https" or not url.hostname:
        yield "REPLYHQ_PUBLIC_URL must be the https address at which people open the front end."


def _allowed_origins(conf: Config) -> Iterator[str]:
    for origin in conf.allowed_origins:
        if wrong := _wrong_origin(origin):
            yield f"REPLYHQ_ALLOWED_ORIGINS has {origin!r}, {wrong}."


def _allowed_hosts(conf: Config) -> Iterator[str]:
    for host in conf.allowed_hosts:
        if host == "*" or _split(f"//{host}").hostname != host:
            yield f"REPLYHQ_ALLOWED_HOSTS has {host!r}, which is no host name; write it like api.example.com."


def _wrong_origin(origin: str) -> str | None:
    url = _split(origin)
    if origin in {"*", "null"}:
        return "which any page can have; name each origin"
    if origin != f"{url.scheme}://{url.netloc}" or not url.hostname or "@" in url.netloc or "*" in url.netloc:
        return "which is no origin; write https://host or https://host:port, and nothing behind it"
    if url.scheme != "https" and not _is_local(url.hostname):
        return "which is not https"
    return None


def _split(text: str) -> SplitResult:
    """The parts of an address; of one that is none, empty parts."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _storage(conf: Config) -> Iterator[str]:
    url = conf.storage_url.get_secret_value()
    if url and not url.startswith(SCHEMES):
        yield f"REPLYHQ_STORAGE_URL begins with none of {', '.join(SCHEMES)}; name a bucket, or leave it out."


def _open_doors(conf: Config) -> Iterator[str]:
    if conf.graphiql:
        yield "REPLYHQ_GRAPHIQL is on. The IDE is for development; leave it out."
    if conf.introspection:
        yield "REPLYHQ_INTROSPECTION is on. Leave it out; `replyhq schema` prints the schema for who needs it."
    if conf.outbound_allow_loopback:
        yield "REPLYHQ_OUTBOUND_ALLOW_LOOPBACK is on. Apps could reach what runs on this machine; leave it out."
    if _is_everybody(conf.metrics_allowed):
        yield "REPLYHQ_METRICS_ALLOWED lets everybody read the metrics. Name the network of your Prometheus."
    if _is_everybody(conf.trusted_proxies):
        yield "REPLYHQ_TRUSTED_PROXIES lets everybody say which address they call from. Name your proxies."


def _is_everybody(networks: tuple[IPvAnyNetwork, ...]) -> bool:
    return any(network.prefixlen < PREFIX_LEAST for network in networks)


def _servers(conf: Config) -> Iterator[str]:
    if not conf.embedded_allowed and _are_embedded(conf):
        yield (
            "DATABASE_URL or REDIS_URL is that of the demo's own servers, which nobody backs up. "
            "Use servers of your own, or set REPLYHQ_EMBEDDED_ALLOWED=true."
        )


def _are_embedded(conf: Config) -> bool:
    """Whether the password is the one that was made for the servers of the state directory."""
    with suppress(OSError, ValidationError):
        saved = Saved.model_validate_json((conf.state_dir / "servers" / "servers.json").read_text())
        return any(_split(url).password == saved.password for url in (conf.database_url, conf.redis_url))
    return False


CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    _secret_key,
    _secret_keys_before,
    _encryption_keys,
    _mail,
    _public_url,
    _allowed_origins,
    _allowed_hosts,
    _storage,
    _open_doors,
    _servers,
)
