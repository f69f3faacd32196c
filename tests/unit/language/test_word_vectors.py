"""Tokens that are read with the same neighbours begin beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.tower import open_tower
from aisle.language.word_vectors import word_vectors


def test_what_stands_beside_the_same_tokens_is_near() -> None:
    rng = np.random.default_rng(0)
    texts = [[0, *rng.choice([2, 3, 4], 3), 8] for _ in range(200)] + [
        [1, *rng.choice([5, 6, 7], 3)] for _ in range(200)
    ]

    vectors = word_vectors(texts, 10, 4)

    assert vectors.shape == (10, 4)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors[:9], axis=1), 1.0, atol=1e-5)
    assert not vectors[9].any()  # in no text
    near = vectors @ vectors.T
    assert near[2, 3] > 0.8
    assert near[5, 6] > 0.8
    assert near[2, 5] < 0.3
    np.testing.assert_array_equal(vectors, word_vectors(texts, 10, 4))


def test_it_is_the_factorised_mutual_information() -> None:
    texts = [[0, 1, 2], [1, 2, 0], [2, 2, 1], [3, 0, 1]]
    near = np.zeros((4, 4))
    for text in texts:
        for place_, one in enumerate(text):
            for other in range(len(text)):
                if other != place_:
                    near[one, text[other]] += 1 / abs(place_ - other)
    smoothed = near.sum(axis=1) ** 0.75
    informative = np.log(np.maximum(near, 1e-30) * smoothed.sum() / (near.sum(axis=1)[:, None] * smoothed))
    left, sizes, _ = np.linalg.svd(np.where((near > 0) & (informative > 0), informative, 0.0))
    wanted = left * np.sqrt(sizes)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)

    found = word_vectors(texts, 4, 4)

    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-5)


def test_texts_without_neighbours_and_no_texts_give_nothing() -> None:
    assert not word_vectors([[1], [2]], 4, 8).any()
    assert not word_vectors([], 4, 2).any()


def test_a_new_model_knows_what_is_alike_before_it_has_learned(tmp_path: Path) -> None:
    groups = (("苹果", "香蕉", "葡萄"), ("很甜", "新鲜", "好吃")), (("跑鞋", "皮靴", "拖鞋"), ("防滑", "合脚", "耐穿"))
    texts = [
        f"{one}，{first}，{second}，{last}"
        for things, said in groups
        for one in things
        for first in said
        for second in said
        for last in ("推荐", "还会再买", "物流快")
    ]
    folder = new_model(texts, NewModelConfig(size="tiny", vocabulary=120), tmp_path / "model")
    tower, tokenizer = open_tower(folder)
    words = tokenizer.convert_tokens_to_ids(["苹果", "香蕉", "跑鞋", "拖鞋"])
    table = tower.model.get_input_embeddings().weight.detach()[words]
    apple, banana, shoe, slipper = table / table.norm(dim=1, keepdim=True)
    assert apple @ banana > apple @ shoe + 0.1
    assert shoe @ slipper > shoe @ banana + 0.1
