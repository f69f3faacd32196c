"""The promises of ``contracts.VectorIndex`` and ``contracts.EmbeddingStore``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from aisle.contracts import EmbeddingStore, Float32Array, VectorIndex
from aisle.testing.conformance.files import empty_folder, require_no_pickle
from aisle.testing.conformance.promises import Promise, in_threads

DIMENSION = 24
N_ROWS = 200


class LoadsIndex(Protocol):
    """``load`` of a vector index's class."""

    def __call__(self, folder: Path) -> VectorIndex:
        """The index that was saved into ``folder``."""
        ...


def check_vector_index(make: Callable[[int], VectorIndex], load: LoadsIndex) -> None:
    """Examine a vector index.

    Args:
        make: an empty index of vectors of the given length.
        load: reads back what ``save`` wrote.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    rng = np.random.default_rng(0)
    vectors, queries = _unit_rows(rng, N_ROWS), _unit_rows(rng, 7)
    index = make(DIMENSION)
    name = f"vector index {type(index).__name__}"
    with Promise(name, "an empty index finds nothing") as promise:
        _require_answer(promise, index, queries, np.empty((0, DIMENSION), np.float32), 3, None)
        promise.require(index.search(queries[:0], 3)[0].shape == (0, 3), "no query did not give an answer of no rows")
    with Promise(name, "row i of the index is item row i, however they were added"):
        index.add(vectors[:50])
        index.add(vectors[:0])
        index.add(vectors[50:])
    with Promise(name, "the n nearest, best first, -1 where fewer") as promise:
        for n in (1, 10, N_ROWS, N_ROWS + 9):
            _require_answer(promise, index, queries, vectors, n, None)
    with Promise(name, "only allowed rows are found, limits before the cut") as promise:
        for allowed in (
            np.arange(N_ROWS) % 3 == 0,
            np.arange(N_ROWS) == 17,
            np.zeros(N_ROWS, np.bool_),
            np.ones(40, np.bool_),  # shorter than the index: what lies beyond is not allowed
        ):
            allowed.setflags(write=False)
            _require_answer(promise, index, queries, vectors, 10, allowed)
    with Promise(name, "safe to search from several threads") as promise:
        expected = index.search(queries, 10)[0]
        for rows, _ in in_threads(lambda _: index.search(queries, 10)):
            promise.require(np.array_equal(rows, expected), "threads found other rows")
    with Promise(name, "what is saved and loaded finds the same and can grow") as promise, empty_folder() as folder:
        index.save(folder)
        require_no_pickle(promise, folder)
        loaded = load(folder)
        _require_answer(promise, loaded, queries, vectors, 10, None)
        more = _unit_rows(rng, 5)
        loaded.add(more)
        _require_answer(promise, loaded, more, np.concatenate([vectors, more]), 3, None)


def check_embedding_store(make: Callable[[Path], EmbeddingStore]) -> None:
    """Examine an embedding store; ``make`` opens the one that is kept in a folder, anew or again.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    vectors = _unit_rows(np.random.default_rng(0), 20)
    hashes = [f"hash-{number}" for number in range(20)]
    with empty_folder() as folder:
        store = make(folder)
        name = f"embedding store {type(store).__name__}"
        with Promise(name, "absent vectors are left out") as promise:
            promise.require(store.read("model-1", hashes) == {}, "an empty store gave vectors")
            promise.require(store.read("model-1", []) == {}, "no hash gave vectors")
        with Promise(name, "what is kept is read back by fingerprint and hash, bit for bit") as promise:
            store.append("model-1", hashes[:12], vectors[:12])
            store.append("model-1", [], vectors[:0])
            _require_vectors(promise, store, "model-1", hashes, dict(zip(hashes[:12], vectors[:12], strict=True)))
            _require_vectors(promise, store, "model-2", hashes, {})
        with Promise(name, "a hash that is kept stays as it is; the others of the same call go in") as promise:
            store.append("model-1", hashes[10:], vectors[::-1][:10])
            kept = {
                **dict(zip(hashes[10:], vectors[::-1][:10], strict=True)),
                **dict(zip(hashes[:12], vectors[:12], strict=True)),
            }
            _require_vectors(promise, store, "model-1", hashes, kept)
        with Promise(name, "fingerprints do not mix") as promise:
            store.append("model-2", hashes[:1], vectors[5:6])
            _require_vectors(promise, store, "model-2", hashes, {hashes[0]: vectors[5]})
            _require_vectors(promise, store, "model-1", hashes, kept)
        with Promise(name, "several threads may write at once") as promise:
            in_threads(lambda number: store.append("model-3", hashes[number:], vectors[number:]))
            _require_vectors(promise, store, "model-3", hashes, dict(zip(hashes, vectors, strict=True)))
        with Promise(name, "what was kept is there when the store is opened again") as promise:
            again = make(folder)
            _require_vectors(promise, again, "model-1", hashes, kept)


def _require_vectors(
    promise: Promise, store: EmbeddingStore, fingerprint: str, hashes: list[str], wanted: dict[str, Float32Array]
) -> None:
    found = store.read(fingerprint, hashes)
    promise.require(found.keys() == wanted.keys(), f"{sorted(found)} are kept, wanted {sorted(wanted)}")
    for key, vector in wanted.items():
        promise.require(np.array_equal(found[key], vector), f"the vector of {key} is not the one that was kept")


def _require_answer(
    promise: Promise,
    index: VectorIndex,
    queries: Float32Array,
    vectors: Float32Array,
    n: int,
    allowed: np.ndarray | None,
) -> None:
    """Compare with looking at every row; small indexes are expected to be exact."""
    rows, cosines = index.search(queries, n, allowed)
    wanted_shape = (len(queries), n)
    promise.require(rows.shape == wanted_shape and rows.dtype == np.int64, f"rows {rows.shape} {rows.dtype}")
    promise.require(cosines.shape == wanted_shape and cosines.dtype == np.float32, f"cosines {cosines.shape}")
    usable = np.ones(len(vectors), np.bool_) if allowed is None else np.zeros(len(vectors), np.bool_)
    if allowed is not None:
        usable[: len(allowed)] = allowed[: len(vectors)]
    candidates = np.flatnonzero(usable)
    exact = queries @ vectors[candidates].T  # (q, usable)
    order = np.argsort(-exact, axis=1, kind="stable")[:, :n]
    n_found = order.shape[1]
    promise.require((rows[:, n_found:] == -1).all(), f"more than the {n_found} rows there are were found")
    wanted = np.take_along_axis(exact, order, axis=1)
    is_close = np.allclose(cosines[:, :n_found], wanted, atol=1e-3)
    promise.require(is_close, f"n = {n}: cosines {cosines[:, :n_found].tolist()}, by hand {wanted.tolist()}")
    promise.require(np.isin(rows[:, :n_found], candidates).all(), "a row was found that is not allowed or not there")
    for query, found, told in zip(queries, rows[:, :n_found], cosines[:, :n_found], strict=True):
        promise.require(np.allclose(vectors[found] @ query, told, atol=1e-3), "a cosine is not that of its row")
        promise.require(len(np.unique(found)) == len(found), "a row was found twice")


def _unit_rows(rng: np.random.Generator, n: int) -> Float32Array:
    rows = rng.normal(size=(n, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
