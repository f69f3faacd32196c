"""Fine-tuning learns separable texts, keeps duplicates on one side, calibrates, and refuses what is wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from aisle.errors import ConfigError, CorruptError, DataError
from aisle.language.adapter_config import AdapterConfig
from aisle.language.adapter_folder import write_adapter
from aisle.language.adapters import adapted
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import Finetuned, finetune
from aisle.language.heads import TextClassifier
from aisle.language.labelled_texts import LabelledTexts, in_two, read_examples, split, text_key
from aisle.language.model_folder import ModelFolder, open_model_folder, packaged_folder
from aisle.language.text_model import TextModel
from aisle.language.tower import open_tower

USE = TaskConfig(name="use", kind="classes", labels=("kitchen", "garden", "desk"))
GIFT = TaskConfig(name="gift", kind="binary", labels=("no", "yes"))
MADE_OF = TaskConfig(name="made_of", kind="tags", labels=("steel", "wood"))
FITS = TaskConfig(name="fits", kind="binary", labels=("no", "yes"))
WORDS = {
    "kitchen": ("kettle", "pan", "spoon", "cup"),
    "garden": ("rake", "hose", "spade", "seed"),
    "desk": ("lamp", "pencil", "paper", "ink"),
}
COLOURS = ("red", "blue", "green", "black", "white", "grey")
TRAINING = {"trackers": [], "learning_rate": 5e-3, "epochs": 12, "batch_size": 16}


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The packaged vocabulary and a network of one thin layer, untrained."""
    folder = tmp_path_factory.mktemp("models") / "thin"
    shutil.copytree(packaged_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return open_model_folder(str(folder))


def uses() -> LabelledTexts:
    """72 item texts and what they are for."""
    rows = [(f"{colour} {word}", use) for use, words in WORDS.items() for word in words for colour in COLOURS]
    return LabelledTexts("uses.csv", [text for text, _ in rows], {"use": [use for _, use in rows]})


def uses_and_gifts() -> LabelledTexts:
    """A third of the texts also labelled for another task."""
    gifts = ["yes" if "red" in text else "no" for text in uses().texts]
    some = [gift if place % 3 == 0 else None for place, gift in enumerate(gifts)]
    return LabelledTexts("gifts.csv", uses().texts, {**uses().labels, "gift": some})


def materials() -> LabelledTexts:
    """Other texts, labelled for another task only."""
    named = {"steel": ["steel"], "oak": ["wood"], "steel and oak": ["steel", "wood"], "cotton": []}
    rows = [(f"{word} {thing}", tags) for word, tags in named.items() for thing in ("chair", "box", "frame", *COLOURS)]
    return LabelledTexts("materials.csv", [text for text, _ in rows], {"made_of": [tags for _, tags in rows]})


@pytest.fixture(scope="module")
def joint(small_model, tmp_path_factory) -> tuple[Path, Finetuned]:
    """A model of three tasks and what its training came to."""
    work = tmp_path_factory.mktemp("joint")
    config = FinetuneConfig(ngrams="off", validation_share=0.2, metric="log_loss", training=TRAINING)
    found = finetune(
        small_model,
        [uses_and_gifts(), materials()],
        [USE, GIFT, MADE_OF],
        config,
        work=work / "w",
        target=work / "model",
    )
    return work / "model", found


def test_three_tasks_are_learned_over_one_backbone(joint) -> None:
    folder, found = joint
    assert found.metrics["use/accuracy"] >= 0.8
    assert found.metrics["made_of/accuracy"] >= 0.8
    assert found.n_checked >= 15
    assert found.n_learned + found.n_checked == 72 + 36
    texts = ["blue kettle", "grey spade", "white ink"]

    said = TextModel.load(folder).predict(texts)

    assert [USE.labels[place] for place in said["use"].argmax(axis=1)] == ["kitchen", "garden", "desk"]
    assert {task: (one.shape, one.dtype) for task, one in said.items()} == {
        "use": ((3, 3), np.float32),
        "gift": ((3, 2), np.float32),
        "made_of": ((3, 2), np.float32),
    }
    np.testing.assert_allclose(said["use"].sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(said["gift"].sum(axis=1), 1.0, atol=1e-6)
    tags = TextModel.load(folder).predict(["steel frame", "oak frame", "cotton frame"])["made_of"] >= 0.5
    assert tags.tolist() == [[True, False], [False, True], [False, False]]


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix", "bottleneck"])
def test_an_adapter_learns_in_place_of_all_weights_and_is_read_again(small_model, tmp_path, method) -> None:
    config = FinetuneConfig(
        ngrams="off",
        adapter=AdapterConfig(method=method, rank=4),
        validation_share=0.2,
        metric="log_loss",
        training={**TRAINING, "learning_rate": 3e-2, "epochs": 40, "patience": 20},
    )
    options = {"work": tmp_path / "w", "target": tmp_path / "model"}

    found = finetune(small_model, [uses()], [USE], config, **options)

    assert 0 < found.n_trained_parameters < 15_000
    assert found.metrics["use/log_loss"] < 1.0  # chance: 1.10
    examples = read_examples([uses()], [USE], 10)
    checked = examples.at(split(examples, 0.2)[1])
    said = TextModel.load(tmp_path / "model").predict(checked.texts)["use"]
    loss = -np.log(said[checked.truth["use"].values > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["use/log_loss"], rel=1e-3)
    assert (tmp_path / "model" / "adapter").exists() == (method in ("prefix", "bottleneck"))


def test_a_model_begins_from_an_earlier_one(small_model, joint, tmp_path) -> None:
    folder, _ = joint
    short = {**TRAINING, "epochs": 1, "max_steps": 1, "learning_rate": 1e-9}
    config = FinetuneConfig(ngrams="off", validation_share=0.2, metric="log_loss", training=short, heads_first=False)
    few = uses()

    fresh = finetune(small_model, [few], [USE], config, work=tmp_path / "a", target=tmp_path / "fresh")
    begun = finetune(
        small_model, [few], [USE], config, work=tmp_path / "b", target=tmp_path / "begun", start_from=folder
    )

    assert begun.metrics["use/accuracy"] > fresh.metrics["use/accuracy"] + 0.2
    with pytest.raises(ConfigError, match="is no fine-tuned model"):
        finetune(small_model, [few], [USE], config, work=tmp_path / "c", target=tmp_path / "c", start_from=tmp_path)


@pytest.mark.parametrize("method", ["prefix", "bottleneck"])
def test_what_lies_beside_a_model_goes_on_learning_or_stays(small_model, tmp_path, method) -> None:
    sure = AdapterConfig(method=method)
    config = FinetuneConfig(adapter=sure, validation_share=0.2, training={**TRAINING, "learning_rate": 3e-2})
    first = tmp_path / "first"
    finetune(small_model, [uses()], [USE], config, work=tmp_path / "a", target=first)
    still = config.model_copy(update={"training": {**TRAINING, "max_steps": 1, "learning_rate": 1e-9}})

    finetune(small_model, [uses()], [USE], still, work=tmp_path / "b", target=tmp_path / "on", start_from=first)
    heads = FinetuneConfig(
        ngrams="off", trained="heads", validation_share=0.2, training={"trackers": [], "max_steps": 5}
    )
    begun = finetune(
        small_model, [materials()], [MADE_OF], heads, work=tmp_path / "c", target=tmp_path / "heads", start_from=first
    )

    texts = ["blue pan", "green ink"]
    vectors = [TextModel.load(folder).vectors(texts) for folder in (first, tmp_path / "on", tmp_path / "heads")]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-5)
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-5)
    assert begun.n_trained_parameters == 2 * 33
    for other in (AdapterConfig(), AdapterConfig(method=method, prefix_length=3, bottleneck_width=3)):
        wrong = config.model_copy(update={"adapter": other})
        with pytest.raises(ConfigError, match="cannot become part of its model"):
            finetune(small_model, [uses()], [USE], wrong, work=tmp_path / "d", target=tmp_path / "d", start_from=first)


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix", "bottleneck"])
def test_a_model_begins_from_an_adapter_of_another_task(small_model, tmp_path, method) -> None:
    how = AdapterConfig(method=method, rank=2)
    network = adapted(open_tower(small_model)[0].model, how, 4, seed=1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2)
    write_adapter(network, how, tmp_path / "adapter")
    expected = TextClassifier(network.eval(), small_model.pooling, [USE])
    one = {"input_ids": torch.tensor([[101, 2417, 6090, 102]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    kept = how if method in ("prefix", "bottleneck") else AdapterConfig(method="prefix")
    config = FinetuneConfig(
        ngrams="off", adapter=kept, validation_share=0.2, training={**TRAINING, "max_steps": 1, "learning_rate": 1e-9}
    )
    heads = FinetuneConfig(
        ngrams="off", trained="heads", validation_share=0.2, training={"trackers": [], "max_steps": 2}
    )
    options = {"work": tmp_path / "w", "start_from": tmp_path / "adapter"}

    finetune(small_model, [uses()], [USE], heads, target=tmp_path / "heads", **options)
    found = finetune(small_model, [uses()], [USE], config, target=tmp_path / "on", **options)

    with torch.no_grad():
        wanted = expected.vectors(**one).numpy()
        plain = TextClassifier(open_tower(small_model)[0].model.eval(), small_model.pooling, [USE]).vectors(**one)
    found_vectors = TextModel.load(tmp_path / "heads").vectors(["red pan"])
    assert np.abs(found_vectors - wanted).max() < np.abs(plain.numpy() - wanted).max() / 50
    examples = read_examples([uses()], [USE], 10)
    checked = examples.at(split(examples, 0.2)[1])
    said = TextModel.load(tmp_path / "on").predict(checked.texts)["use"]  # a prefix over what was merged, too
    loss = -np.log(said[checked.truth["use"].values > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["use/log_loss"], rel=1e-3)


@pytest.mark.parametrize("method", ["full", "lora", "prefix", "bottleneck"])
def test_pairs_are_told_as_they_were_learned(small_model, tmp_path, method) -> None:
    """Models that know two texts apart must go on doing so, whatever was put around them."""
    texts = uses().texts
    second = [("steel " if place % 2 else "wooden ") + text for place, text in enumerate(texts)]
    fits = ["yes" if place % 2 else "no" for place in range(len(texts))]
    table = LabelledTexts("pairs.csv", texts, {"fits": fits}, second)
    config = FinetuneConfig(
        ngrams="off", adapter=AdapterConfig(method=method), validation_share=0.3, metric="log_loss", training=TRAINING
    )

    found = finetune(small_model, [table], [FITS], config, work=tmp_path / "w", target=tmp_path / "model")

    examples = read_examples([table], [FITS], 10)
    checked = examples.at(split(examples, 0.3)[1])
    said = TextModel.load(tmp_path / "model").predict(checked.texts, checked.second)["fits"]
    loss = -np.log(said[checked.truth["fits"].values > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["fits/log_loss"], rel=1e-4)


def test_the_folder_says_what_was_measured(joint) -> None:
    """Probabilities of the saved model are those that were calibrated: the figures come out again."""
    folder, found = joint
    examples = read_examples([uses_and_gifts(), materials()], [USE, GIFT, MADE_OF], 10)
    checked = examples.at(split(examples, 0.2)[1])

    said = TextModel.load(folder).predict(checked.texts)["use"]

    known = checked.truth["use"].is_known
    loss = -np.log(said[known][checked.truth["use"].values[known] > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["use/log_loss"], rel=1e-3)
    about = json.loads((folder / "classifier.json").read_text())
    assert about["temperatures"] == pytest.approx(dict(found.temperatures))


def test_one_text_or_many_in_any_order_are_told_alike(joint) -> None:
    model = TextModel.load(joint[0])
    texts = ["red cup " * (place % 9) + f"thing {place}" for place in range(150)]

    many = model.predict(texts)["use"]

    np.testing.assert_allclose(model.predict(texts[::-1])["use"][::-1], many, atol=1e-5)
    np.testing.assert_allclose(model.predict([texts[7]])["use"][0], many[7], atol=1e-5)
    assert model.predict([])["use"].shape == (0, 3)
    assert np.isfinite(model.predict(["", "\ud800 broken"])["use"]).all()
    with pytest.raises(DataError, match="1 texts and 2 second"):
        model.predict(["one"], ["a", "b"])


def test_pairs_are_told_by_both_texts(small_model, tmp_path: Path) -> None:
    """Whether a colour was asked for is in neither text alone."""
    rows = [
        (f"{colour} {word}", f"{asked} please", "yes" if asked == colour else "no")
        for words in WORDS.values()
        for word in words
        for colour in ("red", "blue")
        for asked in ("red", "blue")
    ]
    texts, second, labels = (list(column) for column in zip(*rows, strict=True))
    table = LabelledTexts("asked.csv", texts, {"fits": labels}, second=second)
    config = FinetuneConfig(
        ngrams="off",
        validation_share=0.25,
        metric="auc",
        training={**TRAINING, "epochs": 40, "patience": 12, "weight_decay": 0.0},
    )

    found = finetune(small_model, [table], [FITS], config, work=tmp_path / "w", target=tmp_path / "m")

    assert found.metrics["auc"] >= 0.9
    said = TextModel.load(tmp_path / "m").predict(["red cup", "red cup"], ["red please", "blue please"])["fits"]
    assert said[0, 1] > said[1, 1]


def test_heads_alone_leave_the_backbone_as_it_is(small_model, tmp_path: Path) -> None:
    config = FinetuneConfig(
        ngrams="off", trained="heads", validation_share=0.2, metric="log_loss", training={"trackers": []}
    )

    found = finetune(small_model, [uses()], [USE], config, work=tmp_path / "w", target=tmp_path / "m")

    assert found.metrics["accuracy"] > 0.6  # a third by chance
    before, after = (BertModel.from_pretrained(path) for path in (small_model.path, tmp_path / "m" / "backbone"))
    for name, weights in before.state_dict().items():
        assert torch.equal(weights, after.state_dict()[name])
    said = TextModel.load(tmp_path / "m").predict(list(uses().texts))["use"].argmax(axis=1)
    assert np.mean([USE.labels[one] == right for one, right in zip(said, uses().labels["use"], strict=True)]) > 0.8


def test_training_stops_when_the_metric_stays(small_model, tmp_path: Path) -> None:
    config = FinetuneConfig(ngrams="off", trained="heads", training={"trackers": [], "epochs": 400, "patience": 2})

    found = finetune(small_model, [uses()], [USE], config, work=tmp_path / "w", target=tmp_path / "m")

    assert found.trained.stopped_early
    assert found.trained.n_steps < 400 * 3


def test_duplicates_stand_on_one_side_and_every_label_is_learned() -> None:
    copies = [text.upper() + " " for text in uses().texts]
    rare = LabelledTexts("rare.csv", ["the only one", "The  only one"], {"use": ["desk", "desk"]})
    texts = [text for text in uses().texts if "red" in text or "blue" in text]
    few = LabelledTexts("few.csv", texts, {"use": ["kitchen" if "red" in text else "garden" for text in texts]})
    both = LabelledTexts("both.csv", [*uses().texts, *copies], {"use": [*uses().labels["use"], *uses().labels["use"]]})
    examples = read_examples([both], [USE], 10)

    learned, checked = split(examples, 0.25)

    assert sorted([*learned, *checked]) == list(range(144))
    folded = [" ".join(text.split()).casefold() for text in examples.texts]
    assert not {folded[row] for row in learned} & {folded[row] for row in checked}
    assert len(checked) == 2 * 18
    again = read_examples([rare, few], [USE], 10)
    for share in (0.1, 0.3, 0.49):
        learned, _ = split(again, share)
        assert again.truth["use"].values[learned].sum(axis=0).min() > 0


def test_other_rows_move_no_text_across_but_at_the_border() -> None:
    fewer = LabelledTexts("a", uses().texts[:60], {"use": uses().labels["use"][:60]})
    sides = []
    for table in (uses(), fewer):
        examples = read_examples([table], [USE], 10)
        sides.append({examples.texts[row] for row in split(examples, 0.25)[1]})
    shared = set(fewer.texts)

    assert len((sides[0] & shared) ^ sides[1]) <= 6
    assert len(sides[0] & sides[1]) >= 9


@pytest.mark.parametrize(
    ("labels", "told", "row"),
    [
        ({"use": ["kitchen", "kichen"]}, "row 2, task 'use': unknown label 'kichen'. Did you mean 'kitchen'?", 2),
        ({"use": ["kitchen", ["desk"]]}, "row 2, task 'use': .* takes one label as text", 2),
        ({"made_of": [[], "steel"]}, "row 2, task 'made_of': 'steel' given; tags takes a list", 2),
        ({"uses": ["kitchen", "desk"]}, "unknown task 'uses'. Did you mean 'use'?", None),
        ({"use": ["kitchen"]}, "2 texts and 1 values of 'use'", None),
    ],
)
def test_wrong_labels_are_named_with_their_row(labels: dict, told: str, row: int | None) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read_examples([LabelledTexts("shop.csv", ["a cup", "a rake"], labels)], [USE, MADE_OF], 10)
    assert caught.value.source == "shop.csv"
    assert caught.value.row == row


def test_too_little_to_learn_from_is_refused(small_model, tmp_path: Path) -> None:
    some = LabelledTexts("s.csv", ["a cup"] * 30, {"use": (["kitchen", "garden"] * 15)})
    with pytest.raises(DataError, match="no row of s.csv has the label 'desk'"):
        read_examples([some], [USE], 20)
    with pytest.raises(DataError, match="30 labelled rows .* needed are 31"):
        read_examples([some], [USE], 31)
    with pytest.raises(DataError, match="task 'made_of': 0 labelled rows"):
        read_examples([uses()], [USE, MADE_OF], 20)
    two = TaskConfig(name="use", kind="classes", labels=("kitchen", "garden"))
    with pytest.raises(DataError, match="too few different texts"):
        finetune(small_model, [some], [two], FinetuneConfig(), work=tmp_path / "w", target=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_what_cannot_be_is_refused_before_anything_is_learned(small_model, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        finetune(small_model, [uses()], [USE], FinetuneConfig(), work=tmp_path / "w", target=tmp_path / "full")
    with pytest.raises(ConfigError, match="2 tasks are named 'use'; give each"):
        finetune(small_model, [uses()], [USE, USE], FinetuneConfig(), work=tmp_path / "w", target=tmp_path / "m")
    with pytest.raises(ConfigError, match="no folder"):
        TextModel.load(tmp_path / "nowhere")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "name", ["heads.safetensors", "classifier.json", "backbone/model.safetensors", "checksums.json"]
)
@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_a_damaged_folder_is_refused(joint, tmp_path: Path, name: str, harm: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(joint[0], folder, copy_function=os.link)
    content = bytearray((folder / name).read_bytes())
    (folder / name).unlink()  # the others are links to the whole model
    if harm == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    elif harm == "flip":
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    with pytest.raises(CorruptError, match="fine-tune it again") as caught:
        TextModel.load(folder)
    assert "aisle train" not in str(caught.value)
    assert str(folder) in str(caught.value.path)


def test_heads_that_learned_first_spare_the_model(small_model, tmp_path: Path) -> None:
    still = {**TRAINING, "epochs": 1, "max_steps": 1, "learning_rate": 1e-9}
    found = {
        is_first: finetune(
            small_model,
            [uses()],
            [USE],
            FinetuneConfig(ngrams="off", validation_share=0.2, metric="log_loss", training=still, heads_first=is_first),
            work=tmp_path / f"w{is_first}",
            target=tmp_path / f"model{is_first}",
        ).metrics["use/log_loss"]
        for is_first in (True, False)
    }
    assert found[True] < found[False] - 0.2


def test_heads_that_an_earlier_model_lacks_learn_first_and_those_it_has_do_not(small_model, joint, tmp_path) -> None:
    still = {**TRAINING, "epochs": 1, "max_steps": 1, "learning_rate": 1e-9}
    config = FinetuneConfig(ngrams="off", validation_share=0.2, metric="log_loss", training=still)
    wider = TaskConfig(name="use", kind="classes", labels=("desk", "garden", "kitchen"))
    for name, task, learns_first in (("known", USE, False), ("other", wider, True)):
        heard: list[str] = []
        found = finetune(
            small_model,
            [uses()],
            [task],
            config,
            work=tmp_path / f"w-{name}",
            target=tmp_path / name,
            start_from=joint[0],
            progress=lambda what, done, total=None, heard=heard: heard.append(what),
        )
        assert any(what.startswith("learn labels: heads") for what in heard) == learns_first
        assert found.metrics["use/accuracy"] > 0.6


def test_what_is_measured_chose_nothing_where_there_are_enough_texts(small_model, tmp_path: Path) -> None:
    rows = [
        (f"{text} {number}", use)
        for number in range(9)
        for text, use in zip(uses().texts, uses().labels["use"], strict=True)
    ]
    many = LabelledTexts("many.csv", [text for text, _ in rows], {"use": [use for _, use in rows]})
    config = FinetuneConfig(trained="heads", validation_share=0.2, training={"trackers": [], "epochs": 4})

    found = finetune(small_model, [many], [USE], config, work=tmp_path / "w", target=tmp_path / "m")
    few = finetune(small_model, [uses()], [USE], config, work=tmp_path / "f", target=tmp_path / "few")

    examples = read_examples([many], [USE], 10)
    choosing, checked = in_two(examples.at(split(examples, 0.2)[1]), 50)
    assert not {text_key(text) for text in choosing.texts} & {text_key(text) for text in checked.texts}
    assert found.is_checked_apart
    assert (found.n_chosen_by, found.n_checked) == (len(choosing), len(checked))
    assert found.n_learned + len(choosing) + len(checked) == len(rows)
    said = TextModel.load(tmp_path / "m").predict(checked.texts)["use"]
    loss = -np.log(said[checked.truth["use"].values > 0.5]).mean()
    assert loss == pytest.approx(found.metrics["use/log_loss"], rel=1e-3)
    assert not few.is_checked_apart
    assert few.n_chosen_by == few.n_checked == 15


def test_heads_alone_are_kept_where_all_weights_are_no_better(small_model, tmp_path: Path) -> None:
    found = {}
    for name, rate in (("harmed", 0.5), ("learned", 5e-3)):
        training = {**TRAINING, "learning_rate": rate, "schedule": "constant", "warmup_share": 0.0}
        config = FinetuneConfig(ngrams="off", validation_share=0.2, training=training)
        found[name] = finetune(small_model, [uses()], [USE], config, work=tmp_path / "w", target=tmp_path / name)
    heads = FinetuneConfig(ngrams="off", trained="heads", validation_share=0.2, training={"trackers": []})
    finetune(small_model, [uses()], [USE], heads, work=tmp_path / "w", target=tmp_path / "heads")

    assert found["harmed"].is_only_heads
    assert found["harmed"].n_trained_parameters == 3 * 33
    assert found["harmed"].metrics["accuracy"] > 0.6
    assert not found["learned"].is_only_heads
    texts = ["blue pan", "green ink"]
    vectors = {name: TextModel.load(tmp_path / name).vectors(texts) for name in ("harmed", "learned", "heads")}
    np.testing.assert_allclose(vectors["harmed"], vectors["heads"], atol=1e-6)
    assert np.abs(vectors["learned"] - vectors["heads"]).max() > 1e-3


def test_a_killed_run_goes_on_where_it_stood(small_model, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die(task: str, done: int, total: int | None = None) -> None:
        if task.partition("\t")[0] == "learn labels" and done >= 6:
            raise Killed

    settings = {**TRAINING, "epochs": 3, "checkpoint_every": 2, "log_every": 1}
    config = FinetuneConfig(training=settings)
    whole = finetune(small_model, [uses()], [USE], config, work=tmp_path / "a", target=tmp_path / "whole")
    with pytest.raises(Killed):
        finetune(small_model, [uses()], [USE], config, work=tmp_path / "b", target=tmp_path / "resumed", progress=die)
    assert not (tmp_path / "resumed").exists()

    resumed = finetune(small_model, [uses()], [USE], config, work=tmp_path / "b", target=tmp_path / "resumed")

    assert resumed.trained.n_examples < whole.trained.n_examples
    said = [TextModel.load(tmp_path / name).predict(["blue pan"])["use"] for name in ("whole", "resumed")]
    np.testing.assert_array_equal(*said)
