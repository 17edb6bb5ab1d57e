"""Bringing the database to a revision of its migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

import server
from core.embedded import SetUpError

MIGRATIONS = Path(server.__file__).parent.parent / "migrations"


def upgrade(revision: str = "head") -> None:
    """Bring the database of DATABASE_URL up to `revision`; nothing happens when it is there already.

    Raises:
        SetUpError: the database cannot be reached, or the revision is unknown.
    """
    try:
        command.upgrade(_config(), revision)
    except (CommandError, OSError) as error:
        raise _told(error) from error


def downgrade(revision: str = "-1") -> None:
    """Bring the database of DATABASE_URL down to `revision`, or one step.

    Raises:
        SetUpError: the database cannot be reached, or the revision is unknown.
    """
    try:
        command.downgrade(_config(), revision)
    except (CommandError, OSError) as error:
        raise _told(error) from error


def _config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return made


def _told(error: Exception) -> SetUpError:
    if isinstance(error, OSError):
        return SetUpError(f"The database of DATABASE_URL cannot be reached: {error}.")
    return SetUpError(f"The database cannot be brought to that revision: {error}")
