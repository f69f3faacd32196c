"""Draws items the way the shop showed them before: popular ones often, from one category or from the whole shop.

Enters: the assortment and a day. Leaves: item rows. The weights behind the draw follow appeal, trend and an arbitrary
push, so that popularity has a long tail and is not the same as worth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.simulation.truth import Truth

PUSH = 1.2
"""How strongly appeal and push decide what is shown; raising it makes the tail longer."""


class Shelves:
    """Products by leaf category, oldest first, with cumulative weights; what is not yet created is never drawn.

    ``arrange`` must be called before the first draw and now and then afterwards, because trends move the weights.
    Cost: O(n_products) to arrange, O(log n_products) a draw.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        items = truth.assortment
        n = items.n_products
        self._order = np.lexsort((items.created_day[:n], items.leaf[:n]))
        self._created = items.created_day[self._order]
        leaves = np.arange(truth.vocabulary.n_leaves)
        self._begin = np.searchsorted(items.leaf[self._order], leaves, side="left")
        self._end = np.searchsorted(items.leaf[self._order], leaves, side="right")
        self._live_end = self._begin
        self._cumulative = np.zeros(n + 1)
        self._content = np.arange(n, items.n_items)

    def arrange(self, day: float) -> None:
        """Take the weights of ``day``."""
        items, rows = self._truth.assortment, self._order
        weight = np.exp(PUSH * (items.appeal[rows] + items.exposure[rows]) + self._truth.trend(rows, day))
        self._cumulative[1:] = np.cumsum(weight, dtype=np.float64)

    def open(self, day: float) -> None:
        """Let in what was created before ``day``; every category has something then."""
        self._live_end = np.array(
            [
                begin + int(np.searchsorted(self._created[begin:end], day))
                for begin, end in zip(self._begin, self._end, strict=True)
            ]
        )

    def draw(self, leaf: NDArray[np.integer], n_each: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """``n_each`` items for each leaf, with repetition, (len(leaf), n_each) rows."""
        low, high = self._cumulative[self._begin[leaf]], self._cumulative[self._live_end[leaf]]
        at = low[:, None] + rng.random((len(leaf), n_each)) * (high - low)[:, None]
        positions = np.searchsorted(self._cumulative, at.ravel(), side="right").reshape(at.shape) - 1
        # rounding may put a draw on the border
        return self._order[np.clip(positions, self._begin[leaf][:, None], self._live_end[leaf][:, None] - 1)]

    def draw_anywhere(self, n_lists: int, n_each: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """``n_each`` items for each list from the whole shop, (n_lists, n_each) rows."""
        weight = self._cumulative[self._live_end] - self._cumulative[self._begin]
        leaf = rng.choice(len(weight), size=n_lists * n_each, p=weight / weight.sum())
        return self.draw(leaf, 1, rng).reshape(n_lists, n_each)

    def draw_content(self, day: float, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """``n`` articles, promotions or advertisements that run on ``day``; empty when none does."""
        live = self._content[self._truth.assortment.is_live(self._content, day)]
        return rng.choice(live, size=n) if len(live) else np.empty(0, np.int64)


def first_different(rows: NDArray[np.int64], keys: NDArray[np.floating], n: int) -> NDArray[np.int64]:
    """Of each list the ``n`` different rows with the highest keys, best first, -1 padded. (lists, n)."""
    order = np.argsort(-keys, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    # an item seen earlier in the same list is dropped: sort by item, mark repeats, undo the sort
    by_item = np.argsort(ranked, axis=1, kind="stable")
    in_order = np.take_along_axis(ranked, by_item, axis=1)
    repeats = np.zeros(rows.shape, dtype=np.bool_)
    repeats[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    is_repeat = np.zeros(rows.shape, dtype=np.bool_)
    np.put_along_axis(is_repeat, by_item, repeats, axis=1)
    ranked = np.where(is_repeat | (ranked < 0), -1, ranked)
    front = np.argsort(ranked < 0, axis=1, kind="stable")[:, :n]
    return np.take_along_axis(ranked, front, axis=1)
