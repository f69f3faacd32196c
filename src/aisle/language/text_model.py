"""A fine-tuned model in its folder: written once, opened to tell labels of texts.

backbone/            the language model and its tokenizer, as transformers reads them
adapter/             what was trained beside it, where that cannot become part of it
heads.safetensors    one linear head a task
ngrams.safetensors   the linear model over n-grams whose logits are added to the heads', where one was learned
classifier.json      tasks, temperatures, tokens read
checksums.json       of all of these; written last, so that half a folder is a damaged one
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import AisleError, ConfigError, CorruptError, DataError, UnavailableError
from aisle.language.adapter_config import AdapterConfig
from aisle.language.adapter_folder import read_adapter, write_adapter
from aisle.language.adapters import UNMERGEABLE, merged
from aisle.language.finetune_config import TaskConfig
from aisle.language.heads import TextClassifier, logits_of, vectors_of
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.ngram_model import NgramModel, read_ngrams, write_ngrams
from aisle.language.temperature import probabilities
from aisle.language.text_inputs import TokenInputs
from aisle.language.tower import TextTower, open_tokenizer, open_tower, save_tower
from aisle.settings import Config
from aisle.storage.checksums import check_files, write_checksums

_BACKBONE, _HEADS, _NGRAMS, _ABOUT = "backbone", "heads.safetensors", "ngrams.safetensors", "classifier.json"
ADAPTER = "adapter"
"""What was trained beside the language model, in a fine-tuned model's folder."""
_FORM = 1


class About(Config):
    """What ``classifier.json`` holds."""

    form: int = Field(default=_FORM, ge=_FORM, le=_FORM)
    """Of the folder; others are refused."""
    tasks: tuple[TaskConfig, ...] = Field(min_length=1)
    """What the heads tell, in their order."""
    temperatures: Mapping[str, float]
    """By task, what logits are divided by, those of n-grams added."""
    max_tokens: int = Field(ge=1)
    """Tokens read of a text or pair."""


class TextModel:
    """Tells labels of texts, with calibrated probabilities. Safe to use from several threads."""

    def __init__(
        self, classifier: TextClassifier, tokenizer: Any, about: About, ngrams: NgramModel | None = None
    ) -> None:
        """``load`` opens one from its folder."""
        self._classifier = classifier.eval()
        self._tokenizer, self._about, self._ngrams = tokenizer, about, ngrams
        self._tokenizing = threading.Lock()  # a tokenizer is told how long texts may be on every call

    @property
    def tasks(self) -> tuple[TaskConfig, ...]:
        """What it tells; probabilities are in the order of each task's ``labels``."""
        return self._about.tasks

    @classmethod
    def load(cls, folder: Path, *, device: str | None = None, tower: TextTower | None = None) -> Self:
        """Open what ``finetune`` wrote.

        Args:
            folder: its target.
            device: a torch device; None takes the GPU where there is one.
            tower: the language model of ``folder``, with the adapter that lies beside it, where it is in memory
                already (``text_models``); None opens both.

        Raises:
            ConfigError: there is no such folder.
            CorruptError: the folder is damaged.
        """
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder; name one that a model was fine-tuned into")
        try:
            check_files(folder)
            about = About.parse(json.loads((folder / _ABOUT).read_text(encoding="utf-8")), _ABOUT)
            if tower is None:
                tower, tokenizer = open_tower(open_model_folder(str(folder / _BACKBONE)))
                if (folder / ADAPTER).is_dir():
                    tower = TextTower(read_adapter(tower.model, folder / ADAPTER), tower.pooling)
            else:
                tokenizer = open_tokenizer(open_model_folder(str(folder / _BACKBONE)))
            classifier = TextClassifier(tower.model, tower.pooling, about.tasks)
            classifier.heads.load_state_dict(load_file(folder / _HEADS))
            ngrams = read_ngrams(folder / _NGRAMS, about.tasks) if (folder / _NGRAMS).is_file() else None
        except UnavailableError:
            raise
        except (AisleError, OSError, ValueError, RuntimeError) as error:
            raise _damaged(folder, error) from error
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(classifier.to(device), tokenizer, about, ngrams)

    def predict(
        self, texts: Sequence[str], second: Sequence[str | None] | None = None, *, progress: Progress = silent
    ) -> dict[str, Float32Array]:
        """Probabilities of labels, by task.

        Args:
            texts: (n,) such as item texts.
            second: (n,) what each is looked at together with, as in training; None for nothing.
            progress: hears of texts.

        Returns:
            (n, n_labels) float32 each, rows as in ``texts``; they sum to 1 but for tags.

        Raises:
            DataError: ``second`` is not as long as ``texts``.
        """
        if second is not None and len(second) != len(texts):
            raise DataError(
                f"{len(texts)} texts and {len(second)} second texts; give one each, None where there is none"
            )
        others = [None] * len(texts) if second is None else second
        inputs = self._inputs(texts, others)
        logits = logits_of(self._classifier, inputs, self.tasks, progress)
        if self._ngrams is not None:
            beside = self._ngrams.logits(texts, others)
            logits = {name: found + beside[name] for name, found in logits.items()}
        return {
            task.name: probabilities(logits[task.name], self._about.temperatures[task.name], is_one_of=task.is_one_of)
            for task in self.tasks
        }

    def vectors(self, texts: Sequence[str], *, progress: Progress = silent) -> Float32Array:
        """(n, d) float32, what the heads look at."""
        return vectors_of(self._classifier, self._inputs(texts, [None] * len(texts)), progress)

    def _inputs(self, texts: Sequence[str], second: Sequence[str | None]) -> TokenInputs:
        with self._tokenizing:
            return TokenInputs(self._tokenizer, self._classifier.backbone, texts, second, self._about.max_tokens)


def is_text_model(folder: Path) -> bool:
    """Whether a fine-tuned model was written to ``folder``, whole or damaged."""
    return (folder / _ABOUT).is_file()


def backbone_in(folder: Path) -> ModelFolder:
    """The language model of a fine-tuned model, without what may lie beside it in ``ADAPTER``.

    Raises:
        ConfigError: ``folder`` is no fine-tuned model.
        CorruptError: it is damaged.
    """
    if not is_text_model(folder):
        raise ConfigError(f"{folder} is no fine-tuned model; name a folder that a model was fine-tuned into")
    try:
        check_files(folder)
        return open_model_folder(str(folder / _BACKBONE))
    except UnavailableError:
        raise
    except AisleError as error:
        raise _damaged(folder, error) from error


def begin_heads(classifier: TextClassifier, folder: Path) -> set[str]:
    """Take over the heads in ``folder`` whose task has the same name, kind and labels as one of ``classifier``.

    Returns:
        The names of these tasks.
    """
    about = About.parse(json.loads((folder / _ABOUT).read_text(encoding="utf-8")), _ABOUT)
    weights = load_file(folder / _HEADS)
    places = {(task.name, task.kind, task.labels): place for place, task in enumerate(about.tasks)}
    own, taken = classifier.heads.state_dict(), set[str]()
    for place, task in enumerate(classifier.heads.tasks):
        there = places.get((task.name, task.kind, task.labels))
        if there is not None:
            taken.add(task.name)
            for part in ("weight", "bias"):
                own[f"linears.{place}.{part}"] = weights[f"linears.{there}.{part}"]
    classifier.heads.load_state_dict(own)
    return taken


def write_text_model(
    classifier: TextClassifier,
    like: ModelFolder,
    about: About,
    target: Path,
    adapter: AdapterConfig | None = None,
    plain: Callable[[], TextTower] | None = None,
    *,
    ngrams: NgramModel | None = None,
    is_apart: bool = False,
) -> None:
    """Fill ``target``, which is empty or not there.

    Args:
        classifier: what was trained.
        like: what the backbone was opened from.
        about: tasks and what was measured.
        target: a folder.
        adapter: what the backbone was trained with; it becomes part of it, or is written beside it.
        plain: opens the language model that an adapter lies beside; None opens ``like``.
        ngrams: what is learned of n-grams, for its logits to be added as they are.
        is_apart: whether an adapter lies beside it that could become part of it.

    Raises:
        ConfigError: ``target`` holds something.
        UnavailableError: the disk does not take it.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is not an empty folder; name one that is empty or not there yet")
    try:
        (target / _BACKBONE).mkdir(parents=True)
        if adapter is not None and (adapter.method in UNMERGEABLE or (is_apart and adapter.method != "full")):
            write_adapter(classifier.backbone, adapter, target / ADAPTER)
            tower = open_tower(like)[0] if plain is None else plain()
        else:
            tower = TextTower(merged(classifier.backbone), classifier.pooling)
        save_tower(tower, like, target / _BACKBONE)
        heads = {name: one.detach().cpu().contiguous() for name, one in classifier.heads.state_dict().items()}
        save_file(heads, target / _HEADS)
        if ngrams is not None:
            write_ngrams(ngrams, target / _NGRAMS)
        (target / _ABOUT).write_text(json.dumps(about.model_dump(mode="json"), indent=1), encoding="utf-8")
        files = sorted(file.relative_to(target).as_posix() for file in target.rglob("*") if file.is_file())
        write_checksums(target, files)
    except OSError as error:
        raise UnavailableError(
            f"the fine-tuned model cannot be written to {target}: {error}; free space, empty it and run again"
        ) from error


def _damaged(folder: Path, error: Exception) -> CorruptError:
    path = getattr(error, "path", None) or str(folder)
    why = str(error).split("; run `aisle train`")[0]
    return CorruptError(
        f"the fine-tuned model {folder} is damaged: {why}; fine-tune it again, or put back a copy", path=path
    )
