"""How parts keep their arrays: one npz file without pickle, read back whole or refused."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from aisle.errors import CorruptError

_FILE = "arrays.npz"


def write_arrays(folder: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write ``arrays`` into ``folder``."""
    with (folder / _FILE).open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


def read_arrays(folder: Path, *names: str) -> dict[str, NDArray]:
    """Read back the arrays called ``names``; raises ``CorruptError`` when one is missing or damaged."""
    path = folder / _FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        may_pass = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        why = f"{path} cannot be read ({error}); rebuild it with `aisle train`"
        raise CorruptError(why, path=str(path), may_pass=may_pass) from error


def sparse_arrays(name: str, matrix: sp.csr_matrix) -> dict[str, NDArray]:
    """A CSR matrix as plain arrays whose names start with ``name``."""
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.array(matrix.shape, dtype=np.int64),
    }


def sparse_names(name: str) -> tuple[str, ...]:
    """The array names of a CSR matrix kept as ``name``."""
    return tuple(f"{name}_{part}" for part in ("data", "indices", "indptr", "shape"))


def sparse_matrix(name: str, arrays: Mapping[str, NDArray]) -> sp.csr_matrix:
    """The CSR matrix kept as ``name``; raises ``CorruptError`` when its parts do not fit together."""
    data, indices, indptr, shape = (arrays[part] for part in sparse_names(name))
    try:
        matrix = sp.csr_matrix((data, indices, indptr), shape=tuple(shape))
        matrix.check_format()
    except ValueError as error:
        raise CorruptError(f"matrix {name!r} is damaged ({error}); rebuild it with `aisle train`") from error
    return matrix
