"""Two processes come to what one comes to, started by torch or by Ray; what fails in one is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aisle.errors import ConfigError, DataError
from aisle.training.config import TrainingConfig
from aisle.training.loop import train
from tests.unit.training.learner import PLAIN, Bag, Words, weights


def two(through: str) -> TrainingConfig:
    return PLAIN.model_copy(update={"processes": 2, "through": through})


@pytest.mark.timeout(600)  # Ray starts a dozen processes
@pytest.mark.parametrize("through", ["torch", "ray"])
def test_two_processes_learn_what_one_does(tmp_path: Path, through: str) -> None:
    if through == "ray":
        pytest.importorskip("ray", reason='an extra that few need: pip install "aisle[ray]"')
    alone, together = Bag(dropout=0.0), Bag(dropout=0.0)
    heard = []
    first = train(alone, Words(mask=0.0), PLAIN, tmp_path / "one")

    second = train(together, Words(mask=0.0), two(through), tmp_path / "two", progress=lambda *told: heard.append(told))

    assert first.n_steps == second.n_steps
    for name, one in weights(alone).items():
        np.testing.assert_allclose(weights(together)[name], one, atol=1e-5)
    assert all(task.startswith("words") for task, *_ in heard)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["step-00000039", "step-00000040"]


class Diverging(Words):
    def loss(self, model, batch):
        return super().loss(model, batch) * float("nan")


def test_what_a_process_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="loss is nan at step 1; lower learning_rate"):
        train(Bag(), Diverging(), two("torch"), tmp_path)


def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    objective = Words()
    objective.view = lambda text: text  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"words: cannot be sent .* processes = 1"):
        train(Bag(), objective, two("torch"), tmp_path)
