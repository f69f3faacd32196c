"""Vectors come back as they were kept, by model and content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aisle.errors import CorruptError, DataError
from aisle.storage import SqlEmbeddings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlEmbeddings]:
    made = SqlEmbeddings.open(tmp_path / "embeddings.db")
    yield made
    made.close()


def test_vectors_come_back_bit_for_bit_and_absent_ones_are_left_out(store: SqlEmbeddings) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    store.append("model", ["a", "b", "c"], vectors)

    found = store.read("model", ["c", "nothing", "a"])

    assert sorted(found) == ["a", "c"]
    assert found["a"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], vectors[0])
    np.testing.assert_array_equal(found["c"], vectors[2])


def test_models_do_not_see_each_others_vectors(store: SqlEmbeddings) -> None:
    store.append("one", ["a"], np.ones((1, 2), np.float32))
    store.append("two", ["a"], np.zeros((1, 3), np.float32))

    assert store.read("one", ["a"])["a"].tolist() == [1, 1]
    assert store.read("two", ["a"])["a"].tolist() == [0, 0, 0]
    assert store.read("three", ["a"]) == {}


def test_a_kept_vector_stays_as_it_is(store: SqlEmbeddings) -> None:
    store.append("model", ["a", "a"], np.array([[1, 1], [2, 2]], np.float32))
    store.append("model", ["a", "b"], np.array([[3, 3], [4, 4]], np.float32))

    found = store.read("model", ["a", "b"])

    assert (found["a"].tolist(), found["b"].tolist()) == ([1, 1], [4, 4])


def test_more_hashes_than_a_query_holds_are_read(store: SqlEmbeddings) -> None:
    hashes = [f"hash-{n}" for n in range(20_000)]
    vectors = np.arange(40_000, dtype=np.float32).reshape(20_000, 2)
    store.append("model", hashes, vectors)

    found = store.read("model", hashes)

    np.testing.assert_array_equal(np.stack([found[content_hash] for content_hash in hashes]), vectors)


@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_hashes_that_do_not_fit_the_vectors_are_refused(store: SqlEmbeddings, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="3 hashes"):
        store.append("model", ["a", "b", "c"], np.zeros(shape, np.float32))


def test_a_damaged_file_says_that_it_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.db"
    path.write_bytes(b"not a database, " * 1000)

    with pytest.raises(CorruptError, match="delete it"):
        SqlEmbeddings.open(path)
