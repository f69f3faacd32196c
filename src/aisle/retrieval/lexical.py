"""Items whose words are those of the query: title, brand, category, attributes and description.

Enters: item texts in any language. Leaves: ``Candidates`` scored by BM25F. tantivy finds, ``lexical_score`` weighs.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle import settings
from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import (
    NO_VALUE,
    Candidates,
    Catalogue,
    EventTable,
    ItemTable,
    Request,
    Snapshot,
    allowed_mask,
)
from aisle.errors import CorruptError
from aisle.language.analysis import stems, words
from aisle.language.chinese import is_chinese
from aisle.language.spelling import Spelling
from aisle.retrieval.inverted import InvertedIndex
from aisle.retrieval.lexical_score import Weighting, lexical_scores
from aisle.retrieval.meant_words import stems_with_meaning, with_meant
from aisle.retrieval.query_words import QueryWords, read_query
from aisle.retrieval.token_table import TokenTable
from aisle.storage.checksums import check_files, write_checksums

FIELDS = ("title", "brand", "category", "attributes", "description")
_DESCRIPTION = FIELDS.index("description")
_ROWS_AT_ONCE = 10_000
_ROOM = 1.1
"""Rows looked for beside those wanted, where some are not allowed."""
_USES = "uses.json"
"""How many items ever used each word as it is written; corrections are chosen among these."""
_RESPELL_GROWTH = 1.05
"""New words become corrections once the vocabulary has grown by this factor; they are found at once as they are."""


class LexicalConfig(settings.Config):
    """Weights of fields and constants of the score."""

    title_weight: float = Field(default=1.0, ge=0)
    """Weight of a word in the title; raising one field's weight lets its words count more."""
    brand_weight: float = Field(default=0.8, ge=0)
    """Weight of a word in the brand."""
    category_weight: float = Field(default=0.5, ge=0)
    """Weight of a word in the category path."""
    attributes_weight: float = Field(default=0.5, ge=0)
    """Weight of a word in attribute values."""
    description_weight: float = Field(default=0.2, ge=0)
    """Weight of a word in the description."""
    description_words: int = Field(default=200, ge=0)
    """Words of each description that are indexed; raising it costs 5 bytes a word and finds rarer matches."""
    k1: float = Field(default=0.4, ge=0)
    """How much repeating a word adds; 0 means nothing. Titles are short, so less than in prose (1.2)."""
    b: float = Field(default=0.6, ge=0, le=1)
    """How much a long field is held against its words; 0 not at all."""
    coverage: float = Field(default=0.5, ge=0)
    """Power of the share of the query that was found; raising it prefers items with all the words."""
    proximity: float = Field(default=1.0, ge=0)
    """Bonus for query words that stand side by side."""
    n_corrections: int = Field(default=3, ge=0)
    """Corrections tried for a word that no item uses; 0 corrects nothing."""


class Lexical:
    """Words, stemmed (English) or segmented (Chinese), of all an item's languages at once.

    The best rows by tantivy's own BM25 are scored again exactly; the same score serves ``score``. Words that no item
    uses are taken for their likeliest corrections. Any query string is safe: it is read as words, never as syntax.

    Cost on one core, 54,667 titles: 1.2 ms a query, 4 s to fit, 0.9 s to load, 4 MB on disk.
    """

    Config: ClassVar[type[settings.Config]] = LexicalConfig
    is_index: ClassVar[bool] = True

    def __init__(self, name: str, config: LexicalConfig, catalogue: Catalogue, table: TokenTable) -> None:
        """See ``fit`` and ``load``; the inverted index is made from ``table``."""
        self.name = name
        self._config = config
        self._catalogue = catalogue
        self._table = table
        self._weighting = Weighting(
            np.array([getattr(config, f"{field}_weight") for field in FIELDS], dtype=np.float32),
            config.k1,
            config.b,
            config.coverage,
            config.proximity,
        )
        self._inverted = InvertedIndex()
        self._uses: Counter[str] = Counter()
        self._spelling = Spelling({})
        self._spelled_words = 0
        self._extending = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: LexicalConfig, parts: Parts) -> Self:
        """Index every item of ``snapshot``."""
        source = cls(name, config, parts.catalogue, TokenTable(len(FIELDS)))
        for start in range(0, snapshot.n_items, _ROWS_AT_ONCE):
            page = ItemTable(snapshot.items.frame[start : start + _ROWS_AT_ONCE])
            source._put(np.arange(start, start + len(page)), page)
            parts.progress("index words", start + len(page), snapshot.n_items)
        source._respell()
        return source

    @classmethod
    def load(cls, name: str, folder: Path, config: LexicalConfig, parts: Parts) -> Self:
        """Read back what ``save`` wrote; raises ``CorruptError`` for a damaged file."""
        check_files(folder)
        table = TokenTable.load(folder)
        source = cls(name, config, parts.catalogue, table)
        source._uses = _read_uses(folder / _USES)
        for start in range(0, table.n_rows, _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, table.n_rows))
            names, rests = _spoken(table, rows)
            source._inverted.put(rows.tolist(), names, rests, n_known=0)
        source._respell()
        # The dictionary of Chinese words is read by the first Chinese query; better now, while nobody waits.
        words(next((word for word in source._uses if is_chinese(word[0])), ""))
        return source

    def save(self, folder: Path) -> None:
        """Write the words of every row; the inverted index is made from them when loaded."""
        with self._extending:
            self._table.save(folder)
            (folder / _USES).write_text(json.dumps(self._uses, ensure_ascii=False), encoding="utf-8")
            write_checksums(folder, sorted(file.name for file in folder.iterdir()))

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """Up to ``n`` items that hold the query's words, best first; empty without a query."""
        return [self._retrieve(request, n) for request in requests]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, 0 where no word fits; nan without a query and for rows that are not indexed."""
        scores: list[Float32Array] = []
        for request, rows in zip(requests, item_rows, strict=True):
            answer = np.full(len(rows), np.nan, dtype=np.float32)
            query = self._read(request)
            if query is not None:
                known = (rows >= 0) & (rows < self._table.n_rows)
                answer[known] = lexical_scores(query, rows[known], self._table, self._weighting)
            scores.append(answer)
        return scores

    def query_stems(self, request: Request) -> frozenset[str]:
        """Stems that the query's words stand for, corrected, split and joined ones included."""
        query = self._read(request)
        groups = () if query is None else query.all_groups
        return frozenset(alternative.word for group in groups for alternative in group)

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Index new items and index changed ones anew; events do not matter here."""
        del events
        with self._extending:
            rows = self._catalogue.rows(items.frame["item_id"].to_list())
            # An item may come twice in one page; its last form counts.
            last = {int(row): place for place, row in enumerate(rows.tolist()) if row != NO_VALUE}
            if not last:
                return
            order = np.array(sorted(last), dtype=np.int64)
            self._put(order, ItemTable(items.frame[[last[row] for row in order.tolist()]]))
            if len(self._uses) > _RESPELL_GROWTH * self._spelled_words:
                self._respell()

    def _retrieve(self, request: Request, n: int) -> Candidates:
        query = self._read(request)
        if query is None or not query.all_groups or n < 1:
            return Candidates.empty(self.name)
        table = self._table
        allowed = allowed_mask(request, table.n_rows)
        wanted = max(2 * n, 300)
        # Room for the rows that are not allowed, so that one look is nearly always enough.
        limit = int(wanted * min(8.0, _ROOM * max(table.n_rows, 1) / max(int(allowed.sum()), 1)))
        while True:
            found = self._inverted.search(query.all_groups, limit)
            rows = found[found < len(allowed)]  # rows may have come since
            rows = rows[allowed[rows]][:wanted]
            if len(rows) >= wanted or len(found) < limit:
                break
            limit = min(8 * limit, max(table.n_rows, 1)) if limit < table.n_rows else limit + len(found)
        scores = lexical_scores(query, rows, table, self._weighting)
        return Candidates.of_one(self.name, rows[scores > 0], scores[scores > 0]).best(n)

    def _read(self, request: Request) -> QueryWords | None:
        if request.query is None:
            return None
        text, synonyms = request.query.effective, request.query.synonyms
        as_typed = stems_with_meaning(synonyms)
        n_corrections = 0 if request.query.is_as_typed else self._config.n_corrections
        query = read_query(text, self._table, self._spelling, n_corrections, as_typed)
        return with_meant(query, synonyms, self._table) if synonyms else query

    def _put(self, rows: Rows, items: ItemTable) -> None:
        n_known = self._table.n_rows
        fields: list[list[list[str]]] = []
        for texts in _texts(items):
            written = [words(text) for text in texts]
            written[_DESCRIPTION] = written[_DESCRIPTION][: self._config.description_words]
            self._uses.update({word for field in written for word in field})
            fields.append([stems(field) for field in written])
        self._table.put(rows, fields)
        names = [" ".join(word for field in of_item[:_DESCRIPTION] for word in field) for of_item in fields]
        self._inverted.put(rows.tolist(), names, [" ".join(of_item[_DESCRIPTION]) for of_item in fields], n_known)

    def _respell(self) -> None:
        self._spelling = Spelling(self._uses)
        self._spelled_words = len(self._uses)


def _read_uses(path: Path) -> Counter[str]:
    try:
        return Counter({str(word): int(count) for word, count in json.loads(path.read_text("utf-8")).items()})
    except (OSError, ValueError, AttributeError) as error:
        raise CorruptError(f"{path} cannot be read ({error}); run `aisle train`", path=str(path)) from error


def _texts(items: ItemTable) -> Iterator[tuple[str, ...]]:
    """The text of each field of each item, all languages together."""
    columns = (items.frame[name].to_list() for name in ("texts", "brand", "category", "attributes"))
    for texts, brand, category, attributes in zip(*columns, strict=True):
        yield (
            " \n ".join(text["title"] for text in texts),
            brand or "",
            " \n ".join(category),
            " \n ".join(pair["value"] for pair in attributes),
            " \n ".join(text["description"] for text in texts if text["description"]),
        )


def _spoken(table: TokenTable, rows: NDArray[np.int64]) -> tuple[list[str], list[str]]:
    """Words of ``rows`` as text again: names and descriptions."""
    spelled = list(table.id_of)
    gathered = table.gather(rows)
    names: list[list[str]] = [[] for _ in rows]
    rests: list[list[str]] = [[] for _ in rows]
    triples = zip(gathered.owner.tolist(), gathered.token.tolist(), gathered.field.tolist(), strict=True)
    for owner, token, field in triples:
        (rests if field == _DESCRIPTION else names)[owner].append(spelled[token])
    return [" ".join(of_row) for of_row in names], [" ".join(of_row) for of_row in rests]
