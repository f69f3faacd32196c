"""A new model's folder: complete, read alike by every way to run it, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig

from aisle.errors import ConfigError
from aisle.language.new_model import Family, NewModelConfig, new_model
from aisle.language.onnx import OnnxEncoder
from aisle.language.tower import open_tower, place
from aisle.language.transformer import TransformerEncoder
from aisle.settings import EncoderConfig
from tests.unit.language.made_up import chinese, english

TEXTS = [*chinese(3, seed=9), *english(3, seed=9), "", "🙂 unseen", "broken \ud800", "tea " * 200]


@pytest.mark.parametrize(("family", "pooling"), [("encoder", "mean"), ("decoder", "last")])
def test_a_new_model_gives_the_same_vectors_however_it_is_run(
    family: Family, pooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISLE_CACHE", str(tmp_path / "cache"))
    config = NewModelConfig(family=family, size="tiny", vocabulary=400, max_tokens=40)

    folder = new_model([*chinese(200), *english(200)], config, tmp_path / "model")

    assert (folder.pooling, folder.is_decoder, folder.max_tokens) == (pooling, family == "decoder", 40)
    name = str(folder.path)
    by_torch = TransformerEncoder.from_config(EncoderConfig(kind="transformers", model=name)).encode(TEXTS)
    assert by_torch.shape == (len(TEXTS), 64)
    by_onnx = OnnxEncoder.from_config(EncoderConfig(model=name))
    np.testing.assert_allclose(by_onnx.encode(TEXTS), by_torch, atol=1e-5)
    tower, tokenizer = open_tower(folder)
    np.testing.assert_allclose(place(tower.eval(), tokenizer, TEXTS, folder.max_tokens), by_torch, atol=1e-5)
    assert by_onnx.unread_shares(chinese(5)).max() == 0.0


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    texts = english(200)

    def digest(name: str, seed: int) -> str:
        return new_model(texts, NewModelConfig(size="tiny", vocabulary=300, seed=seed), tmp_path / name).digest

    assert digest("one", 1) == digest("again", 1) != digest("other", 2)


def test_the_size_sets_what_is_not_given(tmp_path: Path) -> None:
    config = NewModelConfig(size="tiny", layers=3, heads=2)

    folder = new_model(english(200), config, tmp_path / "model")

    network = AutoConfig.from_pretrained(folder.path)
    assert (network.num_hidden_layers, network.hidden_size, network.num_attention_heads) == (3, 64, 2)
    assert NewModelConfig(size="base").shape.width == 768
    assert NewModelConfig(size="small").shape.vocabulary == 8_000


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="64 cannot be divided among 3 heads"):
        NewModelConfig.parse({"size": "tiny", "heads": 3}, "model")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match="not empty"):
        new_model(english(200), NewModelConfig(size="tiny"), tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
