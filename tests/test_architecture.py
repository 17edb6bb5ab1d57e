"""What no linter holds: size of modules and functions, and that nothing names the workplace."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("core", "models", "channels", "domain", "schema", "jobs", "resolvers", "server")
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
LINES_MOST = 300
FUNCTION_MOST = 40


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_in_a_room_and_a_function_in_a_glance(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_MOST
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [one.name for one in functions if (one.end_lineno or 0) - one.lineno >= FUNCTION_MOST] == []
