"""Pre-training makes a model that reads its texts better, goes on after a kill, and refuses what it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisle.errors import ConfigError, NotReadyError
from aisle.language.model_folder import open_model_folder
from aisle.language.new_model import NewModelConfig
from aisle.language.pretrain_config import PretrainConfig
from aisle.language.pretraining import pretrain
from aisle.language.tower import open_tower, place

COLOURS = ("红色", "蓝色", "黑色", "白色", "绿色", "紫色")
THINGS = ("连衣裙", "运动鞋", "保温杯", "双肩包", "羽绒服", "蓝牙耳机", "电饭煲", "洗衣液")
FOR = ("女士", "男士", "儿童", "老人")
TEXTS = [f"{colour}{thing} {whose}" for colour in COLOURS for thing in THINGS for whose in FOR]


def config(**more) -> PretrainConfig:
    training = {"trackers": [], "epochs": 15, "max_steps": 100, "batch_size": 32, "learning_rate": 3e-3}
    model = NewModelConfig(size="tiny", layers=1, width=32, heads=2, **more)
    return PretrainConfig(model=model, training=training, held_out_share=0.1)


@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_a_new_model_learns_chinese_from_the_texts_alone(tmp_path: Path, family: str) -> None:
    found = pretrain(TEXTS, config(family=family), work=tmp_path / "w", target=tmp_path / "model")

    assert found.loss_after < 0.75 * found.loss_before
    assert found.metrics()["perplexity"] < 30
    assert (found.n_learned, found.n_held_out) == (173, 19)
    folder = open_model_folder(str(tmp_path / "model"))
    tower, tokenizer = open_tower(folder)
    assert place(tower.eval(), tokenizer, ["红色连衣裙"], 16).shape == (1, 32)
    assert not (tmp_path / "w").exists()


def test_one_that_is_there_goes_on_learning(tmp_path: Path) -> None:
    pretrain(TEXTS, config(), work=tmp_path / "w", target=tmp_path / "first")

    more = pretrain(
        TEXTS,
        config(),
        work=tmp_path / "w",
        target=tmp_path / "more",
        start_from=open_model_folder(str(tmp_path / "first")),
    )

    assert more.loss_after < more.loss_before
    assert (tmp_path / "first" / "vocab.txt").exists() == (tmp_path / "more" / "vocab.txt").exists()


def test_a_killed_run_comes_to_the_same_model(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(task: str, done: int, total: int | None = None) -> None:
        if task.startswith("learn the shop's words") and done > 45:
            raise Killed

    often = config().model_copy(update={"training": {**config().training, "checkpoint_every": 20, "log_every": 1}})
    whole = pretrain(TEXTS, often, work=tmp_path / "a", target=tmp_path / "whole")
    with pytest.raises(Killed):
        pretrain(TEXTS, often, work=tmp_path / "b", target=tmp_path / "cut", progress=kill)
    assert not (tmp_path / "cut").exists()

    resumed = pretrain(TEXTS, often, work=tmp_path / "b", target=tmp_path / "cut")

    assert resumed.trained.n_examples < whole.trained.n_examples
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        pretrain(TEXTS, config(), work=tmp_path / "w", target=tmp_path / "taken")
    with pytest.raises(NotReadyError, match="5 different texts and 100 are needed"):
        pretrain(TEXTS[:5] * 50, config(), work=tmp_path / "w", target=tmp_path / "model")
    with pytest.raises(ConfigError, match="learning"):
        PretrainConfig.parse({"training": {"learning": 1}}, "pretrain")
