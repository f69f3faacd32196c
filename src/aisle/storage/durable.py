"""Files and folders that are on the disk, so that a power cut does not take them back."""

from __future__ import annotations

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Have the disk take a file, or the entries of a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_tree(path: Path) -> None:
    """Have the disk take a file, or a folder and all that is in it."""
    for inner in sorted(path.rglob("*")) if path.is_dir() else ():
        flush(inner)
    flush(path)


def move(aside: Path, target: Path) -> None:
    """Rename what was written ``aside`` to ``target`` beside it, so that a power cut leaves it whole or not there.

    A file takes the place of a file that is there; a folder needs the place to be free.
    """
    flush_tree(aside)
    aside.replace(target)
    flush(target.parent)
