"""Finds the rows that hold given words: tantivy, in memory.

Enters: the words of rows, already stemmed. Leaves: rows, likeliest first. Exact scores are worked out elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tantivy

from aisle.contracts import Rows

NAME = "name"
"""Words of title, brand, category and attributes."""
REST = "rest"
"""Words of the description."""
_REST_BOOST = 0.3
_WRITER_MEMORY_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Alternative:
    """One spelling or form of a word that was asked for, and how far it counts, in (0, 1]."""

    word: str
    weight: float


Group = Sequence[Alternative]
"""Alternatives of which a row needs one; the best counts."""


class InvertedIndex:
    """A tantivy index that is never written to disk: it is made from the token table in about 15 s a million rows.

    Words are looked up as they are, never parsed, so no query string means anything but its words.
    """

    def __init__(self) -> None:
        """An empty index."""
        builder = tantivy.SchemaBuilder()
        for field in (NAME, REST):
            builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
        builder.add_unsigned_field("row", indexed=True, fast=True)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        self._index.register_tokenizer(
            "whitespace", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        )
        self._index.config_reader(reload_policy="manual")
        self._writer = self._index.writer(heap_size=_WRITER_MEMORY_BYTES, num_threads=1)
        self._searcher = self._index.searcher()

    def put(self, rows: Iterable[int], names: Iterable[str], rests: Iterable[str], n_known: int) -> None:
        """Set rows to words joined by blanks; rows below ``n_known`` are replaced. Visible when this returns."""
        for row, name, rest in zip(rows, names, rests, strict=True):
            if row < n_known:
                self._writer.delete_documents_by_term("row", row)
            document = tantivy.Document()
            document.add_unsigned("row", row)
            document.add_text(NAME, name)
            document.add_text(REST, rest)
            self._writer.add_document(document)
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, groups: Sequence[Group], limit: int) -> Rows:
        """At most ``limit`` rows that hold at least one word, best BM25 first."""
        clauses = [(tantivy.Occur.Should, self._clause(group)) for group in groups]
        searcher = self._searcher
        hits = searcher.search(tantivy.Query.boolean_query(clauses), limit=limit, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return np.array(rows, dtype=np.int64)

    def _clause(self, group: Group) -> tantivy.Query:
        term = tantivy.Query.term_query
        parts: list[tantivy.Query] = []
        for alternative in group:
            for field, boost in ((NAME, 1.0), (REST, _REST_BOOST)):
                found = term(self._schema, field, alternative.word, index_option="freq")
                parts.append(tantivy.Query.boost_query(found, boost * alternative.weight))
        return tantivy.Query.disjunction_max_query(parts)
