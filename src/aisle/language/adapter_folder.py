"""An adapter on disk: its configuration and its weights, without the model it belongs to.

LoRA and AdaLoRA lie in peft's own format, which other programs read; the others hold their trainable parameters by
name. Weights are safetensors, nothing else is read.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from aisle.errors import ConfigError, CorruptError
from aisle.language.adapter_config import AdapterConfig
from aisle.language.adapters import adapted
from aisle.storage.checksums import check_files, write_checksums

_CONFIG, _WEIGHTS, _PEFT = "adapter.json", "adapter_model.safetensors", "adapter_config.json"
_THROUGH_PEFT = ("lora", "adalora")
_SAMPLE = 16
"""Numbers of each weight that tell whose it is."""
_OF_PEFT = ("lora_", "ranknum")
"""Beginnings of the names of peft's own parameters."""


def write_adapter(model: Any, config: AdapterConfig, target: Path) -> None:
    """Fill ``target`` with the adapter of ``model``, which ``adapted`` made with ``config``.

    ``full`` writes every weight.
    """
    target.mkdir(parents=True, exist_ok=True)
    names = [_CONFIG, _WEIGHTS]
    if config.method in _THROUGH_PEFT:
        _write_peft(model, config, target)
        names.append(_PEFT)
    else:
        is_all = config.method == "full"
        trained = {name: one for name, one in model.named_parameters() if is_all or not _plain_name(name)}
        save_file({name: one.detach().cpu().contiguous().clone() for name, one in trained.items()}, target / _WEIGHTS)
    told = {"config": config.model_dump(), "model": _fingerprint(model, config)}
    (target / _CONFIG).write_text(json.dumps(told, indent=1), encoding="utf-8")
    write_checksums(target, names)


def is_adapter(folder: Path) -> bool:
    """Whether an adapter was written to ``folder``, whole or damaged."""
    return (folder / _CONFIG).is_file()


def read_config(folder: Path) -> AdapterConfig:
    """What kind of adapter lies in ``folder``.

    Raises:
        ConfigError: it is no adapter.
        CorruptError: it is damaged.
    """
    return AdapterConfig.parse(_told(folder)["config"], "adapter")


def read_adapter(model: Any, folder: Path, *, is_trainable: bool = False) -> nn.Module:
    """Put the adapter in ``folder`` on ``model``; ``model`` is changed and is part of the result.

    Args:
        model: a plain transformers model with the weights that the adapter was trained on, in any of fp32 and bf16.
        folder: what ``write_adapter`` filled.
        is_trainable: whether the adapter goes on learning; false is for inference, and all there is for ``lora`` and
            ``adalora``, which are merged to be learned on.

    Raises:
        ConfigError: ``folder`` is no adapter, or one of another model.
        CorruptError: it is damaged.
    """
    told = _told(folder)
    config = AdapterConfig.parse(told["config"], "adapter")
    if told["model"] != _fingerprint(model, config):
        raise ConfigError(
            f"the adapter {folder} was trained on another model than this {type(model).__name__}; open the model that "
            "it was trained on, or train it anew",
            setting="encoder.model",
        )
    if config.method in _THROUGH_PEFT:
        from peft import PeftModel

        return PeftModel.from_pretrained(model, folder).eval()
    ready = adapted(model, config, n_steps=1)
    places = dict(ready.named_parameters())
    with torch.no_grad():
        for name, tensor in load_file(folder / _WEIGHTS).items():
            places[name].copy_(tensor)
    return ready.eval() if is_trainable else ready.requires_grad_(False).eval()


def _told(folder: Path) -> dict[str, Any]:
    if not (folder / _CONFIG).is_file():
        raise ConfigError(f"{folder} has no {_CONFIG}, so it is no adapter; name a folder that has one")
    try:
        check_files(folder)
        if not (folder / _WEIGHTS).is_file():  # or peft would look for a pickle
            raise CorruptError(f"{_WEIGHTS} is missing")
        return json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (CorruptError, ValueError) as error:
        raise CorruptError(
            f"the adapter {folder} is damaged ({error}); copy it again, or train it anew", path=str(folder)
        ) from error


def _write_peft(model: Any, config: AdapterConfig, target: Path) -> None:
    settings = model.active_peft_config
    before = getattr(settings, "rank_pattern", None)
    if config.method == "adalora":  # ranks that were cut are written as the zeros they are, so that vectors stay exact
        settings.rank_pattern = None
    try:
        model.save_pretrained(target, safe_serialization=True, save_embedding_layers=False)
    finally:
        if config.method == "adalora":
            settings.rank_pattern = before
    (target / "README.md").unlink(missing_ok=True)  # an empty form


def _fingerprint(model: nn.Module, config: AdapterConfig) -> str:
    """Tells which model an adapter belongs to: shapes, and the first numbers of every weight that it leaves alone."""
    digest = hashlib.sha256()
    plain = {_plain_name(name): one for name, one in model.named_parameters()}
    plain.pop("", None)
    for name, one in sorted(plain.items(), key=lambda named: named[0]):
        digest.update(f"{name}{list(one.shape)}".encode())
        if config.method != "full":
            sample = one.detach().reshape(-1)[:_SAMPLE].to("cpu", torch.bfloat16).float()
            digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def _plain_name(name: str) -> str:
    """The name of a parameter in the plain model, empty for an adapter's own."""
    parts = name.split(".")
    if parts == ["prefix"] or {"down", "up"} & set(parts) or any(part.startswith(_OF_PEFT) for part in parts):
        return ""
    if parts[:2] == ["base_model", "model"]:
        parts = parts[2:]
    elif parts[0] == "model":
        parts = parts[1:]
    return ".".join(part for part in parts if part not in ("base_layer", "layer"))
