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
SCANNED_UP_TO = 200_000
"""Rows kept as 8 bits a number, a quarter of the memory, behind one bit a number in which all are looked through."""
_SAMPLE_ROWS, _ROUNDS = 10_000, 6
"""Rows and rounds from which the short codes of that look are learned; more of either finds no more, measured."""
_SCAN_FACTOR = 8
"""Rows compared exactly for each that is wanted, after the look through all of them."""
_SCAN_ROOM = 1.2
"""Rows taken from both looks for each that is wanted, where some are not allowed."""
_SCAN_SHARE = 0.3
"""Of the rows that must be allowed for that look to pay; fewer are compared one by one."""
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
    """Exact up to ``FLAT_UP_TO`` rows; beyond, short codes with an exact second look, in inverted lists for very many.

    The form is chosen by the number of rows the index is made of. Rows that arrive later, or replace others, are
    compared exactly beside it and move into it in batches; making the index anew (training) chooses again.

    Cost, 54,667 product titles at 384 dimensions, one query on one core: the two looks take about 0.4 of the time of
    comparing all rows at 8 bits a number, and find .992 of the 200 nearest.
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
    elif n <= SCANNED_UP_TO:
        codes = faiss.IndexPQFastScan(dimension, _n_codes(dimension), 4, metric)
        codes.pq.cp.niter = _ROUNDS
        index = _in_two_looks(codes, vectors, _SAMPLE_ROWS)
    else:
        index = _inverted_lists(vectors, metric)
    index.add(vectors)
    return index


def _inverted_lists(vectors: Float32Array, metric: int) -> Any:
    n, dimension = vectors.shape
    n_lists = int(4 * np.sqrt(n))
    quantiser = faiss.IndexFlatIP(dimension)
    lists = faiss.IndexIVFPQ(quantiser, dimension, n_lists, _n_codes(dimension), 8, metric)
    lists.nprobe = min(_LISTS_PROBED, n_lists)
    # 64 rows a list fix its centre well enough; training on all rows would take minutes more.
    index = _in_two_looks(lists, vectors, 64 * n_lists)
    index.k_factor = _RERANK_FACTOR
    return index


def _in_two_looks(first: Any, vectors: Float32Array, n_sample: int) -> Any:
    """``first`` and, behind it, 8 bits a number; both trained on a sample of ``vectors``, nothing added yet."""
    n, dimension = vectors.shape
    exact = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    exact.sq.rangestat_arg = 0.2  # rows added later may reach beyond the range of those it is trained on
    index = faiss.IndexRefine(first, exact)
    index.train(vectors[np.random.default_rng(0).choice(n, size=min(n, n_sample), replace=False)])
    return index


def _n_codes(dimension: int) -> int:
    """Into how many parts vectors are cut: of four numbers each, or more where the dimension is not divisible."""
    return max(part for part in range(1, max(dimension // 4, 1) + 1) if dimension % part == 0)


def _is_listed(main: Any) -> bool:
    return isinstance(main, faiss.IndexRefine) and isinstance(faiss.downcast_index(main.base_index), faiss.IndexIVFPQ)


def _search_main(
    state: _State, queries: Float32Array, n: int, allowed: NDArray[np.bool_] | None
) -> tuple[Rows, Float32Array]:
    n_main = state.main.ntotal
    n_found = min(n, n_main)
    if not n_found:
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    mask = np.zeros(n_main, dtype=np.bool_)
    mask[: n_main if allowed is None else len(allowed)] = True if allowed is None else allowed[:n_main]
    mask[state.recent_rows[state.recent_rows < n_main]] = False
    n_wanted = int(mask.sum())
    is_listed = _is_listed(state.main)
    if n_wanted <= (_EXACT_BELOW if is_listed else n_main // 20):
        wanted = np.flatnonzero(mask)
        return _nearest(queries, wanted, _main_vectors(state.main, wanted), n)
    if is_listed:
        inner = faiss.IVFPQSearchParameters(
            sel=_selector(mask), nprobe=faiss.downcast_index(state.main.base_index).nprobe
        )
        settings = faiss.IndexRefineSearchParameters(k_factor=_RERANK_FACTOR, base_index_params=inner)
        cosines, rows = state.main.search(queries, n_found, params=settings)
        return rows, cosines
    if isinstance(state.main, faiss.IndexRefine) and n_wanted >= _SCAN_SHARE * n_main:
        return _search_scanned(state.main, queries, n_found, mask, n_wanted)
    return _search_all(_exact_part(state.main), queries, n_found, mask)


def _search_scanned(
    main: Any, queries: Float32Array, n: int, mask: NDArray[np.bool_], n_wanted: int
) -> tuple[Rows, Float32Array]:
    """The best after both looks, -1 in place of rows that are not allowed.

    The short codes know nothing of masks, so more are taken where fewer are allowed; a query for which that is not
    enough is compared with all that are.
    """
    n_found = n if n_wanted == main.ntotal else min(int(_SCAN_ROOM * n * main.ntotal / n_wanted) + 1, main.ntotal)
    k_factor = max(_SCAN_FACTOR * n * main.ntotal / (n_wanted * n_found), 1.0)
    cosines, rows = main.search(queries, n_found, params=faiss.IndexRefineSearchParameters(k_factor=k_factor))
    rows[~((rows >= 0) & mask[rows])] = -1
    short = np.flatnonzero((rows >= 0).sum(axis=1) < min(n, n_wanted))
    if len(short):
        rows[short], cosines[short] = -1, -np.inf
        rows[short, :n], cosines[short, :n] = _search_all(_exact_part(main), queries[short], n, mask)
    return rows, cosines


def _search_all(exact: Any, queries: Float32Array, n: int, mask: NDArray[np.bool_]) -> tuple[Rows, Float32Array]:
    """The ``n`` best of the allowed rows, all compared one by one."""
    cosines, rows = exact.search(queries, n, params=faiss.SearchParameters(sel=_selector(mask)))
    return rows, cosines


def _selector(mask: NDArray[np.bool_]) -> Any:
    bits = np.packbits(mask, bitorder="little")
    selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    selector.bits = bits  # the selector only points to them
    return selector


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
    return _exact_part(main).reconstruct_batch(np.ascontiguousarray(rows, dtype=np.int64))


def _exact_part(main: Any) -> Any:
    return main.refine_index if isinstance(main, faiss.IndexRefine) else main


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

    Up to ``SCANNED_UP_TO`` rows all vectors are put in again, into the codes that were learned; beyond, appended rows
    are added to the lists as they are and replaced ones stay beside it. Rows behind a gap wait until it is filled.
    """
    n_main = state.main.ntotal
    appended = state.recent_rows >= n_main
    expected = np.arange(n_main, n_main + int(appended.sum()))
    n_joined = int((state.recent_rows[appended] == expected).cumprod().sum())
    is_scanned = isinstance(state.main, faiss.IndexRefine) and not _is_listed(state.main)
    if _is_listed(state.main) or (is_scanned and n_main + n_joined > SCANNED_UP_TO):
        if not n_joined:
            return state
        main = faiss.clone_index(state.main)
        main.add(np.ascontiguousarray(state.recent[appended][:n_joined]))
        stays = (state.recent_rows < n_main) | (state.recent_rows >= n_main + n_joined)
    else:
        together = _vectors(state, np.arange(n_main + n_joined))
        if is_scanned:
            main = faiss.clone_index(state.main)
            main.reset()
            main.add(together)
        else:
            main = _main_index(together)
        stays = state.recent_rows >= n_main + n_joined
    return _State(main, state.recent_rows[stays], state.recent[stays], state.n_rows)
