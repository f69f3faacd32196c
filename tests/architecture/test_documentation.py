"""Documentation in step with code: what is shown in it works, and both languages show the same."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main

from aisle.cli import app
from aisle.ingest import known_adapters, parse_mapping
from aisle.ingest.targets import TABLES
from aisle.merchandising import parse_rules

PROJECT = Path(__file__).resolve().parents[2]
ENGLISH = [PROJECT / "README.md", *(path for path in (PROJECT / "docs").glob("*.md") if ".zh-CN" not in path.name)]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(path: Path, language: str | None = None) -> list[str]:
    """Fenced blocks of a page; ``language`` "" means those without one."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M)
    return [text for tag, text in found if language is None or tag == language]


def without_words(block: str) -> str:
    """A block without its comments and without text in quotes that may be translated."""
    return re.sub(r"(#|—|  +).*", "", block)


def chinese(path: Path) -> Path:
    return path.with_name(f"{path.stem}.zh-CN.md")


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_every_page_has_a_chinese_one_with_the_same_examples(page):
    assert chinese(page).exists(), f"{page.name} has no Chinese translation"
    assert len(blocks(page)) == len(blocks(chinese(page)))
    for ours, theirs in zip(blocks(page, ""), blocks(chinese(page), ""), strict=True):
        if "aisle " in ours and "src/aisle" not in ours:
            assert without_words(ours) == without_words(theirs)


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists_with_its_options(page):
    for block in blocks(page, ""):
        for line in block.splitlines():
            shown = re.search(r"(?:^|\| )(?:\.venv/bin/)?aisle (.*?)(?: {2,}.*|#.*)?$", line)
            if not shown or "src/" in line:
                continue
            name, *rest = shlex.split(shown.group(1))
            assert name in COMMANDS, line
            command = COMMANDS[name]
            if rest and rest[0] in getattr(command, "commands", {}):
                command = command.commands[rest[0]]
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", [*ENGLISH, *map(chinese, ENGLISH)], ids=lambda page: page.name)
def test_every_mapping_and_setting_that_is_shown_is_accepted(page):
    from aisle.settings import Settings

    if not page.exists():
        pytest.skip("reported by the test of translations")
    for block in blocks(page, "toml"):
        table = tomllib.loads(block)
        if "table" in table:
            assert parse_mapping(block).columns
        elif "rules" in table:
            assert parse_rules(table["rules"])
        elif "project" not in table:
            assert Settings.parse(table, "").placement


@pytest.mark.parametrize("page", [*ENGLISH, *map(chinese, ENGLISH)], ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page):
    if not page.exists():
        pytest.skip("reported by the test of translations")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_import_page_names_every_column_and_ready_mapping():
    text = (PROJECT / "docs" / "importing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.-]+)`", text))
    columns = {name for names in TABLES.values() for name in names if not name.endswith(("_minor", "_ms"))}

    assert columns <= named
    assert set(known_adapters()) <= named


def test_the_readme_draws_every_room():
    rooms = {path.name for path in (PROJECT / "src/aisle").iterdir() if path.name not in ("__pycache__", "py.typed")}
    text = (PROJECT / "README.md").read_text(encoding="utf-8")

    missing = {room for room in rooms if not room.startswith("__") and room not in text}

    assert missing == set()
