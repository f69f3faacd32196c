"""Several adapters over one loaded model, chosen for each request."""

from __future__ import annotations

import copy
import itertools
import threading
from pathlib import Path
from typing import Any

from aisle.errors import ConfigError, unknown_name
from aisle.language.adapter_folder import read_adapter, read_config
from aisle.language.model_folder import Pooling
from aisle.language.tower import TextTower


class AdapterSet:
    """Adapters by name over one model; nothing is switched, so requests of any threads run side by side.

    Every adapter has modules of its own whose weights are the one model's tensors: an adapter costs its own weights and
    about as many small objects as the model has layers. ``add`` and ``remove`` may run while others answer.
    """

    def __init__(self, model: Any, pooling: Pooling) -> None:
        """``model`` is a plain transformers model; it is frozen and must not be trained meanwhile."""
        self._model = model.requires_grad_(False).eval()
        self._pooling: Pooling = pooling
        self._plain = TextTower(self._model, pooling).eval()
        self._towers: dict[str, TextTower] = {}
        self._changing = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the adapters, sorted."""
        return tuple(sorted(self._towers))

    def add(self, name: str, folder: Path) -> None:
        """Load the adapter in ``folder`` as ``name``; requests from now on get it in place of one of that name.

        Raises:
            ConfigError: it is no adapter of this model, or it changes the whole model.
            CorruptError: it is damaged.
        """
        if read_config(folder).method == "full":
            raise ConfigError(
                f'{folder} has adapter.method = "full": it changes every weight and cannot share a model; serve it as '
                "a model of its own",
                setting="adapter.method",
            )
        tower = TextTower(read_adapter(_sharing_weights(self._model), folder), self._pooling).eval()
        with self._changing:
            self._towers = {**self._towers, name: tower}

    def remove(self, name: str) -> None:
        """Forget an adapter; requests that have its tower finish.

        Raises:
            ConfigError: there is none of this name.
        """
        with self._changing:
            self.tower(name)
            self._towers = {other: tower for other, tower in self._towers.items() if other != name}

    def tower(self, name: str | None) -> TextTower:
        """The network for one request: the model with the adapter ``name``, or without any for None.

        Raises:
            ConfigError: there is none of this name.
        """
        if name is None:
            return self._plain
        found = self._towers.get(name)
        if found is None:
            raise ConfigError(unknown_name("adapter", name, self._towers))
        return found


def _sharing_weights(model: Any) -> Any:
    """A copy of the modules of ``model`` with the very same parameters and buffers."""
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
