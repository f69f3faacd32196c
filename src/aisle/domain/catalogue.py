"""The items as arrays: what filters and sources look up by row.

``item_row`` is an item's position here and in every array made from it. Rows are appended and never reused, so a model
fitted on the first n rows stays valid while the catalogue grows. Texts stay in the record store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain.attributes import ItemAttributes
from aisle.domain.items import ItemKind
from aisle.domain.tables import ItemTable
from aisle.errors import DataError

ITEM_KINDS: tuple[str, ...] = tuple(kind.value for kind in ItemKind)
NO_VALUE = -1
"""Stands for an absent code, price, stock or time in the integer arrays."""

_COLUMNS: dict[str, type[np.generic]] = {
    "kind": np.int8,
    "category": np.int32,
    "brand": np.int32,
    "seller": np.int32,
    "currency": np.int32,
    "price_minor": np.int64,
    "cost_minor": np.int64,
    "stock": np.int64,
    "created_ms": np.int64,
    "starts_ms": np.int64,
    "ends_ms": np.int64,
    "is_available": np.bool_,
}


class Names:
    """Text values numbered in order of first appearance."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._code_of: dict[str, int] = {}

    def code(self, value: str) -> int:
        """The number of ``value``, a new one if it was never seen."""
        code = self._code_of.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def find(self, value: str) -> int:
        """The number of ``value`` or ``NO_VALUE``."""
        return self._code_of.get(value, NO_VALUE)


class Catalogue:
    """Item ids and the columns that requests filter on, growing by appended rows.

    Reading is lock-free: a reader takes ``n_items`` and slices; writers append behind it. Category nodes are full paths
    joined by ``" > "``; ``category`` holds the deepest node of each item.

    Memory: about 60 bytes an item plus its id, which counts twice where it holds capitals, and its ``attributes``.
    """

    def __init__(self, items: ItemTable | None = None) -> None:
        self.item_ids: list[str] = []
        self.brands = Names()
        self.sellers = Names()
        self.currencies = Names()
        self.categories = Names()
        self.attributes = ItemAttributes()
        self.version = 0
        """Raised by every change; caches of masks are keyed by it."""
        self._row_of: dict[str, int] = {}
        self._row_of_folded: dict[str, int] = {}
        self._ancestors: list[tuple[int, ...]] = []
        self._arrays: dict[str, NDArray[Any]] = {name: np.zeros(16, dtype=dtype) for name, dtype in _COLUMNS.items()}
        self._lock = threading.Lock()
        if items is not None:
            self.extend(items)

    @property
    def n_items(self) -> int:
        """Number of rows."""
        return len(self.item_ids)

    def row(self, item_id: str) -> int:
        """The row of ``item_id`` or ``NO_VALUE``."""
        return self._row_of.get(item_id, NO_VALUE)

    def rows(self, item_ids: Iterable[str | None]) -> NDArray[np.int64]:
        """Rows of ``item_ids``, ``NO_VALUE`` where unknown. (n,) int64."""
        find = self._row_of.get
        return np.fromiter((NO_VALUE if i is None else find(i, NO_VALUE) for i in item_ids), dtype=np.int64)

    def typed_row(self, text: str) -> int:
        """The row of the item whose id somebody typed, capitals aside, or ``NO_VALUE``; an id exactly so goes first."""
        row = self.row(text)
        if row != NO_VALUE:
            return row
        folded = text.casefold()
        return self._row_of_folded.get(folded, self.row(folded))

    def ids(self, item_rows: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """Ids at ``item_rows``."""
        return [self.item_ids[row] for row in item_rows]

    def column(self, name: str) -> NDArray[Any]:
        """One column, (n_items,): a view that later rows do not change. Names: those of ``_COLUMNS``."""
        n = self.n_items  # before the array: one that a writer is replacing may be too short for a later count
        return self._arrays[name][:n]

    def category_nodes(self, item_row: int) -> tuple[int, ...]:
        """Category codes of an item from the root down; empty without a category."""
        leaf = int(self._arrays["category"][item_row])
        return () if leaf == NO_VALUE else self._ancestors[leaf]

    def ancestors(self, category: int) -> tuple[int, ...]:
        """Codes of a category and of every one above it, root first."""
        return self._ancestors[category]

    def in_category(self, path: str) -> NDArray[np.bool_]:
        """Which items lie in ``path`` (joined by ``" > "``) or below it. (n_items,) bool."""
        wanted = self.categories.find(path)
        leaf = self.column("category").copy()  # before the nodes: a writer adds a node first, then items in it
        below = np.array([wanted in nodes for nodes in self._ancestors], dtype=np.bool_)
        if not len(below):
            return np.zeros(len(leaf), dtype=np.bool_)
        return (leaf != NO_VALUE) & below[leaf]

    def extend(self, items: ItemTable) -> NDArray[np.int64]:
        """Append new items, overwrite the columns of known ones; returns the row of each. (len(items),) int64."""
        with self._lock:
            frame = items.frame
            ids = frame["item_id"].to_list()
            first_new = len(self.item_ids)
            rows = np.empty(len(ids), dtype=np.int64)
            new: dict[str, int] = {}
            for position, item_id in enumerate(ids):
                row = self._row_of.get(item_id)
                rows[position] = new.setdefault(item_id, first_new + len(new)) if row is None else row
            self._grow(first_new + len(new))
            self._arrays["kind"][rows] = frame["kind"].to_physical().to_numpy()
            self._arrays["category"][rows] = [self._category_code(path) for path in frame["category"].to_list()]
            named = (("brand", self.brands), ("seller", self.sellers), ("currency", self.currencies))
            for name, names in named:
                self._arrays[name][rows] = [
                    NO_VALUE if value is None else names.code(value) for value in frame[name].to_list()
                ]
            for name in ("price_minor", "cost_minor", "stock", "created_ms", "starts_ms", "ends_ms"):
                self._arrays[name][rows] = frame[name].fill_null(NO_VALUE).to_numpy()
            self._arrays["is_available"][rows] = frame["is_available"].to_numpy()
            self.attributes.put(rows, frame["attributes"])
            # Only now can readers find the new rows: everything that they look up by row is there.
            self.item_ids.extend(new)
            self._row_of.update(new)
            for item_id, row in new.items():
                folded = item_id.casefold()
                if folded != item_id:
                    self._row_of_folded.setdefault(folded, row)
            self.version += 1
            return rows

    def showable(self, now_ms: int) -> NDArray[np.bool_]:
        """Which items may be shown at ``now_ms`` at all: not withdrawn, inside their dates. (n_items,)"""
        n = self.n_items
        starts, ends = self._arrays["starts_ms"][:n], self._arrays["ends_ms"][:n]
        return (
            self._arrays["is_available"][:n].astype(np.bool_)
            & ((starts == NO_VALUE) | (starts <= now_ms))
            & ((ends == NO_VALUE) | (ends > now_ms))
        )

    def _category_code(self, path: Sequence[str]) -> int:
        if not path:
            return NO_VALUE
        nodes: list[int] = []
        for depth in range(1, len(path) + 1):
            code = self.categories.code(category_path(path[:depth]))
            nodes.append(code)
            if code == len(self._ancestors):
                self._ancestors.append(tuple(nodes))
        return nodes[-1]

    def _grow(self, n: int) -> None:
        capacity = len(self._arrays["kind"])
        if n <= capacity:
            return
        larger = max(n, 2 * capacity)
        for name, array in self._arrays.items():
            grown = np.zeros(larger, dtype=array.dtype)
            grown[: len(array)] = array
            self._arrays[name] = grown


def category_path(path: Sequence[str]) -> str:
    """The one way a category path is written as text."""
    return " > ".join(path)


def require_rows(catalogue: Catalogue, item_ids: Sequence[str]) -> NDArray[np.int64]:
    """Rows of ``item_ids``; raises ``DataError`` naming the first id that is not in the catalogue."""
    rows = catalogue.rows(item_ids)
    if (rows == NO_VALUE).any():
        unknown = item_ids[int(np.argmax(rows == NO_VALUE))]
        raise DataError(f"unknown item {unknown!r}; bring it in first (add_items or `aisle import`)", field="item_id")
    return rows


def codes_of_kinds(kinds: Iterable[ItemKind | str]) -> NDArray[np.int8]:
    """Codes of item kinds as in the ``kind`` column."""
    return np.array([ITEM_KINDS.index(str(kind)) for kind in kinds], dtype=np.int8)


def frame_of_rows(catalogue: Catalogue) -> pl.DataFrame:
    """``item_id`` and ``item_row`` of every item, for joins."""
    return pl.DataFrame({"item_id": catalogue.item_ids, "item_row": np.arange(catalogue.n_items, dtype=np.int32)})
