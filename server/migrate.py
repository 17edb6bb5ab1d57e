"""Bringing the database to a revision of its migrations."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import ProgrammingError

import migrations
from core.embedded import SetUpError

MIGRATIONS = migrations.FOLDER
DENIED = "42501"


def upgrade(revision: str = "head") -> None:
    """Bring the database of DATABASE_URL up to `revision`; nothing happens when it is there already.

    Raises:
        SetUpError: the database cannot be reached, the revision is unknown, or the login lacks rights.
    """
    with _told():
        command.upgrade(_config(), revision)


def downgrade(revision: str = "-1") -> None:
    """Bring the database of DATABASE_URL down to `revision`, or one step.

    Raises:
        SetUpError: the database cannot be reached, the revision is unknown, or the login lacks rights.
    """
    with _told():
        command.downgrade(_config(), revision)


def _config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return made


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetUpError(f"The database of DATABASE_URL cannot be reached: {error}.") from error
    except CommandError as error:
        raise SetUpError(f"The database cannot be brought to that revision: {error}") from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != DENIED:
            raise
        raise SetUpError(f"The database refuses: {error.orig and error.orig.__cause__}") from error
