"""N-grams of texts and pairs are those that scikit-learn finds; broken texts have some, or none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from aisle.language.ngrams import N_SHARES, Ngrams, count

TEXTS = ["A steel kettle, red", "red  RED steel pan", "wooden spoon", "kettle", "", "5 oz. of tea"]
NEW = ["a red tea kettle", "pan pan pan", "zzz", ""]
ALL = 1_000_000


def alone(texts: list[str]) -> list[None]:
    return [None] * len(texts)


def test_products_of_rows_are_those_of_scikit_learn() -> None:
    ngrams = Ngrams.of(count(TEXTS, alone(TEXTS)), ALL)

    rows = [ngrams.weighted(count(texts, alone(texts))) for texts in (TEXTS, NEW)]

    wanted = np.zeros((len(TEXTS), len(NEW)))
    n_ngrams = 0
    for settings in (
        {"analyzer": "char", "ngram_range": (1, 3)},
        {"token_pattern": r"(?u)\w+", "ngram_range": (1, 2)},
    ):
        peer = TfidfVectorizer(sublinear_tf=True, **settings)
        wanted += np.asarray((peer.fit_transform(TEXTS) @ peer.transform(NEW).T).todense())
        n_ngrams += len(peer.vocabulary_)
    np.testing.assert_allclose((rows[0] @ rows[1].T).toarray(), wanted, atol=1e-5)
    assert len(ngrams.ids) == n_ngrams
    assert rows[0].get_shape() == (6, n_ngrams + N_SHARES)


def test_chinese_is_read_by_words_and_characters() -> None:
    texts = ["质量很好", "很好的质量", "物流太慢", "ＡＢＣ 质量"]
    ngrams = Ngrams.of(count(texts, alone(texts)), ALL)
    rows = ngrams.weighted(count(texts, alone(texts)))
    like = (rows @ rows.T).toarray()

    assert like[0, 1] > 0.5
    assert like[0, 2] == 0.0
    wide = ngrams.weighted(count(["abc 质量"], [None]))
    np.testing.assert_allclose(wide.toarray(), rows[3].toarray())


def test_of_a_pair_what_stands_in_both_is_told_apart() -> None:
    texts, second = ["red kettle", "blue kettle", "red pan"], ["kettle", "red", None]
    counts = count(texts, second)
    ngrams = Ngrams.of(counts, ALL)

    rows = ngrams.weighted(counts).toarray()

    np.testing.assert_allclose(counts.shares[0], [1.0, 1.0])
    assert counts.shares[1, 0] < 0.5  # the e of blue, no more
    assert counts.shares[1, 1] == 0.0
    np.testing.assert_allclose(counts.shares[2], 0.0)
    np.testing.assert_allclose(rows[:, -N_SHARES:], counts.shares)
    kinds = ngrams.ids & 7
    assert set(kinds.tolist()) == {0, 1, 2, 3, 4, 5}
    lengths = np.stack([np.linalg.norm(rows[:, :-N_SHARES][:, kinds == kind], axis=1) for kind in range(6)])
    np.testing.assert_allclose(lengths[:, 0], 1.0, rtol=0.2)  # all of the second text stands in the first
    np.testing.assert_allclose(lengths[2:, 2], 0.0)
    assert 0.0 < lengths[4, 1] < 0.6
    swapped = ngrams.weighted(count(second[:2], texts[:2])).toarray()
    assert np.abs(swapped - rows[:2]).max() > 0.1


def test_where_there_are_too_many_those_in_most_texts_stay() -> None:
    texts = ["red cup", "red pan", "red hat", "odd"]
    counts = count(texts, alone(texts))

    few = Ngrams.of(counts, 5)

    assert len(few.ids) == 5
    assert set(few.ids) <= set(counts.ids)
    # d is in all four texts; r, e, re, ed, red and the word red are in three
    np.testing.assert_allclose(np.sort(few.rarity), np.log(5 / np.array([5, 4, 4, 4, 4])) + 1.0, rtol=1e-6)
    rows = few.weighted(count(["xyz", "red"], [None, None])).toarray()
    assert not rows[0].any()
    assert rows[1].any()
    assert (np.diff(few.ids.astype(np.int64)) > 0).all()


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "。。！！", "\ud800", "\ud83d\ude00 x", "😀", "\x00", "ﷺ", "a" * 50_000]
)
def test_any_text_has_finite_rows(text: str) -> None:
    ngrams = Ngrams.of(count([text, "red kettle"], [None, text]), ALL)
    found = ngrams.weighted(count([text, "kettle", text], [text, None, "red"])).toarray()
    assert found.shape[0] == 3
    assert np.isfinite(found).all()
    assert np.isfinite(Ngrams.of(count([], []), ALL).weighted(count([text], [None])).toarray()).all()


def test_a_text_is_read_alike_alone_and_among_thousands() -> None:
    texts = [f"thing {number % 97} of {number % 13}" for number in range(9_000)]
    second = [f"thing {number % 7}" if number % 2 else None for number in range(9_000)]
    ngrams = Ngrams.of(count(texts[:300], second[:300]), ALL)

    many = ngrams.weighted(count(texts, second, ngrams.ids))

    for row in (0, 4_095, 4_096, 8_999):
        one = ngrams.weighted(count([texts[row]], [second[row]]))
        np.testing.assert_allclose(many[row].toarray(), one.toarray(), atol=1e-6)
