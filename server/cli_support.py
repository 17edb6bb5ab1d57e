"""What the commands that work on data share: servers, event loop, and failures told in a sentence."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from sqlalchemy.exc import ArgumentError, DBAPIError

from core import redis_client
from core.database import dispose, transaction
from core.embedded import SetUpError
from core.errors import DomainError, Unavailable
from core.ids import parse_id
from core.tenancy import MissingRights
from domain import app_choice
from models.apps import App
from server.environment import load_environment

T = TypeVar("T")
EMAIL_HELP = "E-mail of the app's owner."
APP_ID_HELP = "Id of the app; neither is needed when there is only one."
NO_TABLES = "42P01"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in an event loop of its own, with the servers of this shell or of the running demo.

    Raises:
        SetUpError: it failed in a way that was to be expected; one sentence.
    """
    with told(), closing(work):
        load_environment()
        return asyncio.run(_disposing(work))


@contextmanager
def told() -> Iterator[None]:
    """Turn the failures that are to be expected into a SetUpError with a sentence."""
    try:
        yield
    except Unavailable as error:
        raise SetUpError(_away(error)) from error
    except DomainError as error:
        raise SetUpError(str(error)) from error
    except MissingRights as error:
        raise SetUpError(str(error)) from error
    except DBAPIError as error:
        raise SetUpError(_database_failure(error)) from error
    except ArgumentError as error:
        raise SetUpError("DATABASE_URL must look like postgresql://user:password@host:5432/name.") from error
    except OSError as error:
        raise SetUpError(f"A server cannot be reached: {error}") from error


async def _disposing(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        await dispose()
        await redis_client.close()


def _away(error: Unavailable) -> str:
    """What is away: the operator may know what the API keeps to itself."""
    if isinstance(error.__cause__, DBAPIError):
        return _database_failure(error.__cause__)
    return f"A server cannot be reached: {error.__cause__}" if error.__cause__ else str(error)


def _database_failure(error: DBAPIError) -> str:
    if getattr(error.orig, "sqlstate", "") == NO_TABLES:
        return "The database has no tables yet; run `replyhq migrate` first."
    return f"The database failed: {error.orig}"


async def chosen_app(app_id: str | None, email: str | None) -> App:
    """The app that a command's --app-id or --email means, or the only one.

    Raises:
        DomainError: none or several are meant.
    """
    async with transaction() as session:
        wanted = parse_id(app_id, "--app-id") if app_id else None
        return await app_choice.choose(session, app_id=wanted, email=email)
