"""The same regression for catalogues too large for a dense inverse: each item over the items nearest to it.

Enters: ``Moments``. Leaves: a sparse ``B`` as ``ridge.solve_exact`` gives. For item j only its ``n_neighbours``
strongest partners N may have weight: ``b = (M_S[N, N] + ridge I)^-1 M_Y[N, j]``, which leaves (j, j) empty by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from aisle.contracts import Progress, silent
from aisle.retrieval.ridge import Moments

Float32 = NDArray[np.float32]
Integers = NDArray[np.int64]

_BLOCK = 256
"""Items solved at once: 10 MB of float32 at 100 neighbours."""
_PARTNERS = 1000
"""Partners of an item that are kept at all; only the rarest pairs of the most popular items go."""


def solve_by_neighbours(
    moments: Moments, ridge: float, n_neighbours: int, n_kept: int, progress: Progress = silent
) -> sp.csr_matrix:
    """``B`` with at most ``n_neighbours`` entries a column, each row cut to its ``n_kept`` largest by size.

    Cost: n_items x n_neighbours^3 / 3 multiplications and about n_items x 1000 x 8 bytes.
    """
    n = moments.n_items
    inputs = _strongest_entries(moments.inputs)
    targets = sp.csc_matrix(moments.inputs + moments.shift)

    def columns(items: Integers) -> sp.coo_matrix:
        return _solve_block(items, inputs, targets, moments.features, ridge, n_neighbours)

    blocks: list[sp.coo_matrix] = []
    items = [np.arange(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for block in pool.map(columns, items):
            blocks.append(block)
            progress("linear: weights", min(len(blocks) * _BLOCK, n), n)
    return largest_of_sparse(sp.csr_matrix(sp.vstack(blocks).T), n_kept)


def largest_of_sparse(matrix: sp.csr_matrix, n_kept: int) -> sp.csr_matrix:
    """The ``n_kept`` entries of largest size of each row, earlier columns first among equals."""
    length = np.diff(matrix.indptr)
    is_kept = np.ones(matrix.nnz, dtype=np.bool_)
    is_cut = np.repeat(length > n_kept, length)  # few rows are long: only these are sorted
    entry = np.flatnonzero(is_cut)
    row = np.repeat(np.arange(len(length)), np.where(length > n_kept, length, 0))
    order = np.lexsort((matrix.indices[entry], -np.abs(matrix.data[entry]), row))
    first = np.concatenate([[0], np.cumsum(np.where(length > n_kept, length, 0))])
    rank = np.arange(len(row)) - first[row]
    is_kept[entry[order[rank >= n_kept]]] = False
    indptr = np.concatenate([[0], np.cumsum(np.minimum(length, n_kept))])
    return sp.csr_matrix((matrix.data[is_kept], matrix.indices[is_kept], indptr), shape=matrix.shape)


def _strongest_entries(inputs: sp.csr_matrix) -> sp.csr_matrix:
    """``inputs`` with an entry kept when it is among the ``_PARTNERS`` largest of its row or of its column."""
    cut = largest_of_sparse(inputs, _PARTNERS)
    return sp.csr_matrix(cut.maximum(cut.T))


def _solve_block(
    items: Integers,
    inputs: sp.csr_matrix,
    targets: sp.csc_matrix,
    features: sp.csr_matrix,
    ridge: float,
    n_neighbours: int,
) -> sp.coo_matrix:
    """Columns ``items`` of ``B``, as rows (len(items), n_items)."""
    n = len(inputs.indptr) - 1
    wanted = sp.csc_matrix(targets[:, items] + features @ features[items].T) if features.nnz else targets[:, items]
    gram = np.zeros((len(items), n_neighbours, n_neighbours), dtype=np.float32)
    gram[:, np.arange(n_neighbours), np.arange(n_neighbours)] = ridge
    right = np.zeros((len(items), n_neighbours), dtype=np.float32)
    neighbours = np.full((len(items), n_neighbours), -1, dtype=np.int64)
    place = np.full(n, -1, dtype=np.int64)
    for index, (partners, values) in enumerate(_nearest(items, wanted, n_neighbours)):
        k = len(partners)
        neighbours[index, :k] = partners
        right[index, :k] = values
        gram[index, :k, :k] += _square(inputs, partners, place)
        if features.nnz:
            near = features[partners]
            gram[index, :k, :k] += (near @ near.T).toarray()
    solved = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    is_used = neighbours >= 0
    row = np.broadcast_to(np.arange(len(items))[:, None], neighbours.shape)[is_used]
    return sp.coo_matrix((solved[is_used], (row, neighbours[is_used])), shape=(len(items), n))


def _nearest(items: Integers, wanted: sp.csc_matrix, n_neighbours: int) -> Iterator[tuple[Integers, Float32]]:
    """For each item its partners of largest ``wanted``, and how much that is."""
    for index, item in enumerate(items):
        span = slice(wanted.indptr[index], wanted.indptr[index + 1])
        partners, values = wanted.indices[span].astype(np.int64), wanted.data[span].astype(np.float32)
        is_usable = (partners != item) & (values > 0)
        partners, values = partners[is_usable], values[is_usable]
        if len(partners) > n_neighbours:
            best = np.sort(np.argpartition(-values, n_neighbours - 1)[:n_neighbours])
            partners, values = partners[best], values[best]
        yield partners, values


def _square(matrix: sp.csr_matrix, rows: Integers, place: Integers) -> Float32:
    """``matrix[rows][:, rows]``, dense; ``place`` (n_items,) is scratch of -1 and is left so."""
    k = len(rows)
    square = np.zeros((k, k), dtype=np.float32)
    place[rows] = np.arange(k)
    start, length = matrix.indptr[rows].astype(np.int64), np.diff(matrix.indptr)[rows].astype(np.int64)
    offset = np.repeat(start - np.concatenate([[0], np.cumsum(length)[:-1]]), length) if k else np.empty(0, np.int64)
    position = np.arange(len(offset)) + offset
    column = place[matrix.indices[position]]
    inside = column >= 0
    square[np.repeat(np.arange(k), length)[inside], column[inside]] = matrix.data[position[inside]]
    place[rows] = -1
    return square
