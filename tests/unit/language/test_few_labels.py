"""Rows that are worth a label, and a model that labels for itself what it is sure of."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.errors import ConfigError, DataError
from aisle.language.active_learning import PICKS, expected_change, pick
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import ModelFolder
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.self_training import SelfTrainingConfig, self_train
from aisle.language.text_model import TextModel

VECTORS = np.array([[0, 0], [0, 0.1], [5, 0], [5, 0.1], [0, 5]], dtype=np.float32)
SAID = np.array([[0.9, 0.1], [0.55, 0.45], [0.99, 0.01], [0.7, 0.3], [0.5, 0.5]], dtype=np.float32)
OPINION = TaskConfig(name="opinion", kind="binary", labels=("bad", "good"))
GOOD, BAD = ("很好", "喜欢", "不错", "漂亮"), ("很差", "失望", "退货", "破损")
THINGS = ("衣服", "鞋子", "手机", "水果", "书", "耳机", "杯子", "毛巾", "台灯", "书包")


def test_uncertainty_picks_what_is_undecided() -> None:
    assert pick("uncertainty", 2, vectors=VECTORS, probabilities=SAID).tolist() == [4, 1]


def test_diversity_picks_what_is_far_from_all_others() -> None:
    assert set(pick("diversity", 2, vectors=VECTORS, labelled=VECTORS[:1]).tolist()) in ({3, 4}, {2, 4})
    three = pick("diversity", 3, vectors=VECTORS, seed=1)
    assert {tuple(np.round(VECTORS[row])) for row in three} == {(0, 0), (5, 0), (0, 5)}
    assert sorted(pick("diversity", 9, vectors=VECTORS).tolist()) == [0, 1, 2, 3, 4]


def test_change_is_the_expected_length_of_the_gradient() -> None:
    lengths = np.sqrt(((SAID[:, None, :] - np.eye(2)[None]) ** 2).sum(axis=2))
    by_hand = (SAID * lengths).sum(axis=1) * np.linalg.norm(VECTORS, axis=1)
    np.testing.assert_allclose(expected_change(SAID, VECTORS), by_hand, rtol=1e-3)
    assert pick("change", 1, vectors=VECTORS, probabilities=SAID).tolist() == [int(by_hand.argmax())]


def test_badge_picks_what_changes_the_model_in_different_ways() -> None:
    picked = pick("badge", 3, vectors=VECTORS, probabilities=SAID).tolist()
    parts = SAID - np.eye(2, dtype=np.float32)[SAID.argmax(axis=1)]
    gradients = (parts[:, :, None] * VECTORS[:, None, :]).reshape(5, 4)
    assert picked[0] == int(np.linalg.norm(gradients, axis=1).argmax())
    drawn = [pick("badge", 2, vectors=VECTORS, probabilities=SAID, seed=seed)[1] for seed in range(400)]
    apart = ((gradients - gradients[picked[0]]) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / 400, apart / apart.sum(), atol=0.08)
    same = np.ones((4, 2), dtype=np.float32)
    assert sorted(pick("badge", 4, vectors=same, probabilities=np.full((4, 2), 0.5, np.float32)).tolist()) == [
        0,
        1,
        2,
        3,
    ]


def test_chance_is_seeded_and_ways_that_cannot_be_are_refused() -> None:
    assert pick("random", 3, vectors=VECTORS, seed=1).tolist() == pick("random", 3, vectors=VECTORS, seed=1).tolist()
    with pytest.raises(ConfigError, match=", ".join(PICKS)):
        pick("luck", 1, vectors=VECTORS)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs a model that tells probabilities"):
        pick("uncertainty", 1, vectors=VECTORS)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    texts = [f"{thing}{word}" for thing in THINGS for word in (*GOOD, *BAD)] * 3
    texts += [f"这个{text}，{other}" for text in texts for other in GOOD + BAD]
    shape = NewModelConfig(size="tiny", layers=1, width=32, heads=2, vocabulary=500, chinese="characters")
    return new_model(texts, shape, tmp_path_factory.mktemp("models") / "m")


def opinions() -> LabelledTexts:
    rows = [
        (f"{thing}{word}", label)
        for label, words in (("good", GOOD), ("bad", BAD))
        for thing in THINGS
        for word in words[:2]
    ]
    return LabelledTexts("opinions.csv", [text for text, _ in rows], {"opinion": [label for _, label in rows]})


def test_a_model_labels_what_it_is_sure_of_and_learns_from_it(small_model, tmp_path) -> None:
    unlabelled = [
        f"这个{thing}{word}{other}"
        for thing in THINGS
        for pair in (GOOD, BAD)
        for word, other in (pair[:2], pair[1::2])
    ]
    config = FinetuneConfig(
        validation_share=0.2,
        heads_first=False,
        training={"trackers": [], "learning_rate": 1e-2, "epochs": 40, "batch_size": 16, "patience": 40},
    )

    told = self_train(
        small_model,
        [opinions()],
        unlabelled,
        OPINION,
        config,
        SelfTrainingConfig(least_sure=0.55, most_share=1.0),
        work=tmp_path / "w",
        target=tmp_path / "model",
    )

    first, last = told.rounds
    assert told.n_taken[0] > 10
    assert told.n_taken[0] % 2 == 0
    assert last.n_learned == first.n_learned + told.n_taken[0]
    assert last.n_checked == first.n_checked
    said = TextModel.load(tmp_path / "model").predict(["这个衣服很好", "这个衣服很差"])["opinion"]
    assert said[0, 1] > said[1, 1]


def test_what_cannot_be_labelled_by_itself_is_refused(small_model, tmp_path) -> None:
    tags = TaskConfig(name="opinion", kind="tags", labels=("bad", "good"))
    where = {"work": tmp_path / "w", "target": tmp_path / "model"}
    with pytest.raises(ConfigError, match="has tags"):
        self_train(small_model, [opinions()], ["x"], tags, FinetuneConfig(), SelfTrainingConfig(), **where)
    with pytest.raises(DataError, match="no texts without a label"):
        self_train(small_model, [opinions()], [], OPINION, FinetuneConfig(), SelfTrainingConfig(), **where)
