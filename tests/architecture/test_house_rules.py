"""The house rules that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "tsunagu").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LONGEST_FILE = 600
LONGEST_FUNCTION = 90
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_what_it_fixes(path: Path) -> None:
    """Each test function has a docstring: one sentence that states the behaviour."""
    silent = [one.name for one in functions(path) if one.name.startswith("test_") and not ast.get_docstring(one)]
    assert not silent, f"{path.relative_to(ROOT)}: without a docstring: {silent}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    """No file and no function grows beyond what a reader takes in."""
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_FILE, f"{path.relative_to(ROOT)} has {lines} lines"
    long = [one.name for one in functions(path) if (one.end_lineno or 0) - one.lineno > LONGEST_FUNCTION]
    assert not long, f"{path.relative_to(ROOT)}: too long: {long}"


def test_no_drawer_for_everything() -> None:
    """There is no utils, common or helpers: each thing has a place of its own."""
    assert not [path for path in SOURCES if {path.stem, path.parent.name} & BANNED_NAMES]


def test_every_package_folder_explains_itself() -> None:
    """Each folder with code has an __init__ with a docstring."""
    silent = [
        path for path in (ROOT / "tsunagu").rglob("__init__.py") if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
