"""Fine-tuned models by name, opened once; those over the same language model share its weights in memory.

Enters: names and folders of fine-tuned models. Leaves: ``TextModel``s that threads ask side by side. Which version of a
model answers is for the caller to say.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch

from aisle.language.adapter_set import AdapterSet
from aisle.language.text_model import ADAPTER, TextModel, backbone_in
from aisle.language.tower import open_tower

MOST_OPENED = 16
"""Models that stay in memory; of more, the one that was not asked for longest is let go of."""


@dataclass(frozen=True)
class _Opened:
    folder: Path
    digest: str
    """Of the language model."""
    model: TextModel


class TextModels:
    """Safe to use from several threads. Nothing is switched: every model has modules of its own over shared tensors.

    A model of heads alone, or with an adapter that lies beside its language model, costs its own weights; one whose
    language model learned costs that too.
    """

    def __init__(self, most_opened: int = MOST_OPENED, *, device: str | None = None) -> None:
        """``device`` is a torch device; None takes the GPU where there is one."""
        self._most = most_opened
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._backbones: dict[str, AdapterSet] = {}
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    @property
    def n_backbones(self) -> int:
        """Language models in memory."""
        return len(self._backbones)

    def open(self, name: str, folder: Path) -> TextModel:
        """The model in ``folder``, known as ``name``; one of that name in another folder is let go of.

        Whoever has a model keeps it as long as they need.

        Raises:
            ConfigError: there is no such folder.
            CorruptError: it is damaged.
        """
        found = self._found(name, folder)
        if found is not None:
            return found
        with self._opening:  # one at a time: others may be about to open the same
            found = self._found(name, folder)
            return found if found is not None else self._open(name, folder)

    def _found(self, name: str, folder: Path) -> TextModel | None:
        with self._lock:
            known = self._opened.get(name)
            if known is None or known.folder != folder:
                return None
            self._opened.move_to_end(name)
            return known.model

    def _open(self, name: str, folder: Path) -> TextModel:
        plain = backbone_in(folder)
        shared = self._backbones.get(plain.digest)
        if shared is None:
            tower, _ = open_tower(plain)
            shared = AdapterSet(tower.model.to(self._device), tower.pooling)
        key = str(folder)
        if (folder / ADAPTER).is_dir():
            shared.add(key, folder / ADAPTER)
            tower = shared.tower(key)
        else:
            tower = shared.tower(None)
        model = TextModel.load(folder, device=self._device, tower=tower)
        with self._lock:
            let_go = [self._opened.pop(name)] if name in self._opened else []
            self._opened[name] = _Opened(folder, plain.digest, model)
            self._backbones[plain.digest] = shared
            while len(self._opened) > self._most:
                let_go.append(self._opened.popitem(last=False)[1])
            for one in let_go:
                self._let_go(one)
        return model

    def _let_go(self, one: _Opened) -> None:
        shared = self._backbones[one.digest]
        if str(one.folder) in shared.names:
            shared.remove(str(one.folder))
        if all(other.digest != one.digest for other in self._opened.values()):
            del self._backbones[one.digest]
