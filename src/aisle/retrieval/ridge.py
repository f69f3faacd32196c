"""Item-to-item weights in closed form: what a history of some items says about every other item.

Enters: ``Moments`` (sparse products of histories with themselves). Leaves: a sparse matrix ``B`` (n_items, n_items)
with an empty diagonal; row i is what item i in a history adds to the score of each other item. Knows nothing of users.

The exact solution generalises EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", eq. 8) to
targets that differ from the inputs: minimise ``|Y - S B|^2 + ridge |B|^2`` subject to ``diag(B) = 0``. With
``P = (M_S + ridge I)^-1`` and ``M_Y = M_S + D``, column j is ``P M_Y[:, j] - P[:, j] mu_j`` where ``mu_j`` makes entry
(j, j) zero; since ``P M_S = I - ridge P``, only ``P`` is dense and every product is with the sparse ``D``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from aisle.contracts import Progress, silent
from aisle.errors import DataError

Float32 = NDArray[np.float32]
_BLOCK = 512
"""Rows worked on at once: 25 MB of float32 at 12,000 items."""


@dataclass(frozen=True)
class Moments:
    """What the regression needs, all (n_items, n_items) but ``features``.

    ``inputs`` is ``S'S`` summed over the kinds of history, sparse, symmetric; ``shift`` is ``S'Y - S'S``, sparse, not
    symmetric; ``features`` (n_items, n_features) sparse adds ``features features'`` to both sides: items alike in it
    are taken to follow each other.
    """

    inputs: sp.csr_matrix
    shift: sp.csr_matrix
    features: sp.csr_matrix

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.inputs.indptr) - 1


def solve_exact(moments: Moments, ridge: float, n_kept: int, progress: Progress = silent) -> sp.csr_matrix:
    """The exact ``B``, each row cut to its ``n_kept`` largest entries by size.

    Cost: n^3 multiplications (12,000 items: about 15 s on 2 cores) and 4 n^2 bytes.
    """
    inverse = _inverse(moments, ridge)
    progress("linear: inverse", 1, 1)
    n = moments.n_items
    diagonal = inverse.diagonal().copy()
    shift = moments.shift.tocoo()
    shifted_diagonal = np.bincount(shift.col, inverse[shift.col, shift.row] * shift.data, minlength=n)
    mu = ((1.0 - ridge * diagonal + shifted_diagonal) / diagonal).astype(np.float32)
    shift_transposed = moments.shift.T.tocsr()

    def rows(start: int) -> sp.csr_matrix:
        stop = min(start + _BLOCK, n)
        columns = np.ascontiguousarray(inverse[:, start:stop])  # (n, b), equal to the rows since P is symmetric
        block = (shift_transposed @ columns).T - (np.float32(ridge) + mu)[None, :] * columns.T  # (b, n)
        block[np.arange(stop - start), np.arange(start, stop)] = 0.0
        return largest_by_row(np.ascontiguousarray(block), n_kept)

    blocks: list[sp.csr_matrix] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for block in pool.map(rows, range(0, n, _BLOCK)):
            blocks.append(block)
            progress("linear: weights", min(len(blocks) * _BLOCK, n), n)
    return sp.csr_matrix(sp.vstack(blocks, format="csr"))


def _inverse(moments: Moments, ridge: float) -> Float32:
    """``(inputs + features features' + ridge I)^-1``, dense float32 in Fortran order, computed in place."""
    n = moments.n_items
    matrix = np.asarray(moments.inputs.toarray(order="F"), dtype=np.float32, order="F")
    if moments.features.nnz:
        transposed = moments.features.T.tocsc()
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            matrix[:, start:stop] += (moments.features @ transposed[:, start:stop]).toarray()
    matrix[np.arange(n), np.arange(n)] += np.float32(ridge)
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = potrf(matrix, lower=0, clean=0, overwrite_a=1)
    if failed:
        raise DataError(f"linear: the histories give no positive definite matrix at item row {failed - 1}; raise ridge")
    inverse, failed = potri(factor, lower=0, overwrite_c=1)
    if failed:
        raise DataError(f"linear: the matrix of item row {failed - 1} has no inverse; raise ridge")
    for start in range(0, n, _BLOCK):  # potri fills the upper triangle only
        stop = min(start + _BLOCK, n)
        square = inverse[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    return inverse


def largest_by_row(block: Float32, n_kept: int) -> sp.csr_matrix:
    """The ``n_kept`` entries of largest size of each row of a dense block, zeros left out. CSR, columns ascending."""
    n_rows, n = block.shape
    if n_kept >= n:
        return sp.csr_matrix(block)
    columns = np.sort(np.argpartition(-np.abs(block), n_kept - 1, axis=1)[:, :n_kept], axis=1)
    values = np.take_along_axis(block, columns, axis=1)
    matrix = sp.csr_matrix(
        (values.ravel(), columns.astype(np.int32).ravel(), np.arange(0, n_rows * n_kept + 1, n_kept)),
        shape=(n_rows, n),
    )
    matrix.eliminate_zeros()
    return matrix
