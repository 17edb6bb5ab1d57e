"""Process configuration, read once from the environment. (`settings` in the API are the app's own: another thing).

DATABASE_URL and REDIS_URL point at PostgreSQL (15 or newer) and Redis or Valkey (7 or newer); everything else starts
with `REPLYHQ_`.
"""

from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _parts(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_parts)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
MIB, GIB = 2**20, 2**30
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


class Config(BaseSettings):
    """Every knob of a process, with its default. Immutable."""

    model_config = SettingsConfigDict(env_prefix="REPLYHQ_", frozen=True, extra="ignore")

    environment: Literal["production", "development"] = Field(
        "production", description="In production a process starts only when it is configured safely: see core/guard.py."
    )
    public_url: str = Field("", description="Where people open the front end, and so where links in mails lead.")
    allowed_hosts: Words = Field((), description="Host names of the API in production, besides that of public_url.")
    embedded_allowed: bool = Field(False, description="Let production run on the servers that the demo brings along.")

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

    storage_url: SecretStr = Field(
        SecretStr(""),
        description="Where attachments are kept: s3://bucket/folder, gs:// or az://, with the credentials that the"
        " provider's own variables give (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, ...); when empty, a folder of state_dir.",
    )
    upload_image_bytes: int = Field(10 * MIB, ge=1, le=GIB, description="Largest image that may be attached.")
    upload_video_bytes: int = Field(64 * MIB, ge=1, le=GIB, description="Largest video.")
    upload_audio_bytes: int = Field(16 * MIB, ge=1, le=GIB, description="Largest sound.")
    upload_document_bytes: int = Field(25 * MIB, ge=1, le=GIB, description="Largest document.")
    upload_seconds: float = Field(600.0, gt=0, description="Longest an upload may take.")
    uploads_at_once: int = Field(16, ge=1, description="Uploads that one process takes at the same time.")
    uploads_at_once_each: int = Field(4, ge=1, description="Those of one person, device or API key among them.")

    secret_key: SecretStr = Field(SecretStr(""), description="Signs access and device tokens; 32 bytes or more.")
    secret_keys_before: SecretStr = Field(
        SecretStr(""),
        description="Keys that signed before and still prove what they have signed, parted by commas.",
    )
    encryption_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that encrypt stored secrets, `id:base64 of 32 bytes`, parted by commas, the newest first.",
    )
    access_token_minutes: int = Field(15, ge=1, le=60)
    sign_up_open: bool = Field(False, description="Whether strangers may create an app by the signUp mutation.")
    two_factor_required: bool = Field(
        True, description="Whether owners and admins of a new app must have a second factor; an app may change its own."
    )

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Where e-mails go, e.g. smtps://user:password@host:465; when empty, .eml files are written.",
    )
    mail_from: str = Field("ReplyHQ <no-reply@localhost>", description="Sender of the product's own e-mails.")

    outbound_allow_loopback: bool = Field(
        False, description="Let providers, push services and webhooks be on this machine: for development."
    )
    outbound_ports: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_parts)] = Field(
        (), description="Ports of others that requests may go to, besides 443 and 8443, parted by commas."
    )
    sends_at_once: int = Field(
        32, ge=1, description="Messages of one batch that are handed to a provider at the same time."
    )

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

    rate_ip_per_minute: int = Field(100, ge=1, description="Requests a minute of an address where nobody is signed in.")
    rate_address_per_minute: int | None = Field(
        None, ge=1, description="Requests a minute of an address to one app by whoever is signed in; empty is no limit."
    )
    rate_visits_per_minute: int = Field(
        3_000,
        ge=1,
        description="Tracked links and opened mails a minute of an address; that of a mail service stands for many.",
    )
    rate_user_per_minute: int = Field(1_000, ge=1, description="Requests a minute of a person of a team.")
    rate_key_per_minute: int = Field(1_000, ge=1, description="Requests a minute with an API key.")
    rate_device_per_minute: int = Field(600, ge=1, description="Requests a minute of a device.")
    rate_app_per_minute: int = Field(20_000, ge=1, description="Requests a minute of an app's team and keys together.")
    rate_all_devices_per_minute: int = Field(300_000, ge=1, description="Requests a minute of an app's devices.")
    rate_broadcasts_per_hour: int = Field(10, ge=1, description="Broadcasts an hour that a person or API key may send.")
    rate_test_broadcasts_per_hour: int = Field(
        60, ge=1, description="Tests of broadcasts an hour that a person or API key may send."
    )

    rate_uploads_per_hour: int = Field(
        240, ge=1, description="Files an hour that a person, API key or device may upload."
    )

    ws_max_message_bytes: int = Field(64 * 1024, description="Largest websocket message.")
    ws_max_operations: int = Field(20, description="Operations at once on a websocket.")
    ws_init_seconds: float = Field(10.0, description="How long a websocket may wait with connection_init.")
    ws_max_connections_per_ip: int = Field(1_000, description="Open websockets from one address to one process.")
    ws_max_connections_per_user: int = Field(20, description="Open websockets of one person or device to one process.")
    ws_messages_per_second: float = Field(50.0, gt=0, description="Messages a websocket may send in the long run.")
    ws_message_burst: int = Field(100, ge=1, description="Messages it may send at once.")

    typing_seconds: float = Field(
        8.0, gt=0, description="How long somebody types, or looks on, who does not say so again; clients do every half."
    )
    typing_per_minute: int = Field(120, ge=1, description="How often a minute one websocket may say that it types.")

    lease_seconds: float = Field(15.0, description="How long a worker owns a batch without a sign of life.")
    chunk_size: int = Field(1_000, description="Recipients in one batch of a broadcast.")
    chunks_at_once: int = Field(
        8,
        ge=1,
        description="Batches of one broadcast that are queued or being sent at once: two for each sending thread.",
    )
    worker_threads: int = Field(4, description="Batches one worker process sends at once.")
    worker_niceness: int = Field(
        10,
        ge=0,
        le=19,
        description="How far workers stand back, 0 to 19, where the processor is short: `nice` of Unix.",
    )
    log_json: bool = Field(False, description="Logs as JSON lines instead of for people.")
    log_level: str = "INFO"


@cache
def config() -> Config:
    """The configuration of this process; `config.cache_clear()` reads the environment anew."""
    return Config()
