"""Tells whether the files of an index are still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from aisle.errors import CorruptError

_FILE = "checksums.json"


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Note the SHA-256 of ``names`` (paths under ``folder``) in ``checksums.json``."""
    noted = {name: _digest(folder / name) for name in names}
    (folder / _FILE).write_text(json.dumps(noted, indent=1), encoding="utf-8")


def check_files(folder: Path) -> None:
    """Compare files with what was noted.

    Raises:
        CorruptError: names the first file that is missing or differs.
    """
    try:
        noted = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder / _FILE, str(error)) from error
    if not isinstance(noted, dict):
        raise _damaged(folder / _FILE, "not a table of checksums")
    for name, wanted in noted.items():
        path = folder / name
        try:
            actual = _digest(path)
        except OSError as error:
            raise _damaged(path, str(error)) from error
        if actual != wanted:
            raise _damaged(path, "its content is not what was written")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(path: Path, why: str) -> CorruptError:
    return CorruptError(f"{path} is damaged: {why}; run `aisle train` to make it anew", path=str(path))
