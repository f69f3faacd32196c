"""What is moved into its place is on the disk before, and its place after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from aisle.storage.durable import move
from aisle.training.checkpoints import Standing, write_best, write_checkpoint


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was flushed and, after ``->``, what it was renamed to, in order."""
    found: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(handle: int) -> None:
        found.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        found.append(f"->{Path(target).name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    return found


def test_a_folder_is_flushed_with_all_that_is_in_it(tmp_path: Path, done: list[str]) -> None:
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "file").write_text("1")

    move(tmp_path / "new", tmp_path / "made")

    assert done == ["deep", "file", "new", "->made", tmp_path.name]
    assert (tmp_path / "made" / "deep" / "file").read_text() == "1"


def test_checkpoints_are_on_the_disk_before_they_have_their_names(tmp_path: Path, done: list[str]) -> None:
    model = torch.nn.Linear(2, 1)
    optimiser = torch.optim.AdamW(model.parameters())

    write_checkpoint(tmp_path / "run", model, optimiser, Standing("mine", step=7))
    write_best(tmp_path / "run", {"weight": torch.zeros(2)})

    first, then = done.index("->step-00000007"), done.index("->best")
    files = {"model.safetensors", "optimiser.safetensors", "progress.json", "checksums.json"}
    assert files <= set(done[:first])
    assert done[first - 1].startswith(".step-00000007")
    assert done[first + 1] == "run"
    assert {"model.safetensors", "checksums.json"} <= set(done[first + 2 : then])
    assert done[then + 1] == "run"
