"""A linear model over n-grams: as scikit-learn's, calibrated, joined with a network, kept in its folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from aisle.errors import CorruptError
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.heads import label_weights
from aisle.language.labelled_texts import Examples, LabelledTexts, Truth, read_examples, split
from aisle.language.model_folder import ModelFolder
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.ngram_model import fit_ngrams, joined, read_ngrams, write_ngrams
from aisle.language.ngrams import Ngrams, count
from aisle.language.temperature import probabilities
from aisle.language.text_model import TextModel

USE = TaskConfig(name="use", kind="classes", labels=("kitchen", "garden", "desk"))
GIFT = TaskConfig(name="gift", kind="binary", labels=("no", "yes"))
MADE_OF = TaskConfig(name="made_of", kind="tags", labels=("steel", "wood"))
TASKS = (USE, GIFT, MADE_OF)
WORDS = {"kitchen": ("kettle", "pan", "cup"), "garden": ("rake", "hose", "spade"), "desk": ("lamp", "pencil", "ink")}
STUFF = {"steel": ["steel"], "oak": ["wood"], "steel and oak": ["steel", "wood"], "cotton": []}
COLOURS = ("red", "blue", "green", "black", "white")


def things() -> LabelledTexts:
    """180 things with what they are for, of what they are made, and of half of them whether they are gifts."""
    rows = [
        (f"{colour} {stuff} {word}", use, tags, colour)
        for use, words in WORDS.items()
        for word in words
        for stuff, tags in STUFF.items()
        for colour in COLOURS
    ]
    labels = {
        "use": [use for _, use, _, _ in rows],
        "made_of": [tags for _, _, tags, _ in rows],
        "gift": [("yes" if row[3] == "red" else "no") if place % 2 else None for place, row in enumerate(rows)],
    }
    return LabelledTexts("things.csv", [row[0] for row in rows], labels)


def plain(*tasks: TaskConfig) -> dict[str, np.ndarray]:
    return {task.name: np.ones((2, len(task.labels)), dtype=np.float32) for task in tasks}


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    texts = list(things().texts) * 3
    shape = NewModelConfig(size="tiny", layers=1, width=16, heads=2, vocabulary=300, beginning="random")
    return new_model(texts, shape, tmp_path_factory.mktemp("models") / "m")


@pytest.fixture(scope="module")
def fine_tuned(small_model, tmp_path_factory):
    work = tmp_path_factory.mktemp("tuned")
    config = FinetuneConfig(trained="heads", validation_share=0.2, training={"trackers": [], "epochs": 3})
    found = finetune(small_model, [things()], TASKS, config, work=work / "w", target=work / "model")
    return work / "model", found


def test_what_is_learned_is_what_scikit_learn_learns() -> None:
    examples = read_examples([things()], TASKS, 10)
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(rng.random(len(examples)) < 0.5)
    learned = examples.at(rows)
    counts = count(learned.texts, learned.second)
    ngrams = Ngrams.of(counts, 1_000_000)
    ones = np.ones((len(learned), 1))
    features = np.hstack([ngrams.weighted(counts).toarray(), ones])
    new = count(examples.texts, examples.second)
    new_features = np.hstack([ngrams.weighted(new).toarray(), np.ones((len(examples), 1))])

    model = fit_ngrams(learned, TASKS, plain(*TASKS))

    logits = model.logits(examples.texts, examples.second)
    peers = {"use": [None], "gift": [1], "made_of": [0, 1]}
    for task in TASKS:
        truth = learned.truth[task.name]
        known, scale = truth.is_known, model.linears[task.name].scale
        for label in peers[task.name]:
            values = truth.values[known]
            right = values.argmax(axis=1) if label is None else values[:, label] > 0.5
            peer = LogisticRegression(C=30.0, fit_intercept=False, tol=1e-6, max_iter=1_000)
            wanted = peer.fit(features[known], right).decision_function(new_features)
            said = logits[task.name] if label is None else logits[task.name][:, label]
            if label is None:
                said, wanted = (one - one.mean(axis=1, keepdims=True) for one in (said, wanted))
            factor = (said * wanted).sum() / (wanted**2).sum()  # calibration
            np.testing.assert_allclose(said, factor * wanted, atol=0.03 * np.abs(said).max())
            assert factor > 0.3
        assert scale > 0.0


def test_what_texts_do_not_tell_is_not_claimed() -> None:
    """Every text has words of its own, by which its label can be learned by heart and nothing else."""
    rng = np.random.default_rng(0)
    texts = [" ".join(f"{one:x}" for one in rng.integers(1 << 24, size=4)) for _ in range(500)]
    values = np.eye(2, dtype=np.float32)[rng.integers(2, size=500)]
    truth = Truth(values, np.ones(500, dtype=np.bool_))
    learned = Examples(texts, [None] * 500, {"gift": truth}).at(np.arange(300))

    model = fit_ngrams(learned, [GIFT], plain(GIFT))

    new = probabilities(model.logits(texts[300:], [None] * 200)["gift"], 1.0, is_one_of=True)
    assert np.abs(new[:, 1] - 0.5).mean() < 0.1
    loss = -np.log(new[values[300:] > 0.5]).mean()
    assert loss < np.log(2) + 0.03


def test_a_network_that_knows_nothing_leaves_the_word_to_n_grams() -> None:
    examples = read_examples([things()], TASKS, 10)
    learned_rows, checked_rows = split(examples, 0.3)
    learned, checked = examples.at(learned_rows), examples.at(checked_rows)
    weights = plain(*TASKS)
    ngrams = fit_ngrams(learned, TASKS, weights)
    rng = np.random.default_rng(0)
    noise = {task.name: rng.normal(size=(len(checked), len(task.labels))).astype(np.float32) * 9.0 for task in TASKS}
    right = {task.name: (9.0 * checked.truth[task.name].values - 4.5).astype(np.float32) for task in TASKS}

    for network, least in ((noise, 0.9), (right, 0.99)):
        told, weighted = joined(network, ngrams, checked, TASKS, weights)
        beside = weighted.logits(checked.texts, checked.second)
        for task in TASKS:
            known = checked.truth[task.name].is_known
            true = checked.truth[task.name].values[known] > 0.5
            found = told[task.name][known]
            is_right = found.argmax(1) == true.argmax(1) if task.is_one_of else ((found > 0) == true).all(axis=1)
            assert is_right.mean() >= least
            np.testing.assert_allclose(told[task.name], network[task.name] + beside[task.name], atol=1e-3)


def test_a_file_holds_what_was_learned_exactly(tmp_path: Path) -> None:
    examples = read_examples([things()], TASKS, 10)
    model = fit_ngrams(examples, TASKS, plain(*TASKS)).times({"use": 3.0, "gift": 1e6, "made_of": 1e-6})
    write_ngrams(model, tmp_path / "n.safetensors")

    again = read_ngrams(tmp_path / "n.safetensors", TASKS)

    for name, logits in model.logits(examples.texts, examples.second).items():
        np.testing.assert_array_equal(again.logits(examples.texts, examples.second)[name], logits)
    other = TaskConfig(name="other", kind="binary", labels=("no", "yes"))
    with pytest.raises(ValueError, match=r"holds no weights\.other"):
        read_ngrams(tmp_path / "n.safetensors", [other])


def test_many_labels_keep_the_file_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisle.language.ngram_model._MOST_WEIGHTS", 700)
    model = fit_ngrams(read_examples([things()], TASKS, 10), TASKS, plain(*TASKS))
    write_ngrams(model, tmp_path / "n.safetensors")
    assert len(model.ngrams.ids) == 700 // 6
    assert (tmp_path / "n.safetensors").stat().st_size < 4_000


def test_of_very_many_rows_some_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = read_examples([things()], TASKS, 10)
    monkeypatch.setattr("aisle.language.ngram_model._MOST_ROWS", 100)
    some = fit_ngrams(examples, TASKS, plain(*TASKS))
    monkeypatch.setattr("aisle.language.ngram_model._MOST_ROWS", 180)
    whole = fit_ngrams(examples, TASKS, plain(*TASKS))
    for model, n in ((some, 100), (whole, 180)):
        n_with = (1 + n) / np.exp(model.ngrams.rarity - 1.0) - 1.0
        np.testing.assert_allclose(n_with, n_with.round(), atol=1e-3)
    said = some.logits(examples.texts, examples.second)["use"].argmax(axis=1)
    assert (said == examples.truth["use"].values.argmax(axis=1)).mean() > 0.95


def test_the_folder_says_what_was_measured(fine_tuned) -> None:
    folder, found = fine_tuned
    examples = read_examples([things()], TASKS, 10)
    checked = examples.at(split(examples, 0.2)[1])

    said = TextModel.load(folder).predict(checked.texts)

    for task in (USE, GIFT):
        known = checked.truth[task.name].is_known
        loss = -np.log(said[task.name][known][checked.truth[task.name].values[known] > 0.5]).mean()
        assert loss == pytest.approx(found.metrics[f"{task.name}/log_loss"], rel=1e-4)
    assert found.metrics["made_of/accuracy"] > 0.95
    assert (folder / "ngrams.safetensors").stat().st_size < 100_000
    model = TextModel.load(folder)
    many = model.predict(checked.texts)["use"]
    np.testing.assert_allclose(model.predict(checked.texts[::-1])["use"][::-1], many, atol=1e-5)
    assert model.predict([])["use"].shape == (0, 3)
    assert np.isfinite(model.predict(["", "\ud800 broken"])["use"]).all()


def test_both_tell_more_than_a_small_network_and_it_can_be_left_alone(small_model, fine_tuned, tmp_path) -> None:
    config = FinetuneConfig(ngrams="off", trained="heads", validation_share=0.2, training={"trackers": [], "epochs": 3})
    network = finetune(small_model, [things()], TASKS, config, work=tmp_path / "w", target=tmp_path / "model")
    assert not (tmp_path / "model" / "ngrams.safetensors").exists()
    assert fine_tuned[1].metrics["log_loss"] < network.metrics["log_loss"] / 2
    assert fine_tuned[1].n_trained_parameters == network.n_trained_parameters


def test_pairs_are_told_as_they_were_learned(small_model, tmp_path) -> None:
    """Whether the thing that was asked for is shown is in neither text alone."""
    words = [word for own in WORDS.values() for word in own]
    rows = [(f"{c} {word}", asked) for c in COLOURS for word in words for asked in words]
    rows = [row for place, row in enumerate(rows) if row[0].endswith(row[1]) or place % 5 == 0]
    fits = ["yes" if text.endswith(asked) else "no" for text, asked in rows]
    table = LabelledTexts("asked.csv", [text for text, _ in rows], {"gift": fits}, [asked for _, asked in rows])
    config = FinetuneConfig(trained="heads", validation_share=0.3, training={"trackers": [], "epochs": 3})

    found = finetune(small_model, [table], [GIFT], config, work=tmp_path / "w", target=tmp_path / "model")

    examples = read_examples([table], [GIFT], 10)
    checked = examples.at(split(examples, 0.3)[1])
    said = TextModel.load(tmp_path / "model").predict(checked.texts, checked.second)["gift"]
    loss = -np.log(said[checked.truth["gift"].values > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["gift/log_loss"], rel=1e-4)
    assert found.metrics["accuracy"] > 0.95
    swapped = TextModel.load(tmp_path / "model").predict(["red teapot", "red teapot"], ["teapot", "kettle"])["gift"]
    assert swapped[0, 1] > swapped[1, 1] + 0.3  # a word that was never learned


@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_a_damaged_file_is_refused(fine_tuned, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(fine_tuned[0], folder, copy_function=os.link)
    content = bytearray((folder / "ngrams.safetensors").read_bytes())
    (folder / "ngrams.safetensors").unlink()
    if harm == "cut":
        (folder / "ngrams.safetensors").write_bytes(content[: len(content) // 2])
    elif harm == "flip":
        content[len(content) // 2] ^= 1
        (folder / "ngrams.safetensors").write_bytes(content)
    with pytest.raises(CorruptError, match="ngrams.safetensors.*fine-tune it again"):
        TextModel.load(folder)


def test_balanced_labels_are_told_as_if_they_were_equally_frequent() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"{one:x}" for one in rng.integers(1 << 24, size=4)) for _ in range(600)]
    yes = rng.random(400) < 0.1
    truth = Truth(np.eye(2, dtype=np.float32)[yes.astype(int)], np.ones(400, dtype=np.bool_))
    learned = Examples(texts[:400], [None] * 400, {"gift": truth})
    told = {}
    for is_balanced in (False, True):
        weights = {"gift": label_weights(truth, GIFT.model_copy(update={"is_balanced": is_balanced}))}
        model = fit_ngrams(learned, [GIFT], weights)
        told[is_balanced] = probabilities(model.logits(texts[400:], [None] * 200)["gift"], 1.0, is_one_of=True)[:, 1]
    assert told[False].mean() < 0.2
    assert 0.4 < told[True].mean() < 0.6
