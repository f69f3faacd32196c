"""What a ``[training]`` table cannot mean is said when it is read, before anything is gathered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aisle.errors import ConfigError
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.language.finetune_config import FinetuneConfig
from aisle.language.pretrain_config import PretrainConfig
from aisle.settings import Config

TRAINED: Mapping[str, type[Config]] = {
    "adapt": AdaptConfig,
    "compress": CompressConfig,
    "finetune": FinetuneConfig,
    "pretrain": PretrainConfig,
}


@pytest.mark.parametrize("command", TRAINED)
@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"epoch": 3}, r"unknown setting 'epoch'\. Did you mean 'epochs'\? Known: accumulation, adversarial_epsilon"),
        ({"epochs": -3}, "epochs = -3: Input should be greater than 0"),
        ({"trackers": ["paper"]}, "no tracker is called 'paper'; there are tensorboard"),
        ("long", r"= 'long': Input should be a valid dictionary"),
    ],
)
def test_settings_of_the_loop_are_checked_when_they_are_read(command: str, training: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"{command}\.training.*{said}"):
        TRAINED[command].parse({"training": training}, command)


@pytest.mark.parametrize("runs", [[], [0.0, 0.0], [1.0, -0.1], [float("nan")], [float("inf")]])
@pytest.mark.parametrize("command", ["adapt", "pretrain"])
def test_chances_of_runs_that_are_none_are_refused(command: str, runs: list[float]) -> None:
    with pytest.raises(ConfigError, match=rf"{command}\.masking\.runs.*none below 0 and one above"):
        TRAINED[command].parse({"masking": {"runs": runs}}, command)
