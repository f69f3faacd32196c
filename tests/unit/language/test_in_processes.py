"""Language models learn pairs, pieces and labels in two processes, and are evaluated meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig

from aisle.language.adapt_config import AdaptConfig
from aisle.language.adapters import merged
from aisle.language.adapting import learn
from aisle.language.contrast_pairs import TextPairs
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import open_model_folder, packaged_folder
from aisle.language.tower import TextTower

THINGS = ("kettle", "boots", "lamp", "drill", "rope", "chair", "paint", "hose")
TITLES = [f"{make} {thing} number {number}" for number, make in enumerate(("acme", "bolt")) for thing in THINGS]
PAIRS = TextPairs(list(THINGS), TITLES, np.tile(np.arange(8), 2), np.arange(16), is_query=np.ones(8, dtype=np.bool_))
TRAINING = {"trackers": [], "processes": 2, "epochs": 1, "batch_size": 8, "max_steps": 3, "evaluate_every": 2}


def evaluation(model: torch.nn.Module) -> dict[str, float]:
    assert isinstance(model, TextTower)
    return {"n": 1.0}


@pytest.mark.parametrize("method", ["full", "adalora"])
def test_pieces_and_pairs_are_learned_in_two_processes(tmp_path: Path, method: str) -> None:
    folder = open_model_folder(None)
    tokenizer = AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    tower = TextTower(AutoModel.from_config(config), "mean")  # its pooler is part of it and asked by nobody
    before = {name: one.detach().clone() for name, one in tower.model.named_parameters()}
    settings = AdaptConfig.parse({"adapter": {"method": method}, "training": TRAINING}, "adapt")

    learn(tower, tokenizer, folder, PAIRS, TITLES, settings, 16, tmp_path, evaluate=evaluation)

    after = dict(merged(tower.model).named_parameters())
    moved = [name for name, one in before.items() if not torch.equal(one, after[name].detach())]
    assert moved
    assert not [name for name in moved if "pooler" in name]


def test_labels_are_learned_in_two_processes(small_model, tmp_path: Path) -> None:
    texts = [f"{colour} {thing}" for colour in ("red", "blue", "green", "grey", "black", "white") for thing in THINGS]
    table = LabelledTexts("t", texts, {"home": ["yes" if "l" in text.split()[1] else "no" for text in texts]})
    task = TaskConfig(name="home", kind="binary", labels=("no", "yes"))
    settings = FinetuneConfig.parse({"validation_share": 0.2, "training": TRAINING}, "finetune")

    found = finetune(
        open_model_folder(str(small_model("mean"))),
        [table],
        [task],
        settings,
        work=tmp_path / "w",
        target=tmp_path / "model",
    )

    assert found.trained.n_steps == 3
    assert 0.0 <= found.metrics["home/accuracy"] <= 1.0
