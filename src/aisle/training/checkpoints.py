"""What a killed run goes on from: weights, the optimiser's state, and where it stood.

A checkpoint is written aside, flushed to the disk and renamed in one step, so that it survives a power cut; tensors are
safetensors, the rest JSON, checksums beside them.
Random numbers need no state: every step draws from its own seed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from aisle.errors import ConfigError, CorruptError, UnavailableError
from aisle.storage.checksums import check_files, write_checksums
from aisle.storage.durable import move

_FILES = ("model.safetensors", "optimiser.safetensors", "progress.json")
_NAME = re.compile(r"step-(\d{8})")
_KEPT = 2
"""Checkpoints that are kept; a damaged newest one leaves the one before it."""


@dataclass
class Standing:
    """How far a run has come. JSON values only."""

    run: str
    """Tells whose checkpoint it is: settings, data and model."""
    step: int = 0
    best_step: int = 0
    best_value: float | None = None
    n_without_gain: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    best_metrics: dict[str, float] = field(default_factory=dict)


def write_checkpoint(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing) -> None:
    """Write ``folder/step-...``; older ones but the last go.

    Raises:
        UnavailableError: the disk does not take it.
    """
    target = folder / f"step-{standing.step:08d}"
    aside = folder / f".{target.name}.{os.getpid()}"
    try:
        aside.mkdir(parents=True, exist_ok=True)
        save_file(trainable_state(model), aside / _FILES[0])
        save_file(_optimiser_tensors(optimiser), aside / _FILES[1])
        (aside / _FILES[2]).write_text(json.dumps(asdict(standing)), encoding="utf-8")
        write_checksums(aside, _FILES)
        if target.exists():
            shutil.rmtree(target)
        move(aside, target)
        for old in checkpoints_in(folder)[:-_KEPT]:
            shutil.rmtree(old)
    except OSError as error:
        raise UnavailableError(
            f"the checkpoint {target} cannot be written: {error}; free space and run again"
        ) from error


def read_checkpoint(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, run: str) -> Standing | None:
    """Put the newest checkpoint back into ``model`` and ``optimiser``; None where there is none.

    Raises:
        CorruptError: it is damaged.
        ConfigError: it belongs to a run with other settings, data or model.
    """
    found = checkpoints_in(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        check_files(newest)
        standing = Standing(**json.loads((newest / _FILES[2]).read_text(encoding="utf-8")))
    except (CorruptError, OSError, ValueError, TypeError) as error:
        raise CorruptError(
            f"the checkpoint {newest} is damaged ({error}); delete it to go on from the one before it, or delete "
            f"{folder} to start anew",
            path=str(newest),
        ) from error
    if standing.run != run:
        raise ConfigError(
            f"{newest} was written by a run with other settings, other data or another model; go on with those, or "
            f"delete {folder} to start anew"
        )
    load_trainable(model, load_file(newest / _FILES[0]))
    _restore(optimiser, load_file(newest / _FILES[1]))
    return standing


def write_best(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Keep the best weights so far in ``folder/best``; the ones before stay until these are whole."""
    aside = folder / f".best.{os.getpid()}"
    aside.mkdir(parents=True, exist_ok=True)
    save_file(state, aside / _FILES[0])
    write_checksums(aside, _FILES[:1])
    shutil.rmtree(folder / "best", ignore_errors=True)
    move(aside, folder / "best")


def read_best(folder: Path) -> dict[str, torch.Tensor]:
    """What ``write_best`` kept; raises ``CorruptError``."""
    check_files(folder / "best")
    return load_file(folder / "best" / _FILES[0])


def checkpoints_in(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if _NAME.fullmatch(path.name))


def trainable_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: trainable parameters, each once however many names it has, and buffers."""
    kept = {name: one for name, one in model.named_parameters() if one.requires_grad}
    saved = set(model.state_dict())
    kept |= {name: one for name, one in model.named_buffers() if name in saved}
    return {name: one.detach().cpu().contiguous().clone() for name, one in kept.items()}


def load_trainable(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Put back what ``trainable_state`` gave."""
    places = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for name, tensor in state.items():
            places[name].copy_(tensor)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().cpu().contiguous().clone()
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    whole = optimiser.state_dict()
    optimiser.load_state_dict({**whole, "state": state})
