"""Rows that are worth a label, and a model that labels for itself what it is sure of."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.errors import ConfigError, DataError
from aisle.language.active_learning import PICKS, expected_change, pick
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.label_metrics import measure
from aisle.language.labelled_texts import Examples, LabelledTexts, read_examples, split
from aisle.language.model_folder import ModelFolder
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.self_training import self_train
from aisle.language.self_training_config import SelfTrainingConfig
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


UNLABELLED = LabelledTexts(
    "reviews.csv",
    [f"这个{thing}{word}{other}" for thing in THINGS for pair in (GOOD, BAD) for word, other in (pair[:2], pair[1::2])],
    {},
)
QUICK = FinetuneConfig(
    validation_share=0.2,
    heads_first=False,
    training={"trackers": [], "learning_rate": 1e-2, "epochs": 40, "batch_size": 16, "patience": 40},
)


def held_out(labelled: LabelledTexts, config: FinetuneConfig) -> Examples:
    """What no round learns from."""
    examples = read_examples([labelled], [OPINION], config.least_rows)
    return examples.at(split(examples, config.validation_share)[1])


def test_a_model_labels_what_it_is_sure_of_and_learns_from_it(small_model, tmp_path) -> None:
    labelled = opinions()
    among = LabelledTexts("all.csv", [*UNLABELLED.texts, *labelled.texts, " ", UNLABELLED.texts[0]], {})

    told = self_train(
        small_model,
        [labelled],
        [among],
        OPINION,
        QUICK,
        SelfTrainingConfig(least_sure=0.55, most_share=1.0, rounds=3),
        work=tmp_path / "w",
        target=tmp_path / "model",
    )

    one = told.rounds[0]
    assert one.finetuned is not None
    assert 5 < one.n_taken["good"] == one.n_taken["bad"] <= 20
    assert min(one.n_sure.values()) >= one.n_taken["good"]
    assert sum(one.n_sure.values()) <= 40  # what people labelled, and what says nothing, is not asked about
    assert one.finetuned.n_learned == told.first.n_learned + sum(one.n_taken.values())
    assert one.finetuned.n_checked == told.first.n_checked
    assert told.n_kept >= 1
    assert told.kept.metrics["log_loss"] < told.first.metrics["log_loss"]
    losses = [
        told.first.metrics["log_loss"],
        *(one.finetuned.metrics["log_loss"] for one in told.rounds if one.finetuned),
    ]
    assert losses[: told.n_kept + 1] == sorted(losses[: told.n_kept + 1], reverse=True)
    assert all(loss >= losses[told.n_kept] for loss in losses[told.n_kept :])

    model = TextModel.load(tmp_path / "model")
    checked = held_out(labelled, QUICK)
    found = measure(checked.truth["opinion"].values, model.predict(checked.texts)["opinion"], is_one_of=True)
    assert found["log_loss"] == pytest.approx(told.kept.metrics["log_loss"], rel=1e-4)
    assert found["calibration_error"] == pytest.approx(told.kept.metrics["calibration_error"], rel=1e-3, abs=1e-6)
    assert not list((tmp_path / "w").glob("round-*"))

    figures = told.metrics()
    assert figures["self_training/rounds_kept"] == told.n_kept
    assert figures["self_training/round_1/taken/good"] == one.n_taken["good"]
    assert figures["self_training/round_0/calibration_error"] == told.first.metrics["calibration_error"]
    assert figures["log_loss"] == losses[told.n_kept]


def test_a_round_that_is_no_better_is_thrown_away(small_model, tmp_path) -> None:
    config = QUICK.model_copy(update={"metric": "accuracy"})  # which the people's labels alone bring to 1

    told = self_train(
        small_model,
        [opinions()],
        [UNLABELLED],
        OPINION,
        config,
        SelfTrainingConfig(least_sure=0.55, most_share=1.0, rounds=3),
        work=tmp_path / "w",
        target=tmp_path / "model",
    )
    finetune(small_model, [opinions()], [OPINION], config, work=tmp_path / "w", target=tmp_path / "alone")

    assert told.first.metrics["accuracy"] == 1.0
    assert [one.is_better for one in told.rounds] == [False]
    assert told.kept is told.first
    said = [TextModel.load(tmp_path / name).predict(UNLABELLED.texts)["opinion"] for name in ("model", "alone")]
    np.testing.assert_array_equal(said[0], said[1])


def test_where_no_text_is_sure_enough_nothing_more_is_learned(small_model, tmp_path) -> None:
    only_good = LabelledTexts("good.csv", [text for text in UNLABELLED.texts if any(word in text for word in GOOD)], {})

    told = self_train(
        small_model,
        [opinions()],
        [only_good],
        OPINION,
        QUICK,
        SelfTrainingConfig(least_sure=0.6),
        work=tmp_path / "w",
        target=tmp_path / "model",
    )

    assert len(told.rounds) == 1
    assert told.rounds[0].finetuned is None
    assert told.rounds[0].n_sure["bad"] == 0 < told.rounds[0].n_sure["good"]
    assert set(told.rounds[0].n_taken.values()) == {0}
    assert told.n_kept == 0


def test_what_cannot_be_labelled_by_itself_is_refused(small_model, tmp_path) -> None:
    tags = TaskConfig(name="opinion", kind="tags", labels=("bad", "good"))
    how = SelfTrainingConfig()
    where = {"work": tmp_path / "w", "target": tmp_path / "model"}
    with pytest.raises(ConfigError, match="has tags"):
        self_train(small_model, [opinions()], [UNLABELLED], tags, FinetuneConfig(), how, **where)
    for none in ([], [opinions()], [LabelledTexts("none.csv", [" "], {})]):
        with pytest.raises(DataError, match="no texts without a label"):
            self_train(small_model, [opinions()], none, OPINION, FinetuneConfig(), how, **where)
    assert not (tmp_path / "w").exists()
