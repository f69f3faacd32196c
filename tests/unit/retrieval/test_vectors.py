from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aisle.errors import CorruptError, DataError
from aisle.retrieval import vectors as module
from aisle.retrieval.vectors import CosineIndex

D = 32


def _unit(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unit rows around 20 centres, as texts lie around topics."""
    centres = np.random.default_rng(7).normal(size=(20, D))
    rows = centres[rng.integers(0, 20, n)] + 0.7 * rng.normal(size=(n, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _recall(index: CosineIndex, kept: np.ndarray, queries: np.ndarray, allowed: np.ndarray | None = None) -> float:
    """Share of the true ten nearest that are found."""
    cosines = queries @ kept.T
    if allowed is not None:
        cosines[:, ~allowed] = -np.inf
    true = np.argsort(-cosines, axis=1)[:, :10]
    rows, _ = index.search(queries, 10, allowed)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), true.tolist(), strict=True)]))


SIZES = {"flat": (10**9, 10**9, 1.0), "scanned": (100, 10**9, 0.95), "lists": (100, 200, 0.9)}


@pytest.fixture(params=SIZES)
def least_recall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    flat, scanned, recall = SIZES[request.param]
    monkeypatch.setattr(module, "FLAT_UP_TO", flat)
    monkeypatch.setattr(module, "SCANNED_UP_TO", scanned)
    monkeypatch.setattr(module, "_EXACT_BELOW", 200)
    return recall


def test_the_nearest_are_found_whatever_the_form(least_recall: float) -> None:
    rng = np.random.default_rng(0)
    kept, queries = _unit(rng, 1500), _unit(rng, 40)
    index = CosineIndex(D, kept)
    assert _recall(index, kept, queries) >= least_recall
    for share in (0.95, 0.5, 0.2, 0.01):
        allowed = rng.random(1500) < share
        assert _recall(index, kept, queries, allowed) >= least_recall
        rows, _ = index.search(queries, 10, allowed)
        assert allowed[rows[rows >= 0]].all()


def test_added_and_replaced_rows_are_found_at_once_and_after_moving_in(
    least_recall: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    kept, more, queries = _unit(rng, 1500), _unit(rng, 300), _unit(rng, 40)
    index = CosineIndex(D, kept)
    index.add(more[:200])
    index.put(np.arange(50, 150), more[200:])
    expected = np.concatenate([kept, more[:200]])
    expected[50:150] = more[200:]
    assert index.n_rows == 1700
    assert _recall(index, expected, queries) >= least_recall

    monkeypatch.setattr(module, "_FOLD_AT", 1)
    index.add(_unit(rng, 1))
    expected = np.concatenate([expected, index.vectors(np.array([1700]))])

    assert _recall(index, expected, queries) >= least_recall
    np.testing.assert_allclose(index.vectors(np.arange(1701)), expected, atol=0.05)


def test_loaded_answers_are_those_before(least_recall: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    index = CosineIndex(D, _unit(rng, 500))
    index.put(np.array([3, 700]), _unit(rng, 2))
    queries = _unit(rng, 5)
    before = index.search(queries, 20)
    index.save(tmp_path)

    loaded = CosineIndex.load(tmp_path)

    assert loaded.n_rows == 701
    for a, b in zip(before, loaded.search(queries, 20), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ties_go_to_the_lower_row_and_missing_places_are_marked() -> None:
    same = np.tile(np.eye(1, D, dtype=np.float32), (3, 1))
    index = CosineIndex(D, same)

    rows, cosines = index.search(same[:1], 5)

    assert rows.tolist() == [[0, 1, 2, -1, -1]]
    assert cosines[0, :3].tolist() == [1, 1, 1]
    assert np.isneginf(cosines[0, 3:]).all()


def test_a_gap_holds_nothing_until_it_is_filled() -> None:
    rng = np.random.default_rng(3)
    index = CosineIndex(D)
    later = _unit(rng, 1)
    index.put(np.array([5]), later)

    assert index.search(later, 3)[0].tolist() == [[5, -1, -1]]
    assert np.isnan(index.vectors(np.array([2]))).all()


def test_a_mask_that_ends_early_allows_nothing_beyond() -> None:
    kept = _unit(np.random.default_rng(4), 50)
    rows, _ = CosineIndex(D, kept).search(kept[:1], 50, np.ones(10, dtype=np.bool_))
    assert set(rows[0].tolist()) == {*range(10), -1}


def test_searching_an_empty_index_finds_nothing() -> None:
    assert CosineIndex(D).search(np.eye(1, D, dtype=np.float32), 2)[0].tolist() == [[-1, -1]]


def test_wrong_vectors_are_refused() -> None:
    index = CosineIndex(D)
    with pytest.raises(DataError, match=r"\(n, 32\)"):
        index.add(np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(DataError, match="finite"):
        index.add(np.full((1, D), np.nan, dtype=np.float32))


@pytest.mark.parametrize("file", ["vectors.faiss", "recent.npz", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_refused(file: str, damage: str, tmp_path: Path) -> None:
    CosineIndex(D, _unit(np.random.default_rng(5), 100)).save(tmp_path)
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if damage == "flip" else bytes(content[: len(content) // 2]))

    with pytest.raises(CorruptError, match="aisle train"):
        CosineIndex.load(tmp_path)
