"""What a fine-tuning begins from: a plain language model, an earlier fine-tuned model, or an adapter on a model.

Enters: a model's folder and, where wanted, the folder of an earlier model or adapter. Leaves: the network to train.
Knows nothing of texts and of how long to learn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from aisle.errors import ConfigError
from aisle.language.adapter_config import AdapterConfig
from aisle.language.adapter_folder import is_adapter, read_adapter, read_config
from aisle.language.adapters import UNMERGEABLE, adapted, merged
from aisle.language.heads import TextClassifier
from aisle.language.model_folder import ModelFolder
from aisle.language.text_model import ADAPTER, backbone_in, begin_heads, is_text_model
from aisle.language.tower import TextTower, open_tower

_SIZE_OF = {"prefix": "prefix_length", "bottleneck": "bottleneck_width"}


@dataclass(frozen=True)
class Beginning:
    """Where weights come from; nothing is opened yet."""

    model_folder: ModelFolder
    """The plain language model."""
    adapter: Path | None = None
    """What lies on it."""
    fine_tuned: Path | None = None
    """The earlier fine-tuned model whose heads are begun from, where tasks agree."""

    def plain(self) -> tuple[TextTower, Any]:
        """The language model without anything beside it, and its tokenizer: an adapter that can is part of it.

        Raises:
            ConfigError: the adapter is one of another model.
            CorruptError: it is damaged.
        """
        tower, tokenizer = open_tower(self.model_folder)
        if self.adapter is None or self._beside() is not None:
            return tower, tokenizer
        return TextTower(merged(read_adapter(tower.model, self.adapter)), tower.pooling), tokenizer

    def kept(self, wanted: AdapterConfig, *, is_trained: bool) -> AdapterConfig | None:
        """The adapter beside the language model at the end, None for none.

        Args:
            wanted: the adapter that the settings name.
            is_trained: whether the language model learns, or the heads only.

        Raises:
            ConfigError: there is an adapter that cannot be merged, and another is wanted.
        """
        beside = self._beside()
        if beside is None:
            return wanted if is_trained else None
        if not is_trained:
            return beside
        size = _SIZE_OF[beside.method]
        if wanted.method != beside.method or getattr(wanted, size) != getattr(beside, size):
            raise ConfigError(
                f'{self.adapter} is an adapter.method = "{beside.method}" with {size} = {getattr(beside, size)}, which '
                f'cannot become part of its model, and adapter.method = "{wanted.method}" is wanted; set these two '
                'alike, or trained = "heads", or begin from a model that learned by "full", "lora" or "adalora"',
                setting="finetune.adapter.method",
            )
        return beside

    def network(
        self, model: Any, kept: AdapterConfig | None, n_steps: int, seed: int, *, is_trained: bool
    ) -> nn.Module:
        """The language model with what is trained in it; ``model`` is that of ``plain`` and is changed."""
        if self._beside() is not None:
            assert self.adapter is not None
            return read_adapter(model, self.adapter, is_trainable=is_trained)
        return model if kept is None else adapted(model, kept, n_steps, seed=seed)

    def begin_heads(self, classifier: TextClassifier) -> set[str]:
        """Take over the heads of tasks that agree, and name these."""
        return set() if self.fine_tuned is None else begin_heads(classifier, self.fine_tuned)

    def digest(self) -> str:
        """Tells these weights from others."""
        told = [self.model_folder.digest]
        for folder in (self.adapter, self.fine_tuned):
            told.append("" if folder is None else (folder / "checksums.json").read_text(encoding="utf-8"))
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def _beside(self) -> AdapterConfig | None:
        """What lies beside the language model and cannot become part of it."""
        if self.adapter is None:
            return None
        config = read_config(self.adapter)
        return config if config.method in UNMERGEABLE else None


def beginning(model_folder: ModelFolder, start_from: Path | None) -> Beginning:
    """Where to begin.

    Args:
        model_folder: the model; of an adapter the one that it was trained on.
        start_from: a folder of ``finetuning.finetune``, whose language model is taken in place of ``model_folder``, or
            of ``adapter_folder.write_adapter``; None begins from the model alone.

    Raises:
        ConfigError: ``start_from`` is neither.
        CorruptError: it is damaged.
    """
    if start_from is None:
        return Beginning(model_folder)
    if is_text_model(start_from):
        adapter = start_from / ADAPTER
        return Beginning(backbone_in(start_from), adapter if adapter.is_dir() else None, start_from)
    if is_adapter(start_from):
        return Beginning(model_folder, start_from)
    raise ConfigError(
        f"{start_from} is no fine-tuned model and no adapter; name a folder that one was trained into",
        setting="start_from",
    )
