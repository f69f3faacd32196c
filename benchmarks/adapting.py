"""What adapting the language model to a shop's words and judgments brings its search; used by ``product_search``.

Queries are split 80/10/10 by a hash of their text into training, validation and test. Models are compared alone, by
exact cosine over all titles, and together with BM25.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array
from aisle.language.contrast_pairs import TextPairs
from aisle.language.tower import TextTower, place

MAX_TOKENS = 64
POSITIVE, BAD = 2.33, 1.67
"""Judged titles of at least the one answer a query, of at most the other do not."""

Judgments = Mapping[str, Mapping[str, float]]
Int64Array = NDArray[np.int64]


def part_of(query: str) -> str:
    """``training``, ``validation`` or ``test``, by a hash of the query."""
    number = zlib.crc32(f"a3{query}".encode()) % 10
    return "test" if number == 9 else "validation" if number == 8 else "training"


def judged_pairs(judged: Judgments, titles: Mapping[str, str]) -> TextPairs:
    """Queries and the titles judged to answer them; titles judged not to are their known wrong ones."""
    queries, ids = list(judged), sorted({product for grades in judged.values() for product in grades})
    row_of = {product: row for row, product in enumerate(ids)}
    pairs = [
        (number, row_of[product])
        for number, query in enumerate(queries)
        for product, grade in judged[query].items()
        if grade >= POSITIVE
    ]
    wrong = {
        number: np.array([row_of[product] for product, grade in judged[query].items() if grade <= BAD], dtype=np.int64)
        for number, query in enumerate(queries)
    }
    left, right = np.array(pairs, dtype=np.int64).T
    return TextPairs(
        queries,
        [titles[product] for product in ids],
        left,
        right,
        {one: rows for one, rows in wrong.items() if len(rows)},
    )


@dataclass(frozen=True)
class Search:
    """Titles to search, and judged queries to measure on."""

    ids: list[str]
    titles: list[str]
    judged: Judgments

    def ndcg(self, tower: TextTower, tokenizer: Any, depth: int = 10) -> float:
        """Mean ndcg@10 by exact cosine."""
        found, asked = (place(tower, tokenizer, texts, MAX_TOKENS) for texts in (self.titles, list(self.judged)))
        return float(np.mean(self.gains(best_rows(asked, found, depth))))

    def gains(self, lists: Sequence[Int64Array]) -> list[float]:
        """ndcg@10 of each query's rows; see ``product_search.PROTOCOL``."""
        discount, gains = 1.0 / np.log2(np.arange(2, 12)), []
        for grades, rows in zip(self.judged.values(), lists, strict=True):
            got = np.array([grades.get(self.ids[row], 1.0) - 1.0 for row in rows[:10]])
            best = np.sort(np.array(list(grades.values())) - 1.0)[::-1][:10]
            ideal = float(best @ discount[: len(best)])
            gains.append(float(got @ discount[: len(got)]) / ideal if ideal > 0 else 0.0)
        return gains


def best_rows(asked: Float32Array, found: Float32Array, depth: int) -> list[Int64Array]:
    """Rows of ``found`` nearest to each of ``asked``, best first, ties by row."""
    lists: list[Int64Array] = []
    for start in range(0, len(asked), 64):
        cosines = asked[start : start + 64] @ found.T  # (64, n)
        near = np.argpartition(-cosines, depth, axis=1)[:, :depth]
        for row, columns in enumerate(near):
            lists.append(columns[np.lexsort((columns, -cosines[row, columns]))])
    return lists
