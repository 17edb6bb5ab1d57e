"""A process that is not configured for production does not start, and says why."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import Config
from core.embedded import SetUpError
from core.embedded.state import Saved
from core.encryption import new_key
from core.guard import refusals
from server.app import create_app
from tests.support.commands import replyhq
from tests.support.processes import Api

SECRET_KEY = secrets.token_urlsafe(48)
ENCRYPTION_KEYS = f"2:{new_key()},1:{new_key()}"
ZEROS = f"1:{'A' * 43}="
RIGHT: dict[str, Any] = {
    "environment": "production",
    "secret_key": SECRET_KEY,
    "encryption_keys": ENCRYPTION_KEYS,
    "smtp_url": "smtp://user:password@mail.example.com:587",
    "public_url": "https://app.example.com",
    "allowed_origins": ("https://app.example.com", "https://app.example.com:8443", "http://localhost:5173"),
    "allowed_hosts": "api.example.com,*.api.example.com,10.0.0.7",
    "graphiql": False,
    "introspection": False,
    "outbound_allow_loopback": False,
    "metrics_allowed": "10.0.0.0/8",
    "trusted_proxies": "10.0.0.0/8,fc00::/7",
}
SAFE = {
    "REPLYHQ_ENVIRONMENT": "production",
    "REPLYHQ_SECRET_KEY": SECRET_KEY,
    "REPLYHQ_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    "REPLYHQ_SMTP_URL": "smtp://mail.example.com:587",
    "REPLYHQ_PUBLIC_URL": "https://app.example.com",
}
UNSAFE = {
    "REPLYHQ_ENVIRONMENT": "production",
    "REPLYHQ_SECRET_KEY": "short",
    "REPLYHQ_ENCRYPTION_KEYS": "",
    "REPLYHQ_SMTP_URL": "",
    "REPLYHQ_PUBLIC_URL": "",
    "REPLYHQ_GRAPHIQL": "true",
}

WRONG = [
    ({"secret_key": ""}, "REPLYHQ_SECRET_KEY is missing. Make one: "),
    ({"secret_key": "x1y2z3w4v5" * 3}, "REPLYHQ_SECRET_KEY is shorter than 32 bytes. Make one: "),
    ({"secret_key": "x" * 64}, "REPLYHQ_SECRET_KEY can be guessed: it is not random. Make one: "),
    ({"secret_key": "01" * 32}, "REPLYHQ_SECRET_KEY can be guessed: it is not random. Make one: "),
    ({"secret_key": f"Change-Me-{SECRET_KEY}"}, "REPLYHQ_SECRET_KEY can be guessed: it is not random. Make one: "),
    ({"secret_key": f"EXAMPLE{SECRET_KEY}"}, "REPLYHQ_SECRET_KEY can be guessed: it is not random. Make one: "),
    ({"secret_keys_before": f"{SECRET_KEY},short"}, "REPLYHQ_SECRET_KEYS_BEFORE has a key that is shorter than 32"),
    ({"encryption_keys": ""}, "REPLYHQ_ENCRYPTION_KEYS must be "),
    ({"encryption_keys": "1:short"}, "REPLYHQ_ENCRYPTION_KEYS must be "),
    ({"encryption_keys": ZEROS}, "REPLYHQ_ENCRYPTION_KEYS has a key that is not random. Make one: "),
    ({"smtp_url": ""}, "REPLYHQ_SMTP_URL is missing: "),
    ({"public_url": ""}, "REPLYHQ_PUBLIC_URL must be the https address at which people open the front end."),
    ({"public_url": "http://app.example.com"}, "REPLYHQ_PUBLIC_URL must be the https address"),
    ({"public_url": "https://"}, "REPLYHQ_PUBLIC_URL must be the https address"),
    ({"public_url": "https://[oops"}, "REPLYHQ_PUBLIC_URL must be the https address"),
    ({"allowed_origins": ("*",)}, "REPLYHQ_ALLOWED_ORIGINS has '*', which any page can have; name each origin."),
    ({"allowed_origins": ("null",)}, "REPLYHQ_ALLOWED_ORIGINS has 'null', which any page can have; name each origin."),
    (
        {"allowed_origins": ("http://app.example.com",)},
        "REPLYHQ_ALLOWED_ORIGINS has 'http://app.example.com', which is not https.",
    ),
    ({"allowed_origins": ("http://localhost.example.com",)}, "REPLYHQ_ALLOWED_ORIGINS has 'http://localhost.example"),
    ({"allowed_origins": ("https://app.example.com/",)}, "REPLYHQ_ALLOWED_ORIGINS has 'https://app.example.com/', "),
    ({"allowed_origins": ("https://*.example.com",)}, "REPLYHQ_ALLOWED_ORIGINS has 'https://*.example.com', which is"),
    ({"allowed_origins": ("app.example.com",)}, "REPLYHQ_ALLOWED_ORIGINS has 'app.example.com', which is no origin; "),
    ({"storage_url": "memory:///"}, "REPLYHQ_STORAGE_URL begins with none of s3://, gs://, az://; "),
    ({"storage_url": "https://user:pass@files.example.com"}, "REPLYHQ_STORAGE_URL begins with none of s3://"),
    ({"allowed_hosts": "*"}, "REPLYHQ_ALLOWED_HOSTS has '*', which is no host name; "),
    ({"allowed_hosts": "api.example.com, https://api.example.com"}, "REPLYHQ_ALLOWED_HOSTS has 'https://api.example"),
    ({"allowed_hosts": "api.example.com:443"}, "REPLYHQ_ALLOWED_HOSTS has 'api.example.com:443', which is no host"),
    ({"graphiql": True}, "REPLYHQ_GRAPHIQL is on. "),
    ({"introspection": True}, "REPLYHQ_INTROSPECTION is on. "),
    ({"outbound_allow_loopback": True}, "REPLYHQ_OUTBOUND_ALLOW_LOOPBACK is on. "),
    ({"metrics_allowed": "0.0.0.0/0"}, "REPLYHQ_METRICS_ALLOWED lets everybody read the metrics. "),
    ({"metrics_allowed": "10.0.0.0/8,::/0"}, "REPLYHQ_METRICS_ALLOWED lets everybody read the metrics. "),
    ({"trusted_proxies": "0.0.0.0/0"}, "REPLYHQ_TRUSTED_PROXIES lets everybody say which address they call from. "),
    ({"trusted_proxies": "0.0.0.0/1,128.0.0.0/1"}, "REPLYHQ_TRUSTED_PROXIES lets everybody say which address "),
]


def configured(**changed: Any) -> Config:
    return Config(**(RIGHT | changed))


def test_a_right_configuration_is_taken() -> None:
    assert refusals(configured()) == []


@pytest.mark.parametrize(("changed", "said"), WRONG)
def test_each_wrong_setting_is_refused_alone_and_only_in_production(changed: dict[str, Any], said: str) -> None:
    (reason,) = refusals(configured(**changed))
    assert reason.startswith(said)
    assert refusals(configured(**changed, environment="development")) == []


@pytest.mark.parametrize("name", ["database_url", "redis_url"])
def test_the_servers_of_the_demo_need_a_statement(tmp_path: Path, name: str) -> None:
    kept = tmp_path / "servers" / "servers.json"
    kept.parent.mkdir()
    kept.write_text(Saved(password="made-by-the-demo", place=tmp_path).model_dump_json())
    theirs = {"state_dir": tmp_path, name: "scheme://replyhq:made-by-the-demo@127.0.0.1:5432/replyhq"}

    (reason,) = refusals(configured(**theirs))

    assert reason.startswith("DATABASE_URL or REDIS_URL is that of the demo's own servers, which nobody backs up. ")
    assert refusals(configured(**theirs, embedded_allowed=True)) == []
    assert refusals(configured(**theirs | {name: "scheme://replyhq:another@127.0.0.1:5432/replyhq"})) == []


def test_no_reason_tells_a_secret() -> None:
    guessable = f"change-{SECRET_KEY}"
    said = "\n".join(refusals(configured(secret_key=guessable, encryption_keys=ZEROS, public_url="")))
    assert SECRET_KEY not in said
    assert ZEROS[2:] not in said


def test_who_says_nothing_is_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLYHQ_ENVIRONMENT")
    assert Config().environment == "production"
    monkeypatch.setenv("REPLYHQ_ENVIRONMENT", "prod")
    with pytest.raises(ValidationError, match="'production' or 'development'"):
        Config()


def test_another_asgi_server_gets_no_application_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.guard.config", lambda: configured(secret_key=""))
    with pytest.raises(SetUpError, match="REPLYHQ_SECRET_KEY is missing"):
        create_app()


@pytest.mark.parametrize("command", ["serve", "worker", "clock"])
async def test_a_process_ends_with_all_reasons(command: str) -> None:
    ended = await replyhq(command, **UNSAFE)

    assert (ended.code, ended.out) == (1, "")
    first, *reasons, way_out = ended.err.splitlines()
    assert first == "Error: Not configured for production:"
    names = ["SECRET_KEY is", "ENCRYPTION_KEYS must", "SMTP_URL is", "PUBLIC_URL must", "GRAPHIQL is"]
    assert [reason[: len(f"- REPLYHQ_{name}")] for reason, name in zip(reasons, names, strict=True)] == [
        f"- REPLYHQ_{name}" for name in names
    ]
    assert way_out == "On a machine for development alone, set REPLYHQ_ENVIRONMENT=development."


def test_a_rightly_configured_api_serves() -> None:
    api = Api(**SAFE)
    api.start()
    api.stop()
