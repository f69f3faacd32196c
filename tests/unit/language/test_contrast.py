"""Contrast learns which texts belong together, and never takes what belongs for a negative."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig

from aisle.language.adapt_config import ContrastConfig
from aisle.language.contrast import Contrast
from aisle.language.contrast_pairs import TextPairs, to_mine, with_hard_negatives
from aisle.language.model_folder import packaged_folder
from aisle.language.retrieval_check import find
from aisle.language.tower import TextTower, place
from aisle.training.config import TrainingConfig
from aisle.training.loop import train

QUERIES = ["kettle", "boots", "lamp", "drill"]
TITLES = ["steel kettle", "tea pot", "rain boots", "hiking shoes", "desk lamp", "cordless drill", "garden hose"]
PAIRS = TextPairs(
    QUERIES,
    TITLES,
    left=np.array([0, 0, 1, 1, 2, 3]),
    right=np.array([0, 1, 2, 3, 4, 5]),
    wrong={0: np.array([6, 5]), 3: np.array([6])},
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)


@pytest.fixture
def tower(tokenizer) -> TextTower:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    return TextTower(AutoModel.from_config(config), "mean")


def test_equal_texts_are_one_whichever_side_and_row_they_stand_on(tokenizer) -> None:
    # two items of one name, and an item beside which others were looked at
    pairs = TextPairs(
        ["kettle", "red cup"], ["red cup", "red cup", "pot"], left=np.array([0, 1]), right=np.array([0, 2]),
        wrong={0: np.array([1])},
    )  # fmt: skip
    objective = Contrast("c", pairs, tokenizer, ContrastConfig())

    batch = objective.collate(np.array([0, 1]), np.random.default_rng(0))

    # rights: red cup, pot, the other red cup: right for the kettle, and the left text of the second row itself
    assert batch["no_negative"].tolist() == [[False, False, True], [True, False, True]]


def test_what_belongs_to_a_query_is_never_its_negative(tokenizer) -> None:
    objective = Contrast("c", PAIRS, tokenizer, ContrastConfig())

    batch = objective.collate(np.array([0, 1, 5]), np.random.default_rng(0))  # kettle twice, drill

    # rights: steel kettle, tea pot, cordless drill, garden hose; the drill is no hard negative, it is in the batch
    assert batch["right_ids"].shape[0] == 4
    assert batch["no_negative"].tolist() == [
        [False, True, False, False],
        [True, False, False, False],
        [False, False, False, False],
    ]


def test_a_pair_counts_by_its_weight(tower, tokenizer) -> None:
    light, heavy = (
        Contrast("c", replace(PAIRS, wrong={}, weight=np.array([first, 1, 1, 1, 1, 1.0])), tokenizer, ContrastConfig())
        for first in (1e-6, 1e6)
    )
    plain = Contrast("c", replace(PAIRS, wrong={}), tokenizer, ContrastConfig())
    tower.eval()

    def loss_of(objective: Contrast, *rows: int) -> float:
        batch = objective.collate(np.array(rows), np.random.default_rng(0))
        return float(objective.loss(tower, batch).detach())

    total = 2 * loss_of(plain, 0, 5)
    assert loss_of(light, 0, 5) + loss_of(heavy, 0, 5) == pytest.approx(total, rel=1e-4)
    assert loss_of(light, 0, 5) != pytest.approx(loss_of(heavy, 0, 5), rel=1e-3)


def test_views_change_the_side_they_are_for(tokenizer) -> None:
    objective = Contrast("c", PAIRS, tokenizer, ContrastConfig(), left_view=lambda text, rng: f"{text} {text}")

    batch = objective.collate(np.array([0, 5]), np.random.default_rng(0))

    asked = tokenizer.batch_decode(batch["left_ids"], skip_special_tokens=True)
    assert asked == ["kettle kettle", "drill drill"]
    assert tokenizer.batch_decode(batch["right_ids"], skip_special_tokens=True)[:2] == [
        "steel kettle",
        "cordless drill",
    ]


def test_the_loss_is_the_negative_log_share_of_the_right_text(tokenizer) -> None:
    class Given(torch.nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.eye(3)[: len(ids)]

    objective = Contrast("c", PAIRS, tokenizer, ContrastConfig(scale=2.0, hard_negatives=0))
    batch = objective.collate(np.array([0, 2]), np.random.default_rng(0))

    # cosines are 1 with its own and 0 with the other: e^2 / (e^2 + 1)
    assert objective.loss(Given(), batch).item() == pytest.approx(-np.log(np.exp(2) / (np.exp(2) + 1)))
    both = Contrast("c", PAIRS, tokenizer, ContrastConfig(scale=2.0, hard_negatives=0, both_ways=True))
    assert both.loss(Given(), batch).item() == pytest.approx(-np.log(np.exp(2) / (np.exp(2) + 1)))


def test_hard_negatives_are_bounded_and_views_are_drawn_anew(tokenizer) -> None:
    def shouted(text: str, rng: np.random.Generator) -> str:
        return f"{text} {'again ' * int(rng.integers(1, 5))}"

    objective = Contrast("c", PAIRS, tokenizer, ContrastConfig(hard_negatives=1), left_view=shouted)

    first, second, same = (
        objective.collate(np.array([0]), np.random.default_rng(seed))["left_ids"].shape for seed in (0, 2, 0)
    )
    assert objective.collate(np.array([0]), np.random.default_rng(0))["right_ids"].shape[0] == 2
    assert first == same
    assert first != second


def test_a_model_learns_to_find_what_belongs(tokenizer, tower, tmp_path: Path) -> None:
    def ndcg() -> float:
        tower.eval()
        lefts, rights = place(tower, tokenizer, QUERIES, 16), place(tower, tokenizer, TITLES, 16)
        return find(lefts, rights, PAIRS.left, PAIRS.right).means()["ndcg@10"]

    before = ndcg()
    config = TrainingConfig(epochs=60, batch_size=6, learning_rate=5e-3, trackers=(), checkpoint_every=0)
    train(tower, Contrast("c", PAIRS, tokenizer, ContrastConfig()), config, tmp_path)

    assert before < 0.9
    assert ndcg() > 0.98


def test_lengths_are_those_of_both_sides(tokenizer) -> None:
    lengths = Contrast("c", PAIRS, tokenizer, ContrastConfig()).lengths

    wanted = [
        len(tokenizer(QUERIES[a])["input_ids"]) + len(tokenizer(TITLES[b])["input_ids"])
        for a, b in zip(PAIRS.left, PAIRS.right, strict=True)
    ]
    assert lengths.tolist() == wanted


def test_mined_negatives_are_the_nearest_that_do_not_belong_and_lie_below_what_does() -> None:
    angles = np.radians([0, 90])
    lefts = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    angles = np.radians([20, 5, 30, 40, 85, 60])  # of the rights; the first and the fifth belong
    rights = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pairs = TextPairs(["a", "b"], list("uvwxyz"), np.array([0, 1]), np.array([0, 4]), wrong={1: np.array([1])})

    mined = with_hard_negatives(pairs, to_mine(pairs, 100), lefts, rights, 2)

    # of a: right 1 lies nearer than its own, so it may belong; 2 and 3 follow. Of b: 5 and 3, beside the known one
    assert {left: rows.tolist() for left, rows in mined.wrong.items()} == {0: [2, 3], 1: [1, 3, 5]}
    assert pairs.wrong[1].tolist() == [1]


def test_mining_looks_at_no_more_than_it_is_told_and_finds_what_brute_force_finds_there() -> None:
    rng = np.random.default_rng(0)
    n_lefts, n_rights, most = 900, 700, 300
    lefts, rights = (rng.normal(size=(n, 8)).astype(np.float32) for n in (n_lefts, n_rights))
    lefts, rights = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (lefts, rights))
    left, right = rng.integers(0, n_lefts - 50, 2_000), rng.integers(0, n_rights, 2_000)
    pairs = TextPairs([f"q{row}" for row in range(n_lefts)], [f"t{row}" for row in range(n_rights)], left, right)

    asked, among = to_mine(pairs, most)
    found = with_hard_negatives(pairs, (asked, among), lefts[asked], rights[among], 3)

    own = {row: set(right[left == row].tolist()) for row in asked.tolist()}
    assert len(asked) == most
    assert all(own.values())
    assert set.union(*own.values()) <= set(among.tolist())
    assert len(among) == max(most, len(set.union(*own.values())))
    assert set(found.wrong) <= set(asked.tolist())
    for row in asked.tolist():
        cosines = rights @ lefts[row]
        most_near = cosines[sorted(own[row])].max() - 0.05
        nearest = among[np.argsort(-cosines[among])][: 4 * 3 + 16].tolist()
        wanted = [one for one in nearest if one not in own[row] and cosines[one] < most_near][:3]
        assert sorted(wanted) == found.wrong.get(row, np.empty(0)).tolist()
