"""Heads share a backbone; what is not labelled does not count; the metrics and temperatures by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig

from aisle.errors import ConfigError
from aisle.evaluation.probability_metrics import calibration_error
from aisle.language.finetune_config import TaskConfig
from aisle.language.heads import Classification, TextClassifier, label_weights, logits_of
from aisle.language.label_metrics import measure, of_all_tasks
from aisle.language.labelled_texts import Truth
from aisle.language.model_folder import packaged_folder
from aisle.language.temperature import fit_share, fit_temperature, probabilities
from aisle.language.text_inputs import TokenInputs, VectorInputs

USE = TaskConfig(name="use", kind="classes", labels=("kitchen", "garden", "desk"), dropout=0.0)
GIFT = TaskConfig(name="gift", kind="binary", labels=("no", "yes"), weight=3.0, dropout=0.0)
MADE_OF = TaskConfig(name="made_of", kind="tags", labels=("steel", "wood"), dropout=0.0)


def truth(*rows: list[float] | None) -> Truth:
    """None where nothing is known."""
    width = next(len(row) for row in rows if row is not None)
    values = [[0.0] * width if row is None else row for row in rows]
    return Truth(np.array(values, dtype=np.float32), np.array([row is not None for row in rows]))


class Given(torch.nn.Module):
    """Says the same logits of whatever it reads."""

    def __init__(self, logits: dict[str, list[list[float]]]) -> None:
        super().__init__()
        self.logits = torch.nn.ParameterDict({name: torch.tensor(rows) for name, rows in logits.items()})

    def forward(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: rows[: len(vectors)] for name, rows in self.logits.items()}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(packaged_folder(), local_files_only=True)


@pytest.fixture
def backbone(tokenizer):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return AutoModel.from_config(BertConfig(vocab_size=len(tokenizer), **shape)).eval()


def test_the_loss_is_the_weighted_mean_of_tasks_over_labelled_examples_only() -> None:
    known = {
        "use": truth([1, 0, 0], None),
        "gift": truth([0, 1], [1, 0]),
        "made_of": truth(None, [1, 0]),
    }
    tasks = (USE, GIFT, MADE_OF)
    objective = Classification("c", VectorInputs(np.zeros((2, 4), np.float32)), known, tasks)
    model = Given(
        {
            "use": [[np.log(2.0), 0.0, 0.0], [9.0, 9.0, -9.0]],
            "gift": [[0.0, np.log(3.0)], [0.0, np.log(3.0)]],
            "made_of": [[-7.0, 7.0], [0.0, np.log(4.0)]],
        }
    )

    loss = objective.loss(model, objective.collate(np.array([0, 1]), np.random.default_rng(0)))

    # use: P(kitchen) = 2/4. gift: yes 3/4, no 1/4. made_of: steel 1/2; not wood 1/5.
    use, gift, made_of = np.log(2), -(np.log(3 / 4) + np.log(1 / 4)) / 2, -(np.log(1 / 2) + np.log(1 / 5)) / 2
    assert loss.item() == pytest.approx((use + 3 * gift + made_of) / 5, rel=1e-5)


def test_a_task_without_labels_in_a_batch_neither_counts_nor_learns(backbone, tokenizer) -> None:
    known = {"use": truth([1, 0, 0], [0, 1, 0], None), "gift": truth(None, None, [0, 1])}
    inputs = TokenInputs(tokenizer, backbone, ["a steel kettle", "a rake", "a lamp"], [None] * 3, 16)
    model = TextClassifier(backbone, "mean", (USE, GIFT))
    objective = Classification("c", inputs, known, (USE, GIFT))
    alone = Classification("c", inputs, {"use": known["use"]}, (USE,))

    rows = np.array([0, 1])
    loss = objective.loss(model, objective.collate(rows, np.random.default_rng(0)))
    loss.backward()

    assert loss.item() == pytest.approx(alone.loss(model, alone.collate(rows, np.random.default_rng(0))).item())
    use, gift = model.heads.linears[0].weight, model.heads.linears[1].weight
    assert use.grad is not None
    assert use.grad.abs().sum() > 0
    assert gift.grad is not None  # all processes exchange the same gradients
    assert gift.grad.abs().sum() == 0
    assert backbone.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_balanced_labels_count_alike() -> None:
    rows = truth([1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], None)
    balanced = USE.model_copy(update={"is_balanced": True})

    weights = label_weights(rows, balanced)

    assert weights[1].tolist() == pytest.approx([4 / 9, 4 / 3, 1.0])  # 3 x 4/9 = 1 x 4/3; the third has no example
    assert label_weights(rows, USE).tolist() == [[1, 1, 1], [1, 1, 1]]
    tags = label_weights(truth([1, 0], [1, 0], [1, 1], [0, 0]), MADE_OF.model_copy(update={"is_balanced": True}))
    np.testing.assert_allclose(tags, [[2.0, 4 / 6], [4 / 6, 2.0]], rtol=1e-6)


def test_padding_and_order_change_nothing(backbone, tokenizer) -> None:
    texts = ["rake", "a very long description of a steel kettle with a lid and a handle", "oak desk lamp", ""]
    second = [None, "kettle", "lamp", None]
    for pooling in ("mean", "cls", "max"):
        model = TextClassifier(backbone, pooling, (USE, GIFT, MADE_OF)).eval()
        together = logits_of(model, TokenInputs(tokenizer, backbone, texts, second, 32), model.heads.tasks)
        for row, (text, other) in enumerate(zip(texts, second, strict=True)):
            alone = logits_of(model, TokenInputs(tokenizer, backbone, [text], [other], 32), model.heads.tasks)
            for task, values in alone.items():
                np.testing.assert_allclose(together[task][row], values[0], atol=1e-5)


def test_a_pair_is_read_as_two_texts_and_cut(backbone, tokenizer) -> None:
    inputs = TokenInputs(tokenizer, backbone, ["steel kettle", "rake " * 50], ["hot tea", None], 8)

    batch = inputs.batch(np.array([0, 1]))

    assert inputs.lengths.tolist() == [7, 8]
    assert tokenizer.decode(batch["input_ids"][0]) == "[CLS] steel kettle [SEP] hot tea [SEP] [PAD]"
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 0], [0] * 8]
    assert batch["attention_mask"].sum(dim=1).tolist() == [7, 8]


def test_metrics_by_hand() -> None:
    true = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    said = np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0]], dtype=np.float32)

    found = measure(true, said, is_one_of=True)

    assert found["accuracy"] == 3 / 4  # of equals the first is said
    assert found["macro_f1"] == pytest.approx((2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2)  # the third does not occur
    assert found["auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-np.log([0.6, 0.5, 0.8, 0.9]).mean(), rel=1e-6)

    true = np.array([[1, 0], [0, 0], [1, 1]], dtype=np.float32)
    said = np.array([[0.5, 0.3], [0.7, 0.1], [0.7, 0.2]], dtype=np.float32)
    found = measure(true, said, is_one_of=False)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["macro_f1"] == pytest.approx((2 * 2 / (2 + 3) + 0) / 2)
    assert found["auc"] == pytest.approx((0.5 / 2 + 1 / 2) / 2)
    assert found["log_loss"] == pytest.approx(-np.log([0.5, 0.7, 0.3, 0.9, 0.7, 0.2]).mean(), rel=1e-6)
    assert found["calibration_error"] == pytest.approx(calibration_error(true.ravel(), said.ravel()))
    assert measure(true[:1], said[:1], is_one_of=False)["auc"] == 0.5


def test_the_error_of_calibration_is_that_of_the_likeliest_label() -> None:
    rng = np.random.default_rng(3)
    said = rng.dirichlet([1.0, 1.0, 1.0], 200).astype(np.float32)
    true = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 200)]

    found = measure(true, said, is_one_of=True)["calibration_error"]

    right = true[np.arange(200), said.argmax(axis=1)]
    assert found == pytest.approx(calibration_error(right, said.max(axis=1)), rel=1e-6)
    assert found > 0.2  # two thirds of the sure answers are wrong
    by_hand = np.array([[0.8, 0.2]] * 5, dtype=np.float32)
    assert measure(np.eye(2, dtype=np.float32)[[0, 0, 0, 0, 1]], by_hand, is_one_of=True)["calibration_error"] < 1e-6


def test_the_mean_over_tasks_is_weighted() -> None:
    told = of_all_tasks({"use": {"auc": 1.0}, "gift": {"auc": 0.6}}, [1.0, 3.0])

    assert told == pytest.approx({"use/auc": 1.0, "gift/auc": 0.6, "auc": 0.7})


@pytest.mark.parametrize("is_one_of", [True, False])
def test_the_temperature_undoes_what_makes_a_model_too_sure(is_one_of: bool) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4_000, 3)).astype(np.float32) * 1.5
    chances = probabilities(logits, 1.0, is_one_of=is_one_of)
    if is_one_of:
        values = np.eye(3, dtype=np.float32)[[rng.choice(3, p=row / row.sum()) for row in chances.astype(np.float64)]]
    else:
        values = (rng.random(chances.shape) < chances).astype(np.float32)
    known, weights = Truth(values, np.ones(4_000, dtype=np.bool_)), np.ones((2, 3), dtype=np.float32)

    for factor in (0.5, 1.0, 4.0):
        assert fit_temperature(factor * logits, known, weights, is_one_of=is_one_of) == pytest.approx(factor, rel=0.06)


def test_few_faultless_examples_claim_no_certainty() -> None:
    logits = np.array([[0.0, 1.0], [1.0, 0.0]] * 4, dtype=np.float32)
    known = Truth((logits > 0.5).astype(np.float32), np.ones(8, dtype=np.bool_))

    temperature = fit_temperature(logits, known, np.ones((2, 2), dtype=np.float32), is_one_of=True)

    # softened truth is (8 + 1) / (8 + 2), which a temperature near 1 is preferred to
    assert 1 / (1 + np.exp(-1.0)) < probabilities(logits, temperature, is_one_of=True)[0, 1] < 0.9
    tried = np.exp(np.linspace(-3, 3, 6_001))  # by brute force
    sure = 1 / (1 + np.exp(-1 / tried))
    losses = -8 * (0.9 * np.log(sure) + 0.1 * np.log(1 - sure)) + np.log(tried) ** 2 / 2
    assert temperature == pytest.approx(tried[losses.argmin()], rel=1e-2)
    nothing = Truth(known.values, np.zeros(8, dtype=np.bool_))
    assert fit_temperature(logits, nothing, np.ones((2, 2), dtype=np.float32), is_one_of=True) == 1.0


def test_few_examples_of_many_labels_leave_a_good_model_sure() -> None:
    """One imagined example of each of 27 labels would say more than 14 real ones."""
    rng = np.random.default_rng(0)
    right = np.arange(14)
    logits = (rng.normal(size=(14, 27)) + 8.0 * np.eye(27)[right]).astype(np.float32)
    known = Truth(np.eye(27, dtype=np.float32)[right], np.ones(14, dtype=np.bool_))

    temperature = fit_temperature(logits, known, np.ones((2, 27), dtype=np.float32), is_one_of=True)

    assert 0.7 < probabilities(logits, temperature, is_one_of=True)[right, right].mean() < 0.98


def test_a_share_follows_what_each_model_tells() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(3, size=600)
    values = np.eye(3, dtype=np.float32)[right]
    tells = (2.0 * values + rng.normal(size=values.shape)).astype(np.float32)
    guesses = rng.normal(size=values.shape).astype(np.float32)
    weights = np.ones((2, 3), dtype=np.float32)

    def share(one: np.ndarray, other: np.ndarray, n: int) -> float:
        return fit_share(one[:n], other[:n], Truth(values[:n], np.ones(n, dtype=np.bool_)), weights, is_one_of=True)

    assert share(tells, guesses, 600) > 0.9
    assert share(guesses, tells, 600) < 0.1
    assert 0.5 < share(tells, guesses, 10) < share(tells, guesses, 100) < share(tells, guesses, 600)
    again = (2.0 * values + rng.normal(size=values.shape)).astype(np.float32)
    assert share(tells, again, 600) == pytest.approx(0.5, abs=0.1)
    assert share(tells, guesses, 0) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"labels": ("no",)}, "takes 2 labels"),
        ({"labels": ("a", "a")}, "named twice"),
        ({"kind": "classes", "labels": ("a",)}, "2 labels"),
        ({"name": "a:b"}, "name = 'a:b'"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(wrong: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        TaskConfig.parse({"name": "gift", "kind": "binary", "labels": ("no", "yes"), **wrong}, "task")
