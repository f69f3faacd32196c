from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.contracts import Progress, silent
from aisle.errors import ConfigError, CorruptError
from aisle.language import RememberingEncoder, open_encoder
from aisle.language.batches import length_batches, padded
from aisle.language.remembered import content_hash
from aisle.settings import EncoderConfig
from aisle.storage import SqlEmbeddings
from aisle.testing import HashedWords


class _Counting(HashedWords):
    """Notes what it was asked to encode."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        self.asked += texts
        return super().encode(texts, progress=progress)


def test_a_text_is_encoded_once_in_a_lifetime(tmp_path) -> None:
    texts = ["green tea", "kettle", "green tea", ""]
    first = _Counting()
    vectors = RememberingEncoder(first, SqlEmbeddings.open(tmp_path / "vectors.db")).encode(texts)
    assert sorted(first.asked) == ["", "green tea", "kettle"]
    np.testing.assert_array_equal(vectors, HashedWords().encode(texts))

    second = _Counting()
    again = RememberingEncoder(second, SqlEmbeddings.open(tmp_path / "vectors.db")).encode([*texts, "boots"])

    assert second.asked == ["boots"]
    np.testing.assert_array_equal(again[:4], vectors)


def test_another_model_is_not_given_the_first_ones_vectors(tmp_path) -> None:
    store = SqlEmbeddings.open(tmp_path / "vectors.db")
    RememberingEncoder(HashedWords(64), store).encode(["tea"])

    assert RememberingEncoder(HashedWords(32), store).encode(["tea"]).shape == (1, 32)


def test_a_kept_vector_of_the_wrong_length_is_not_used(tmp_path) -> None:
    store = SqlEmbeddings.open(tmp_path / "vectors.db")
    store.append(HashedWords().fingerprint, [content_hash("tea")], np.ones((1, 3), dtype=np.float32))

    with pytest.raises(CorruptError, match="aisle train"):
        RememberingEncoder(HashedWords(), store).encode(["tea"])


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="onnx"):
        open_encoder(EncoderConfig(kind="onx"))


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 7))
def test_every_text_is_in_one_batch_and_lengths_ascend(lengths: list[int], batch_size: int) -> None:
    batches = list(length_batches(lengths, batch_size))

    assert all(1 <= len(batch) <= batch_size for batch in batches)
    order = [int(position) for batch in batches for position in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[position] for position in order] == sorted(lengths)


def test_padding_is_masked() -> None:
    tokens, mask = padded([[5, 6, 7], [8]])

    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
