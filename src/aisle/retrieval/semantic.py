"""Items whose meaning is near: to what was typed, to the items a list is about, or to what a user looked at.

Enters: item texts, through the encoder that is handed in. Leaves: ``Candidates`` scored by cosine.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from aisle import settings
from aisle.contracts import Encoder, Float32Array, Parts, Reader, Rows
from aisle.domain import (
    EVENT_CODE,
    INTEREST_TYPES,
    NO_VALUE,
    UNKNOWN_LANGUAGE,
    Candidates,
    EventTable,
    ItemTable,
    Request,
    Snapshot,
)
from aisle.errors import ConfigError, CorruptError
from aisle.retrieval.vectors import CosineIndex
from aisle.storage.arrays import read_arrays, write_arrays

_INTEREST_CODES = np.array([EVENT_CODE[event_type] for event_type in INTEREST_TYPES], dtype=np.uint8)
_QUERIES_AT_ONCE = 256
"""Requests searched together; one block of cosines stays under 100 MB at 100k items."""


class SemanticConfig(settings.Config):
    """What is encoded of an item, and how a history becomes a point."""

    language: str | None = None
    """Which of an item's texts is encoded; None, or one the item lacks, is its first."""
    description_characters: int = Field(default=200, ge=0)
    """How much of the description is encoded after title, brand and category; raising it costs encoding time."""
    n_history: int = Field(default=20, ge=1)
    """Latest interactions that stand for a user."""
    history_decay: float = Field(default=0.8, gt=0, le=1)
    """Weight of an interaction against the one after it; raising it looks further back."""
    max_unread: float = Field(default=0.3, ge=0, le=1)
    """Share of a query's tokens that the encoder may have no token for; a query above it is left to other sources.
    Raising it answers queries in writings that the model does not know, with whatever lies near by accident."""
    n_remembered_queries: int = Field(default=10_000, ge=0)
    """Vectors of the latest queries kept in memory (1.5 KB each at 384 dimensions)."""


class Semantic:
    """Cosine between vectors of texts.

    A request with a query is answered by its text, if the encoder can read it; without one by its anchors' mean vector;
    without anchors by the recency-weighted mean of the user's interactions. Anchors themselves are not proposed.

    Cost: fitting encodes every text once; a query is one encoding (about 4 ms, remembered for repeats) and one search.
    """

    Config: ClassVar[type[settings.Config]] = SemanticConfig
    is_index: ClassVar[bool] = True

    def __init__(self, name: str, config: SemanticConfig, parts: Parts, index: CosineIndex, texts: NDArray) -> None:
        """See ``fit`` and ``load``; ``texts`` (n_rows,) uint64 are hashes of the texts in the index, 0 for none."""
        self.name = name
        self._config = config
        self._catalogue = parts.catalogue
        self._encoder = _encoder_of(parts)
        self._query_encoder = parts.query_encoder or self._encoder
        self._index = index
        self._texts: NDArray[np.uint64] = texts
        self._extending = threading.Lock()
        self._queries: OrderedDict[str, Float32Array] = OrderedDict()
        self._queries_lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: SemanticConfig, parts: Parts) -> Self:
        """Encode every item of ``snapshot``."""
        encoder = _encoder_of(parts)
        texts = item_texts(snapshot.items, config)
        index = CosineIndex(encoder.dimension, encoder.encode(texts, progress=parts.progress))
        return cls(name, config, parts, index, _hashes(texts))

    @classmethod
    def load(cls, name: str, folder: Path, config: SemanticConfig, parts: Parts) -> Self:
        """Read back what ``save`` wrote.

        Raises:
            CorruptError: a file is damaged, or the vectors are another encoder's and so mean nothing to this one.
        """
        index = CosineIndex.load(folder)
        arrays = read_arrays(folder, "texts", "fingerprint")
        made_by, wanted = str(arrays["fingerprint"]), _encoder_of(parts).fingerprint
        if made_by != wanted:
            raise CorruptError(
                f"the vectors in {folder} are of encoder {made_by}, the settings name {wanted}; run `aisle train`",
                path=str(folder),
            )
        return cls(name, config, parts, index, arrays["texts"])

    def save(self, folder: Path) -> None:
        """Write vectors, text hashes and the encoder's fingerprint."""
        with self._extending:
            self._index.save(folder)
            write_arrays(folder, {"texts": self._texts, "fingerprint": np.array(self._encoder.fingerprint)})

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """Up to ``n`` nearest items each, best first; empty for a request without query, anchors and history."""
        points, has_point = self._points(requests)
        found = [Candidates.empty(self.name) for _ in requests]
        together: dict[int | None, list[int]] = {}
        for position in np.flatnonzero(has_point).tolist():
            allowed = requests[position].allowed
            together.setdefault(None if allowed is None else id(allowed), []).append(position)
        for positions in together.values():
            for start in range(0, len(positions), _QUERIES_AT_ONCE):
                batch = positions[start : start + _QUERIES_AT_ONCE]
                left_out = [_left_out(requests[position]) for position in batch]
                n_more = n + max(len(rows) for rows in left_out)
                rows, cosines = self._index.search(points[batch], n_more, requests[batch[0]].allowed)
                for place, position in enumerate(batch):
                    kept = (rows[place] >= 0) & ~np.isin(rows[place], left_out[place])
                    found[position] = Candidates.of_one(self.name, rows[place][kept][:n], cosines[place][kept][:n])
        return found

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Cosines of given items, nan without a query, anchors and history, and for rows that have no vector."""
        points, has_point = self._points(requests)
        return [
            self._index.vectors(rows) @ points[position]
            if has_point[position]
            else np.full(len(rows), np.nan, dtype=np.float32)
            for position, rows in enumerate(item_rows)
        ]

    def item_vectors(self, item_rows: Rows) -> Float32Array:
        """The unit vectors of ``item_rows`` (k,), (k, d) float32; nan rows where there is none."""
        return self._index.vectors(item_rows)

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Encode items whose text is new or changed; events are read from each request's history."""
        del events
        if not len(items):
            return
        with self._extending:
            rows = self._catalogue.rows(items.frame["item_id"].to_list())
            known = np.flatnonzero(rows != NO_VALUE)
            # An item may come twice in one page; its last form counts.
            last = {int(rows[position]): int(position) for position in known}
            order = np.array(sorted(last), dtype=np.int64)
            texts = item_texts(ItemTable(items.frame[[last[int(row)] for row in order]]), self._config)
            hashes = _hashes(texts)
            n_rows = max(len(self._texts), int(order.max()) + 1 if len(order) else 0)
            grown = np.zeros(n_rows, dtype=np.uint64)
            grown[: len(self._texts)] = self._texts
            changed = np.flatnonzero(grown[order] != hashes)
            if not len(changed):
                return
            grown[order[changed]] = hashes[changed]
            self._index.put(order[changed], self._encoder.encode([texts[position] for position in changed]))
            self._texts = grown

    def _points(self, requests: Sequence[Request]) -> tuple[Float32Array, NDArray[np.bool_]]:
        """(n_requests, d) unit rows to search near, and which requests have one."""
        points = np.zeros((len(requests), self._index.dimension), dtype=np.float32)
        texts = [request.query.effective.strip() if request.query else "" for request in requests]
        typed = self._readable([position for position, text in enumerate(texts) if text], texts)
        if typed:
            points[typed] = self._encoded([texts[position] for position in typed])
        for position, request in enumerate(requests):
            if request.query is None:
                points[position] = self._mean(*self._about(request))
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        return np.divide(points, norms, out=points, where=norms > 0), norms[:, 0] > 0

    def _readable(self, typed: list[int], texts: list[str]) -> list[int]:
        """Those of the positions ``typed`` whose text the encoder can read."""
        if not typed or not isinstance(self._query_encoder, Reader):
            return typed
        unread = self._query_encoder.unread_shares([texts[position] for position in typed])
        return [position for position, share in zip(typed, unread, strict=True) if share <= self._config.max_unread]

    def _about(self, request: Request) -> tuple[Rows, Float32Array]:
        """Rows that stand for a request without a query, and their weights."""
        if len(request.anchor_rows):
            return request.anchor_rows, np.ones(len(request.anchor_rows), dtype=np.float32)
        state = request.state
        rows = state.item_rows[np.isin(state.types, _INTEREST_CODES)][-self._config.n_history :]
        return rows, self._config.history_decay ** np.arange(len(rows))[::-1].astype(np.float32)

    def _mean(self, rows: Rows, weights: Float32Array) -> Float32Array:
        vectors = self._index.vectors(rows)  # (k, d), nan where a row has none
        known = np.isfinite(vectors).all(axis=1)
        return weights[known] @ vectors[known]

    def _encoded(self, texts: list[str]) -> Float32Array:
        """Vectors of queries; repeated ones come from memory."""
        with self._queries_lock:
            vector_of = {text: self._queries[text] for text in texts if text in self._queries}
        missing = [text for text in dict.fromkeys(texts) if text not in vector_of]
        if missing:
            vector_of.update(zip(missing, self._query_encoder.encode(missing), strict=True))
        with self._queries_lock:
            for text in vector_of:
                self._queries[text] = vector_of[text]
                self._queries.move_to_end(text)
            while len(self._queries) > self._config.n_remembered_queries:
                self._queries.popitem(last=False)
        return np.stack([vector_of[text] for text in texts])


def item_texts(items: ItemTable, config: SemanticConfig) -> list[str]:
    """What is encoded of each item: title, brand, category and the start of the description, one after another."""
    chosen = _chosen(config)
    description = chosen.struct.field("description").str.slice(0, config.description_characters)
    title = chosen.struct.field("title")
    brand = pl.when(~title.str.contains(pl.col("brand"), literal=True)).then(pl.col("brand"))
    named = [title, brand, pl.col("category").list.last(), description]
    filled = [pl.when(part.str.strip_chars() != "").then(part.str.strip_chars()) for part in named]
    joined = pl.concat_str(filled, separator=". ", ignore_nulls=True).fill_null("").alias("text")
    return items.frame.select(joined)["text"].to_list()


def item_titles(items: ItemTable, config: SemanticConfig) -> list[tuple[str, str]]:
    """The title with which each text of ``item_texts`` begins, and its language."""
    chosen = _chosen(config)
    title = chosen.struct.field("title").fill_null("").str.strip_chars()
    language = chosen.struct.field("language").fill_null(UNKNOWN_LANGUAGE)
    return items.frame.select(title.alias("title"), language.alias("language")).rows()


def _chosen(config: SemanticConfig) -> pl.Expr:
    """The one of an item's texts that is encoded."""
    texts = pl.col("texts")
    if config.language is None:
        return texts.list.first()
    in_language = texts.list.filter(pl.element().struct.field("language") == config.language).list.first()
    return pl.coalesce(in_language, texts.list.first())


def _left_out(request: Request) -> Rows:
    about = request.anchor_rows if request.query is None else request.anchor_rows[:0]
    return np.concatenate([request.excluded_rows, about])


def _encoder_of(parts: Parts) -> Encoder:
    if parts.encoder is None:
        raise ConfigError("the semantic source needs an encoder; set [encoder] or leave the source out")
    return parts.encoder


def _hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) uint64, never 0."""
    digests = (hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts)
    return np.fromiter((int.from_bytes(digest, "little") or 1 for digest in digests), dtype=np.uint64, count=len(texts))
