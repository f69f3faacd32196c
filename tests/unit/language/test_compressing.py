"""Smaller models: what is taken out, what is learned back, what it costs and gains."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel, GPT2Config, GPT2Model

from aisle.errors import ConfigError, NotReadyError
from aisle.language.compress_config import CompressConfig
from aisle.language.compressing import Compressed, Step, compress
from aisle.language.contrast_pairs import TextPairs
from aisle.language.distilling import Distillation
from aisle.language.model_folder import open_model_folder, packaged_folder
from aisle.language.shrinking import with_fewer_layers, with_narrower_middles
from aisle.language.tower import TextTower, open_tower, place

WORDS = ["steel", "red", "kettle", "lamp", "boots", "garden", "hose", "cordless", "drill", "tea", "pot", "desk"]


def texts(n: int = 120) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size=4)) for _ in range(n)]


def bert(layers: int = 4) -> BertModel:
    torch.manual_seed(0)
    return BertModel(
        BertConfig(
            vocab_size=30_522, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=64
        )
    ).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models") / "four-layers"
    shutil.copytree(packaged_folder(), where, ignore=shutil.ignore_patterns("*.safetensors"))
    bert().save_pretrained(where)
    return where


def tokens() -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(1_000, 5_000, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.int64)}


def test_layers_are_taken_at_even_distances_and_the_last_stays() -> None:
    model = bert(6)

    smaller = with_fewer_layers(model, 3)

    assert smaller.config.num_hidden_layers == 3
    for kept, layer in zip((1, 3, 5), smaller.encoder.layer, strict=True):
        original = model.encoder.layer[kept].attention.self.query.weight
        assert torch.equal(layer.attention.self.query.weight, original)
    assert len(model.encoder.layer) == 6
    assert torch.equal(with_fewer_layers(model, 6)(**(same := tokens()))[0], model(**same)[0])


def test_a_decoder_loses_layers_too() -> None:
    model = GPT2Model(GPT2Config(vocab_size=100, n_embd=16, n_layer=4, n_head=2, n_positions=16))

    smaller = with_fewer_layers(model, 2)

    assert len(smaller.h) == 2
    ids = {"input_ids": torch.randint(0, 100, (2, 5))}
    assert smaller(**ids).last_hidden_state.shape == (2, 5, 16)


def test_neurons_that_do_nothing_go_first_and_nothing_changes() -> None:
    model = bert(2)
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.output.dense.weight[:, ::2] = 0.0  # every other neuron leads nowhere

    smaller = with_narrower_middles(model, 0.5, [tokens()])

    assert smaller.config.intermediate_size == 32
    same = tokens()
    torch.testing.assert_close(smaller(**same)[0], model(**same)[0], atol=1e-5, rtol=0)


def test_a_narrower_model_is_read_back(tmp_path: Path) -> None:
    smaller = with_narrower_middles(with_fewer_layers(bert(), 2), 0.25, [tokens()])

    smaller.save_pretrained(tmp_path)
    again = BertModel.from_pretrained(tmp_path).eval()

    same = tokens()
    torch.testing.assert_close(again(**same)[0], smaller.eval()(**same)[0], atol=1e-6, rtol=0)


def test_what_cannot_be_taken_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="the model has 4"):
        with_fewer_layers(bert(), 5)
    gpt = GPT2Model(GPT2Config(vocab_size=100, n_embd=16, n_layer=2, n_head=2, n_positions=16))
    with pytest.raises(ConfigError, match="not built as BERT"):
        with_narrower_middles(gpt, 0.5, [])


def test_the_loss_of_distillation_is_zero_for_the_teacher_and_not_for_others() -> None:
    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)
    tower = TextTower(bert(), "mean").eval()
    some = texts(10)
    objective = Distillation(some, place(tower, tokenizer, some, 16), tokenizer, 16, 20.0)
    batch = objective.collate(np.arange(10), np.random.default_rng(0))

    other = TextTower(with_fewer_layers(tower.model, 1), "mean").eval()
    assert objective.loss(tower, batch).item() == pytest.approx(0.0, abs=1e-5)
    assert objective.loss(other, batch).item() > 1e-4
    one = objective.collate(np.arange(1), np.random.default_rng(0))
    assert objective.loss(tower, one).item() == pytest.approx(0.0, abs=1e-5)


def test_a_small_model_learns_the_large_ones_places_and_is_measured(folder: Path, tmp_path: Path) -> None:
    some = texts()
    check = TextPairs(some[:40], some, np.arange(40), np.arange(40))
    config = CompressConfig(
        size="tiny",
        layers=1,
        middle_share=0.5,
        training={"trackers": [], "max_steps": 120, "epochs": 60, "batch_size": 40},
    )
    target = tmp_path / "small"
    target.mkdir()

    found = compress(
        open_model_folder(str(folder)), some, ["tea pot"], check, config, work=tmp_path / "work", target=target
    )

    assert [step.name for step in found.steps] == ["as it is", "1 layers", "int8"]
    assert found.steps[0].ndcg == pytest.approx(1.0)
    assert found.steps[1].megabytes < found.steps[0].megabytes
    assert found.loss < 0.2
    large, small = (open_tower(open_model_folder(str(where))) for where in (folder, target))
    apart = (place(large[0].eval(), large[1], some, 32) * place(small[0].eval(), small[1], some, 32)).sum(axis=1)
    assert apart.mean() > 0.95
    assert small[0].model.config.num_hidden_layers == 1
    assert {"ndcg@10.int8", "texts_per_second.as it is", "query_ms.1 layers", "loss", "times_faster"} <= set(
        found.metrics()
    )


def test_more_loss_than_allowed_is_not_good_enough() -> None:
    def step(name: str, ndcg: float, speed: float) -> Step:
        return Step(name, 10.0, speed, 1.0, ndcg)

    steps = (step("as it is", 0.5, 100.0), step("int8", 0.485, 350.0))

    assert Compressed(steps, 0.02).loss == pytest.approx(0.03)
    assert not Compressed(steps, 0.02).is_good_enough
    assert Compressed(steps, 0.031).is_good_enough
    assert Compressed(steps, 0.02).metrics()["times_faster"] == pytest.approx(3.5)


def test_nothing_to_learn_from_is_told(folder: Path, tmp_path: Path) -> None:
    nothing = TextPairs([], [], np.empty(0, np.int64), np.empty(0, np.int64))

    with pytest.raises(NotReadyError, match="0 pairs"):
        compress(
            open_model_folder(str(folder)), texts(), [], nothing, CompressConfig(), work=tmp_path, target=tmp_path / "t"
        )
