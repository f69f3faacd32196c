"""Nearest vectors by cosine, growing while it is searched.

Enters: unit vectors by item row. Leaves: rows and cosines. Knows nothing of texts, items or models.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array, Rows
from aisle.errors import CorruptError, DataError
from aisle.storage.checksums import check_files, write_checksums

faiss: Any = import_module("faiss")  # its stubs leave out most of what its C++ side offers

FLAT_UP_TO = 20_000
"""Rows kept as float32: exact to the last bit, 1.5 KB a row at 384 dimensions."""
SCALAR_UP_TO = 200_000
"""Rows kept as 8 bits a number and compared one by one: recall .996, a quarter of the memory."""
_EXACT_BELOW = 20_000
"""With fewer allowed rows than this the inverted lists are left aside: many of them would hold no allowed row."""
_LISTS_PROBED = 256
_RERANK_FACTOR = 4
_FOLD_AT = 10_000
"""Appended rows after which they move from the recent part into the main index."""


@dataclass(frozen=True)
class _State:
    """What one search reads; replaced as a whole, so that searching takes no lock.

    ``main`` holds rows 0..main.ntotal-1 as they were when it was made. ``recent_rows`` (k,) ascending and
    ``recent`` (k, d) hold rows that came or changed since; they win over ``main``.
    """

    main: Any
    recent_rows: Rows
    recent: Float32Array
    n_rows: int


class CosineIndex:
    """Exact up to ``SCALAR_UP_TO`` rows, product-quantised inverted lists with an exact second look beyond.

    The form is chosen by the number of rows the index is made of. Rows that arrive later, or replace others, are
    compared exactly beside it and move into it in batches; making the index anew (training) chooses again.

    Cost, 54,667 product titles at 384 dimensions, one query on one core: 8 bits a number 3.1 ms, recall@200 .995;
    inverted lists 1.2 ms, recall@200 .98, after a minute of making them.
    """

    def __init__(self, dimension: int, vectors: Float32Array | None = None) -> None:
        """An index of ``vectors`` (n, dimension) float32 unit rows, row i being item row i; empty without them."""
        self._lock = threading.Lock()
        self.dimension = dimension
        none = np.empty((0, dimension), dtype=np.float32)
        given = none if vectors is None else _checked(vectors, dimension)
        self._state = _State(_main_index(given), np.empty(0, np.int64), none, len(given))

    @property
    def n_rows(self) -> int:
        """One more than the last row."""
        return self._state.n_rows

    def add(self, vectors: Float32Array) -> None:
        """Append rows, (n, d) float32 unit rows."""
        with self._lock:
            first = self._state.n_rows
            self._put(np.arange(first, first + len(vectors)), vectors)

    def put(self, rows: Rows, vectors: Float32Array) -> None:
        """Set the vectors of ``rows`` (k,), each once, new or known; rows left out in between are never found."""
        with self._lock:
            self._put(rows, vectors)

    def _put(self, rows: Rows, vectors: Float32Array) -> None:
        vectors = _checked(vectors, self.dimension)
        if len(rows) != len(vectors):
            raise DataError(f"{len(rows)} rows were given {len(vectors)} vectors")
        if not len(rows):
            return
        state = self._state
        kept = ~np.isin(state.recent_rows, rows)
        all_rows = np.concatenate([state.recent_rows[kept], rows])
        order = np.argsort(all_rows)
        recent = np.concatenate([state.recent[kept], vectors])[order]
        grown = _State(state.main, all_rows[order], recent, max(state.n_rows, int(rows.max()) + 1))
        self._state = _folded(grown) if len(recent) >= _FOLD_AT else grown

    def search(
        self, queries: Float32Array, n: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Rows, Float32Array]:
        """Rows and cosines of the ``n`` nearest, best first, ties by ascending row.

        Args:
            queries: (q, d) float32 unit rows.
            n: how many.
            allowed: (n_rows,) bool, rows that may be found; shorter masks allow nothing beyond their end.

        Returns:
            (q, n) int64 rows, -1 where there are fewer, and (q, n) float32 cosines, -inf there.
        """
        state = self._state
        queries = _checked(queries, self.dimension)
        rows = np.full((len(queries), n), -1, dtype=np.int64)
        cosines = np.full((len(queries), n), -np.inf, dtype=np.float32)
        if not len(queries) or n < 1 or not state.n_rows:
            return rows, cosines
        # OpenMP keeps the number of threads per calling thread, so it is set for every search: one query gains nothing
        # from several, and a web server's other threads want the cores.
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        parts = [_search_main(state, queries, n, allowed), _search_recent(state, queries, n, allowed)]
        found = np.concatenate([part[0] for part in parts], axis=1)
        scores = np.concatenate([part[1] for part in parts], axis=1)
        scores[found < 0] = -np.inf
        order = np.lexsort((found, -scores), axis=1)[:, :n]
        width = order.shape[1]
        rows[:, :width] = np.take_along_axis(found, order, axis=1)
        cosines[:, :width] = np.take_along_axis(scores, order, axis=1)
        return rows, cosines

    def vectors(self, rows: Rows) -> Float32Array:
        """The vectors of ``rows`` (k,) as the index knows them, (k, d) float32; nan rows where there is none."""
        return _vectors(self._state, rows)

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs."""
        state = self._state
        faiss.write_index(state.main, str(folder / "vectors.faiss"))
        np.savez(folder / "recent.npz", rows=state.recent_rows, vectors=state.recent, n_rows=state.n_rows)
        write_checksums(folder, ["vectors.faiss", "recent.npz"])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            CorruptError: a file is missing or is not as it was written.
        """
        check_files(folder)
        try:
            main = faiss.read_index(str(folder / "vectors.faiss"))
            with np.load(folder / "recent.npz", allow_pickle=False) as kept:
                state = _State(main, kept["rows"], kept["vectors"], int(kept["n_rows"]))
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            raise CorruptError(f"{folder}: {error}; run `aisle train`", path=str(folder)) from error
        index = cls(main.d)
        index._state = state
        return index


def _checked(vectors: Float32Array, dimension: int) -> Float32Array:
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise DataError(f"vectors have shape {vectors.shape}; wanted (n, {dimension})")
    if not np.isfinite(vectors).all():
        raise DataError("vectors must be finite")
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _main_index(vectors: Float32Array) -> Any:
    """The faiss index that suits this many rows."""
    n, dimension = vectors.shape
    metric = faiss.METRIC_INNER_PRODUCT
    if n <= FLAT_UP_TO:
        index: Any = faiss.IndexFlatIP(dimension)
    elif n <= SCALAR_UP_TO:
        index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, metric)
        index.train(vectors)
    else:
        index = _inverted_lists(vectors, metric)
    index.add(vectors)
    return index


def _inverted_lists(vectors: Float32Array, metric: int) -> Any:
    n, dimension = vectors.shape
    n_lists = int(4 * np.sqrt(n))
    n_codes = max(part for part in range(1, dimension // 4 + 1) if dimension % part == 0)
    quantiser = faiss.IndexFlatIP(dimension)
    lists = faiss.IndexIVFPQ(quantiser, dimension, n_lists, n_codes, 8, metric)
    lists.nprobe = min(_LISTS_PROBED, n_lists)
    exact = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, metric)
    exact.sq.rangestat_arg = 0.2  # rows added later may reach beyond the range of those it is trained on
    # 64 rows a list fix its centre well enough; training on all rows would take minutes more.
    sample = vectors[np.random.default_rng(0).choice(n, size=min(n, 64 * n_lists), replace=False)]
    index = faiss.IndexRefine(lists, exact)
    index.train(sample)
    index.k_factor = _RERANK_FACTOR
    return index


def _search_main(
    state: _State, queries: Float32Array, n: int, allowed: NDArray[np.bool_] | None
) -> tuple[Rows, Float32Array]:
    n_main = state.main.ntotal
    n_found = min(n, n_main)
    if not n_found:
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    replaced = state.recent_rows[state.recent_rows < n_main]
    if allowed is None and not len(replaced):
        cosines, rows = state.main.search(queries, n_found)
        return rows, cosines
    mask = np.zeros(n_main, dtype=np.bool_)
    mask[: n_main if allowed is None else len(allowed)] = True if allowed is None else allowed[:n_main]
    mask[replaced] = False
    wanted = np.flatnonzero(mask)
    is_listed = isinstance(state.main, faiss.IndexRefine)
    if len(wanted) <= (_EXACT_BELOW if is_listed else n_main // 20):
        return _nearest(queries, wanted, _main_vectors(state.main, wanted), n)
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    if is_listed:
        inner = faiss.IVFPQSearchParameters(sel=selector, nprobe=faiss.downcast_index(state.main.base_index).nprobe)
        settings = faiss.IndexRefineSearchParameters(k_factor=_RERANK_FACTOR, base_index_params=inner)
    else:
        settings = faiss.SearchParameters(sel=selector)
    cosines, rows = state.main.search(queries, n_found, params=settings)
    return rows, cosines


def _search_recent(
    state: _State, queries: Float32Array, n: int, allowed: NDArray[np.bool_] | None
) -> tuple[Rows, Float32Array]:
    rows = state.recent_rows
    if allowed is None:
        return _nearest(queries, rows, state.recent, n)
    known = rows < len(allowed)
    known[known] = allowed[rows[known]]
    return _nearest(queries, rows[known], state.recent[known], n)


def _nearest(queries: Float32Array, rows: Rows, vectors: Float32Array, n: int) -> tuple[Rows, Float32Array]:
    """The ``n`` best of ``vectors`` (k, d) by comparing all; (q, min(n, k)) each, in no order."""
    cosines = queries @ vectors.T  # (q, k)
    if len(rows) > n:
        best = np.argpartition(-cosines, n - 1, axis=1)[:, :n]
        return rows[best], np.take_along_axis(cosines, best, axis=1)
    return np.broadcast_to(rows, cosines.shape).copy(), cosines


def _main_vectors(main: Any, rows: Rows) -> Float32Array:
    if not len(rows):
        return np.empty((0, main.d), dtype=np.float32)
    source = main.refine_index if isinstance(main, faiss.IndexRefine) else main
    return source.reconstruct_batch(np.ascontiguousarray(rows, dtype=np.int64))


def _vectors(state: _State, rows: Rows) -> Float32Array:
    vectors = np.full((len(rows), state.main.d), np.nan, dtype=np.float32)
    in_main = (rows >= 0) & (rows < state.main.ntotal)
    vectors[in_main] = _main_vectors(state.main, rows[in_main])
    if len(state.recent_rows):
        place = np.minimum(np.searchsorted(state.recent_rows, rows), len(state.recent_rows) - 1)
        is_recent = state.recent_rows[place] == rows
        vectors[is_recent] = state.recent[place[is_recent]]
    return vectors


def _folded(state: _State) -> _State:
    """Moves the recent rows into the main index, which is copied so that searches under way keep theirs.

    Up to ``SCALAR_UP_TO`` rows the index is made anew; beyond, appended rows are added to the lists as they are and
    replaced ones stay beside it. Rows behind a gap wait until the gap is filled.
    """
    n_main = state.main.ntotal
    appended = state.recent_rows >= n_main
    expected = np.arange(n_main, n_main + int(appended.sum()))
    n_joined = int((state.recent_rows[appended] == expected).cumprod().sum())
    if isinstance(state.main, faiss.IndexRefine) or n_main + n_joined > SCALAR_UP_TO:
        if not n_joined:
            return state
        main = faiss.clone_index(state.main)
        main.add(np.ascontiguousarray(state.recent[appended][:n_joined]))
        stays = (state.recent_rows < n_main) | (state.recent_rows >= n_main + n_joined)
    else:
        main = _main_index(_vectors(state, np.arange(n_main + n_joined)))
        stays = state.recent_rows >= n_main + n_joined
    return _State(main, state.recent_rows[stays], state.recent[stays], state.n_rows)
