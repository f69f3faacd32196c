"""What the README shows runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aisle.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "README.zh-CN.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (PROJECT / page).read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_example_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), {})

    first, second = capsys.readouterr().out.splitlines()
    assert first == "('k1',)"
    assert second.startswith(("(Slot(", "()"))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run_in_order(page, tmp_path, monkeypatch):
    """The demonstration's shop is a tiny one here; `make demo` itself makes the larger one."""
    monkeypatch.chdir(tmp_path)
    items, events = blocks(page, "csv")
    (tmp_path / "items.csv").write_text(f"{items}t1,Green tea,,,,8,,\nt2,Black tea,,,,7,,\n", encoding="utf-8")
    rows = [f"u{n % 4},purchase,{1772323200 + n},{item}\n" for n, item in enumerate(["k1", "t1", "t2"] * 3)]
    (tmp_path / "events.csv").write_text(events + "".join(rows), encoding="utf-8")
    runner = CliRunner()
    assert runner.invoke(app, ["demo", "demo-shop", "--size", "tiny"]).exit_code == 0
    commands = [line for block in blocks(page, "") for line in block.splitlines() if ".venv/bin/aisle" in line]
    assert commands.pop(-1) == ".venv/bin/aisle serve myshop"  # does not end; tests/service serves

    for command in commands:
        arguments = shlex.split(command)[1:]
        result = runner.invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"

    assert len(commands) == 9
