"""Fine-tuned models in memory: one language model for all that began from it, asked by many threads at once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from aisle.errors import ConfigError, CorruptError
from aisle.language.adapter_config import AdapterConfig, Method
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import ModelFolder, open_model_folder, packaged_folder
from aisle.language.text_model import TextModel
from aisle.language.text_models import TextModels

USE = TaskConfig(name="use", kind="classes", labels=("kitchen", "desk"))
COLOUR = TaskConfig(name="is_red", kind="binary", labels=("no", "yes"))
WORDS = {"kitchen": ("kettle", "pan", "spoon", "cup"), "desk": ("lamp", "pencil", "paper", "ink")}
COLOURS = ("red", "blue", "green", "black")
TEXTS = [f"{colour} {word}" for words in WORDS.values() for word in words for colour in COLOURS]
LABELS = {
    "use": [use for use, words in WORDS.items() for _ in words for _ in COLOURS],
    "is_red": ["yes" if text.startswith("red") else "no" for text in TEXTS],
}
ASKED = [f"{text}{' and more' * (place % 5)}" for place, text in enumerate(TEXTS * 3)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The packaged vocabulary and a network of two thin layers, untrained."""
    folder = tmp_path_factory.mktemp("models") / "thin"
    shutil.copytree(packaged_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(folder)  # type: ignore[arg-type]
    return open_model_folder(str(folder))


@pytest.fixture(scope="module")
def taught(plain, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Method | None, TaskConfig], Path]:
    """Folders of models that began from ``plain``; None for heads alone. Each is made once."""
    root = tmp_path_factory.mktemp("taught")

    def make(name: str, method: Method | None, task: TaskConfig) -> Path:
        if not (root / name).exists():
            config = FinetuneConfig(
                trained="heads" if method is None else "all",
                adapter=AdapterConfig(method=method or "full", rank=2, prefix_length=4),
                keeps_adapter=True,
                heads_first=False,
                validation_share=0.2,
                metric="accuracy",
                training={"trackers": [], "learning_rate": 3e-2, "max_steps": 60, "batch_size": 16, "patience": 99},
            )
            table = LabelledTexts(name, TEXTS, {task.name: LABELS[task.name]})
            finetune(plain, [table], [task], config, work=root / "w", target=root / name)
        return root / name

    return make


def alone(folder: Path) -> np.ndarray:
    """What a model says that shares nothing."""
    model = TextModel.load(folder, device="cpu")
    return model.predict(ASKED)[model.tasks[0].name]


def test_models_that_began_from_one_language_model_share_it(taught) -> None:
    models = TextModels(device="cpu")
    folders = [
        taught("heads", None, USE),
        taught("prefix", "prefix", USE),
        taught("bottleneck", "bottleneck", COLOUR),
        taught("lora", "lora", COLOUR),
    ]
    opened = [models.open(folder.name, folder) for folder in folders]

    assert models.n_backbones == 1
    for folder, model in zip(folders, opened, strict=True):
        np.testing.assert_allclose(model.predict(ASKED)[model.tasks[0].name], alone(folder), atol=1e-6)
    words = {
        tensor.data_ptr()
        for model in opened
        for name, tensor in model._classifier.named_parameters()
        if name.endswith("word_embeddings.weight")
    }
    assert len(words) == 1

    whole = taught("whole", "full", USE)
    np.testing.assert_allclose(models.open("whole", whole).predict(ASKED)["use"], alone(whole), atol=1e-6)
    assert models.n_backbones == 2


@pytest.mark.parametrize("methods", [("prefix", "bottleneck"), ("lora", "prefix"), (None, "lora")])
def test_threads_that_ask_different_adapters_get_what_each_says_alone(taught, methods) -> None:
    folders = [
        taught(str(method or "heads") + "-" + task.name, method, task)
        for method, task in zip(methods, (USE, COLOUR), strict=True)
    ]
    expected = [alone(folder) for folder in folders]
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    models = TextModels(device="cpu")
    start = threading.Barrier(8)

    def ask(thread: int) -> float:
        start.wait()
        worst = 0.0
        for turn in range(6):
            which = (thread + turn) % 2
            model = models.open(folders[which].name, folders[which])
            rows = slice(thread, thread + 20)
            found = model.predict(ASKED[rows])[model.tasks[0].name]
            worst = max(worst, float(np.abs(found - expected[which][rows]).max()))
        return worst

    with ThreadPoolExecutor(8) as threads:
        differences = list(threads.map(ask, range(8)))

    assert max(differences) < 1e-5
    assert models.n_backbones == 1


def test_a_new_version_takes_the_place_of_the_old_and_what_is_not_asked_for_is_let_go_of(taught) -> None:
    models = TextModels(most_opened=2, device="cpu")
    prefix, heads, whole = taught("prefix", "prefix", USE), taught("heads", None, USE), taught("whole", "full", USE)

    first = models.open("use", whole)
    assert models.open("use", whole) is first
    second = models.open("use", prefix)
    assert second is not first
    assert models.n_backbones == 1  # the whole model's is gone
    np.testing.assert_allclose(first.predict(ASKED)["use"], alone(whole), atol=1e-6)  # whoever has it keeps it

    models.open("other", heads)
    assert models.open("use", prefix) is second
    models.open("third", whole)  # "other" was asked for longest ago
    assert models.n_backbones == 2
    assert models.open("use", prefix) is second
    again = models.open("other", heads)
    np.testing.assert_allclose(again.predict(ASKED)["use"], alone(heads), atol=1e-6)
    assert models.n_backbones == 1  # "third" went


def test_many_threads_open_one_model_once(taught) -> None:
    models = TextModels(device="cpu")
    folder = taught("prefix", "prefix", USE)
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: models.open("use", folder), range(16)))

    assert len(set(map(id, opened))) == 1


def test_what_is_no_model_is_refused_and_opens_nothing(taught, tmp_path) -> None:
    models = TextModels(device="cpu")
    with pytest.raises(ConfigError, match="is no fine-tuned model"):
        models.open("x", tmp_path)
    shutil.copytree(taught("prefix", "prefix", USE), tmp_path / "damaged")
    (tmp_path / "damaged" / "heads.safetensors").write_bytes(b"nothing")
    with pytest.raises(CorruptError, match="is damaged"):
        models.open("x", tmp_path / "damaged")
    assert models.n_backbones == 0


def test_a_lora_adapter_that_was_kept_is_begun_from(plain, taught, tmp_path) -> None:
    folder = taught("lora", "lora", COLOUR)
    assert (folder / "adapter").is_dir()
    config = FinetuneConfig(trained="heads", validation_share=0.2, training={"trackers": [], "max_steps": 1})
    table = LabelledTexts("uses", TEXTS, {"use": LABELS["use"]})

    finetune(plain, [table], [USE], config, work=tmp_path / "w", target=tmp_path / "m", start_from=folder)

    vectors = [TextModel.load(one).vectors(TEXTS[:4]) for one in (folder, tmp_path / "m")]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
