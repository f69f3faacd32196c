"""Asks a shop's fine-tuned models about texts: each opened once, and again where another version was put into service.

Enters: a model's name and texts. Leaves: probabilities of labels. Torch is loaded by the first question.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aisle.contracts import ArtifactStore, Float32Array, Manifest
from aisle.flows.finetune import current, kept_as, names_kept
from aisle.language.finetune_config import TaskConfig

if TYPE_CHECKING:
    from aisle.language.text_model import TextModel
    from aisle.language.text_models import TextModels


@dataclass(frozen=True)
class Classifier:
    """One version of a model, whatever is put into service meanwhile. Safe to use from several threads."""

    name: str
    version: str
    model: TextModel

    @property
    def tasks(self) -> tuple[TaskConfig, ...]:
        """What it tells."""
        return self.model.tasks

    def classify(self, texts: Sequence[str], second: Sequence[str | None] | None = None) -> dict[str, Float32Array]:
        """Probabilities by task, (n, n_labels) in the order of its ``labels``; see ``TextModel.predict``."""
        return self.model.predict(texts, second)


class Classifiers:
    """The fine-tuned models of a shop. Safe to use from several threads."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._checked: dict[str, tuple[str, Path]] = {}
        """By name the version that was looked for damage, and its folder."""
        self._models: TextModels | None = None
        self._lock = threading.Lock()

    @property
    def n_language_models(self) -> int:
        """In memory; models that began from one and have heads or an adapter beside it share it."""
        return 0 if self._models is None else self._models.n_backbones

    def names(self) -> list[str]:
        """Of the models that answer, in alphabetical order."""
        return names_kept(self._artifacts)

    def about(self) -> Mapping[str, tuple[Manifest, tuple[TaskConfig, ...]]]:
        """By name what is known of the version that answers, and what it tells; no model is opened."""
        found = {}
        for name in self.names():
            version = self._artifacts.promoted(kept_as(name))
            for manifest in self._artifacts.versions(kept_as(name)):
                if manifest.version == version:
                    tasks = tuple(TaskConfig.parse(task, f"task of {name}") for task in manifest.config["tasks"])
                    found[name] = (manifest, tasks)
        return found

    def open(self, name: str) -> Classifier:
        """The model that answers now; the first time it is loaded, in some seconds.

        Raises:
            NotReadyError: there is none of this name.
            CorruptError: it is damaged.
        """
        from aisle.language.text_models import TextModels  # brings torch

        with self._lock:
            models = self._models = self._models or TextModels()
        checked = self._checked.get(name)
        if checked is None or checked[0] != self._artifacts.promoted(kept_as(name)):
            folder, manifest = current(name, self._artifacts)
            checked = self._checked[name] = (manifest.version, folder)
        version, folder = checked
        return Classifier(name, version, models.open(name, folder))
