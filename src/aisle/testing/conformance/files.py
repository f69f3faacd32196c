"""What saved files may not be, and how they come to harm."""

from __future__ import annotations

import pickletools
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from numpy.lib import format as npy_format

from aisle.testing.conformance.promises import Promise

_PICKLE_NAMES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill"}


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def require_no_pickle(promise: Promise, folder: Path) -> None:
    """No file of ``folder`` is a pickle or an archive that holds one, whatever its name."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        promise.require(path.suffix not in _PICKLE_NAMES, f"{name} is named like a pickle")
        data = path.read_bytes()
        promise.require(not _is_pickle(data), f"{name} is a pickle")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    inner = archive.read(member)
                    promise.require(not _is_pickle(inner), f"{name} holds the pickle {member}")


def damaged_copies(folder: Path) -> Iterator[tuple[str, Path]]:
    """Copies of ``folder``, each with one file cut in half, changed in one byte, emptied or missing."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not path.stat().st_size:
            continue
        name = path.relative_to(folder)
        data = path.read_bytes()
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        for what, content in (("cut in half", data[:middle]), ("changed in one byte", changed), ("missing", None)):
            with empty_folder() as parent:
                copy = parent / "copy"
                shutil.copytree(folder, copy)
                (copy / name).unlink()
                if content is not None:
                    (copy / name).write_bytes(content)
                yield f"{name} {what}", copy


def _is_pickle(data: bytes) -> bool:
    if data[:6] == npy_format.MAGIC_PREFIX:
        return b"'|O'" in data[:256]  # an array of objects is stored as a pickle
    if data[:1] != b"\x80":
        return False
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(data))
    except ValueError:
        return False
