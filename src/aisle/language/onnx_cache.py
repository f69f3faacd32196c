"""Keeps exported models by fingerprint in the user's cache folder.

A model is written aside and renamed in one step, so a killed export leaves nothing that looks finished. Every opening
compares the files with their checksums; a damaged model is exported anew, never used.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aisle.contracts import Progress
from aisle.errors import ConfigError, UnavailableError
from aisle.language.model_folder import ModelFolder, file_digest

_CHECKSUMS = "checksums.json"
_EXPORT_TIMEOUT_SECONDS = 1800

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where this user's exported models lie: ``AISLE_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("AISLE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        platform_cache = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        platform_cache = "~/Library/Caches"
    else:
        platform_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(platform_cache).expanduser() / "aisle"


def exported(
    model: ModelFolder,
    precision: str,
    fingerprint: str,
    progress: Progress,
    *,
    under: Path | None = None,
    has_torch: bool = False,
) -> Path:
    """The folder of ``model.onnx`` and ``tokenizer.json``, exported first when it is not there whole.

    ``under`` is where exported models lie; None is the user's cache. A process that ``has_torch`` loaded anyway exports
    itself, which is seconds faster.

    Raises:
        ConfigError: the model cannot be exported.
        UnavailableError: the cache folder cannot be written.
    """
    folder = (under or cache_folder() / "onnx") / fingerprint.replace(":", "-")
    if is_whole(folder):
        return folder
    if folder.exists():
        log.warning("the exported model in %s is damaged; exporting it again", folder)
        shutil.rmtree(folder)
    progress("export model", 0, 1)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as aside:
            target = Path(aside) / "model"
            target.mkdir()
            (_export_here if has_torch else _export)(model, target, precision)
            _write_checksums(target)
            try:
                target.rename(folder)
            except OSError:
                # Another process finished the same export first; its files are as good.
                if not is_whole(folder):
                    raise
    except OSError as error:
        raise UnavailableError(
            f"the exported model could not be written under {folder.parent}: {error}; free space or set AISLE_CACHE to "
            "a folder that can be written"
        ) from error
    progress("export model", 1, 1)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether every file of an exported model is there with the content it was written with."""
    try:
        checksums = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        return bool(checksums) and all(file_digest(folder / name) == wanted for name, wanted in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _export(model: ModelFolder, target: Path, precision: str) -> None:
    command = [sys.executable, "-m", "aisle.language.onnx_export", str(model.path), str(target)]
    command += [precision, model.pooling, str(model.max_tokens)]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_EXPORT_TIMEOUT_SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"exporting {model.path} took over {_EXPORT_TIMEOUT_SECONDS} s; try again") from error
    if ran.returncode != 0:
        raise _not_exported(model, " | ".join(ran.stderr.strip().splitlines()[-3:]))


def _export_here(model: ModelFolder, target: Path, precision: str) -> None:
    from aisle.language.onnx_export import export  # brings torch

    try:
        export(model.path, target, precision, model.pooling, model.max_tokens)
    except OSError:
        raise
    except Exception as error:  # exporting raises whatever the model's code raises
        raise _not_exported(model, f"{type(error).__name__}: {error}") from error


def _not_exported(model: ModelFolder, why: str) -> ConfigError:
    return ConfigError(
        f'the model in {model.path} could not be exported to ONNX: {why}; use encoder.kind = "transformers" for it',
        setting="encoder.model",
    )


def _write_checksums(folder: Path) -> None:
    checksums = {file.name: file_digest(file) for file in sorted(folder.iterdir())}
    (folder / _CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
