"""Entries of some rows of a sparse matrix, gathered in a few array operations instead of a row at a time."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


def entries_of(
    matrix: sp.csr_matrix, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Place in ``rows`` (k,), column and value of every entry of these rows; rows beyond the matrix have none.

    Cost O(entries of those rows).
    """
    inside = np.flatnonzero(rows < len(matrix.indptr) - 1)
    start, stop = matrix.indptr[rows[inside]].astype(np.int64), matrix.indptr[rows[inside] + 1].astype(np.int64)
    length = stop - start
    before = np.cumsum(length) - length
    position = np.arange(int(length.sum())) + np.repeat(start - before, length)
    return (
        np.repeat(inside, length),
        matrix.indices[position].astype(np.int64),
        matrix.data[position].astype(np.float64),
    )
