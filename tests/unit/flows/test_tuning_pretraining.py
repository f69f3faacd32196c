"""A search over settings of pre-training compares all trials by the same texts, though the shop goes on meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aisle.contracts import silent
from aisle.flows.tune import tune_pretrain
from aisle.language import pretraining
from aisle.training.tuning import Tuned


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of each trial."""
    found: list[list[str]] = []

    def pretrain(texts: list[str], *_: Any, **__: Any) -> SimpleNamespace:
        found.append(list(texts))
        return SimpleNamespace(loss_after=1.0)

    monkeypatch.setattr(pretraining, "pretrain", pretrain)
    return found


def search(folder: Path, n_trials: int, texts: list[str], more: list[str]) -> Tuned:
    return tune_pretrain({}, lambda: texts, more, ["training.learning_rate=1e-4|1e-3"], n_trials, folder, silent)


def test_a_search_goes_on_with_the_texts_it_began_with(tmp_path: Path, read: list[list[str]]) -> None:
    search(tmp_path, 1, ["lamp", "kettle", "lamp", "broken \ud800"], [])
    tuned = search(tmp_path, 3, ["lamp", "kettle", "tent"], [])

    assert len(tuned.trials) == len(read) == 3
    assert read[0] == read[1] == read[2] == ["broken ?", "kettle", "lamp"]


def test_other_texts_that_are_named_make_another_search(tmp_path: Path, read: list[list[str]]) -> None:
    search(tmp_path, 1, ["lamp"], ["one"])
    tuned = search(tmp_path, 1, ["lamp"], ["two"])

    assert len(tuned.trials) == 1
    assert read == [["lamp", "one"], ["lamp", "two"]]
