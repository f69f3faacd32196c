"""The shape of the house: floors, names, sizes, exported names, what happens at import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import aisle
from aisle import registry
from aisle.settings import Config

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "src" / "aisle"
MODULES = sorted(SOURCE.rglob("*.py"))
PYTHON_FILES = sorted(
    path for folder in ("src", "tests", "benchmarks", "examples") for path in (PROJECT / folder).rglob("*.py")
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base", "manager", "processor", "handler"}
MOST_LINES = 600
MOST_LINES_OF_A_FUNCTION = 80
SQLITE_ONLY = re.compile(
    r"\bPRAGMA\b|\bINSERT\s+OR\b|\bimport\s+sqlite3\b|\bfrom\s+sqlite3\b|dialects\.sqlite|\bATTACH\b"
)
PUBLIC_NAMES = {
    "AisleError",
    "Context",
    "Document",
    "Event",
    "EventType",
    "Filters",
    "Item",
    "ItemKind",
    "ItemText",
    "Response",
    "User",
    "init",
    "open",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def without_docstrings(path: Path) -> str:
    """The code alone: prose may speak of what code may not do."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_rooms_import_only_downwards() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([command, "--no-cache"], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_room_stands_on_a_floor() -> None:
    contract = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    assert contract["exhaustive"] is True


def test_no_file_is_named_after_a_pattern() -> None:
    named = {name_of(path) for path in PYTHON_FILES if set(path.stem.split("_")) & FORBIDDEN_NAMES}
    named |= {name_of(path.parent) for path in PYTHON_FILES if path.parent.name in FORBIDDEN_NAMES}
    assert not named


def test_no_class_is_named_after_a_pattern() -> None:
    forbidden = re.compile("(" + "|".join(name.capitalize() for name in FORBIDDEN_NAMES) + r")(s|es)?$")
    named = [
        f"{name_of(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and forbidden.search(node.name)
    ]
    assert not named


def test_files_and_functions_stay_short() -> None:
    long = [name_of(path) for path in PYTHON_FILES if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES]
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if n_lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{name_of(path)}: {node.name} has {n_lines} lines")
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path)
        for path in MODULES
        if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")[:9]
    ]
    placeholders = [name_of(path) for path in MODULES if path.read_text(encoding="utf-8").startswith('"""Room."""')]
    assert not silent
    assert not placeholders


def test_the_public_names_are_these() -> None:
    assert set(aisle.__all__) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(aisle, name).__doc__, f"aisle.{name} has no docstring"


def test_importing_the_package_loads_nothing_heavy_and_does_nothing() -> None:
    heavy = ("torch", "transformers", "matplotlib", "openai", "onnxruntime")
    code = f"""
import sys, threading, os, logging, polars
before = dict(os.environ)
import aisle, aisle.cli
loaded = [name for name in {heavy!r} if name in sys.modules]
assert not loaded, f"importing aisle loads {{loaded}}"
assert threading.active_count() == 1, "a thread was started"
assert dict(os.environ) == before, "the environment was changed"
assert not logging.getLogger().handlers, "logging was set up"
"""
    assert run_python(code) == ""


def imported_at_the_top(path: Path) -> set[str]:
    """Modules that a file needs to be imported itself."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    plain = {name.name for node in body if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def networks() -> set[str]:
    """Modules that need torch to be imported: only what is never needed to serve may."""
    needs = {module_name(path): imported_at_the_top(path) for path in MODULES}
    found = {"torch"}
    while more := {name for name, needed in needs.items() if needed & found} - found:
        found |= more
    return found - {"torch"}


def test_only_the_rooms_that_train_hold_networks() -> None:
    assert {name.split(".")[1] for name in networks()} <= {"training", "language", "retrieval", "ranking"}


def test_importing_any_other_module_prints_nothing_and_loads_no_torch() -> None:
    heavy = networks()
    names = [name for name in map(module_name, MODULES) if name not in heavy]
    names = [name for name in names if not name.endswith("__main__") and ".migrations" not in name]
    code = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
loaded = [name for name in ("torch", "transformers", "matplotlib") if name in sys.modules]
assert not loaded, f"importing the modules of aisle loads {{loaded}}"
"""
    assert run_python(code) == ""


def test_sql_of_one_database_stays_in_its_file() -> None:
    found = [
        f"{name_of(path)}: {match.group()}"
        for path in MODULES
        if path != SOURCE / "storage" / "sqlite.py"
        for match in SQLITE_ONLY.finditer(without_docstrings(path))
    ]
    assert not found


def test_nothing_is_pickled() -> None:
    forbidden = re.compile(r"^\s*(?:import|from)\s+(?:pickle|cloudpickle|dill|joblib|shelve)\b|allow_pickle=True", re.M)
    assert not [name_of(path) for path in MODULES if forbidden.search(path.read_text(encoding="utf-8"))]


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|NotImplementedError|\bfor now\b|\bplaceholder\b", re.I)
    found = [
        f"{name_of(path)}: {match.group()}"
        for path in MODULES
        for match in later.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in registry.GROUPS for name in registry.registered(group)]
)
def test_every_entry_point_loads(group: str, name: str) -> None:
    implementation = registry.find(group, name)
    assert implementation.__doc__


def test_every_registered_source_has_a_config() -> None:
    for point in entry_points(group="aisle.sources"):
        config = point.load().Config
        assert issubclass(config, Config)
        config()  # every setting has a default
