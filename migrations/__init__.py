"""The history of the tables, forward and back."""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def newest() -> str:
    """The number of the last one, as the database has it when all are applied; told by the names of the files."""
    return max(path.name.partition("_")[0] for path in FOLDER.glob("versions/[0-9]*_*.py"))
