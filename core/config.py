"""Process configuration, read once from the environment. (`settings` in the API are the app's own: another thing).

DATABASE_URL and REDIS_URL point at PostgreSQL (15 or newer) and Redis or Valkey (7 or newer); everything else starts
with `REPLYHQ_`.
"""

from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _parts(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_parts)]
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


class Config(BaseSettings):
    """Every knob of a process, with its default. Immutable."""

    model_config = SettingsConfigDict(env_prefix="REPLYHQ_", frozen=True, extra="ignore")

    database_url: str = Field("", validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    redis_url: str = Field("", validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    database_pool: int = Field(10, ge=1, description="PostgreSQL connections a process keeps.")
    database_overflow: int = Field(10, ge=0, description="PostgreSQL connections it may add under load.")
    statement_seconds: float = Field(15.0, ge=0, description="Longest a statement may run; 0 is no limit.")
    lock_seconds: float = Field(10.0, ge=0, description="Longest it may wait for a lock; 0 is no limit.")
    idle_transaction_seconds: float = Field(
        30.0, ge=0, description="Longest a transaction may do nothing; 0 is no limit."
    )
    namespace: str = Field("replyhq", description="Prefix of all Redis keys and channels.")
    state_dir: Path = Field(Path(".replyhq"), description="Where the embedded servers keep data, ports and secrets.")

    secret_key: SecretStr = Field(SecretStr(""), description="Signs access and device tokens; 32 bytes or more.")
    access_token_minutes: int = Field(15, ge=1, le=60)
    sign_up_open: bool = Field(False, description="Whether strangers may create an app by the signUp mutation.")

    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: Networks = Field(
        (ip_network("127.0.0.1"),),
        description="Addresses and networks, parted by commas, whose X-Forwarded-For tells who calls.",
    )
    metrics_allowed: Networks = Field(
        LOOPBACK, description="Addresses and networks, parted by commas, that may read /metrics."
    )
    allowed_origins: tuple[str, ...] = Field((), description="Browser origins besides our own, e.g. a front end's.")
    graphiql: bool = Field(False, description="Serve the in-browser IDE at /graphiql.")
    introspection: bool = Field(False, description="Let clients ask the schema for its types.")

    max_body_bytes: int = Field(128 * 1024, description="Largest HTTP request body.")
    max_source_chars: int = Field(20_000, description="Longest GraphQL document.")
    max_tokens: int = Field(2_000, description="Most lexical tokens in a document.")
    max_depth: int = Field(10, description="Deepest nesting of fields.")
    max_aliases: int = Field(30, description="Most aliases in a document, fragments expanded.")
    max_fields: int = Field(500, description="Most selected fields in a document, fragments expanded.")
    max_root_fields: int = Field(20, description="Most root fields in an operation.")
    max_cost: int = Field(5_000, description="Most objects an operation may ask for, lists multiplied.")
    operation_seconds: float = Field(10.0, description="Longest an HTTP query or mutation may run.")

    ws_max_message_bytes: int = Field(64 * 1024, description="Largest websocket message.")
    ws_max_operations: int = Field(20, description="Operations at once on a websocket.")
    ws_init_seconds: float = Field(10.0, description="How long a websocket may wait with connection_init.")
    ws_max_connections_per_ip: int = Field(1_000, description="Open websockets from one address to one process.")

    lease_seconds: float = Field(15.0, description="How long a worker owns a batch without a sign of life.")
    chunk_size: int = Field(1_000, description="Recipients in one batch of a broadcast.")
    chunks_at_once: int = Field(
        8,
        ge=1,
        description="Batches of one broadcast that are queued or being sent at once: two for each sending thread.",
    )
    worker_threads: int = Field(4, description="Batches one worker process sends at once.")
    log_json: bool = Field(False, description="Logs as JSON lines instead of for people.")
    log_level: str = "INFO"


@cache
def config() -> Config:
    """The configuration of this process; `config.cache_clear()` reads the environment anew."""
    return Config()
