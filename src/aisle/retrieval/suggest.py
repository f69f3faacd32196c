"""Ways to go on typing: titles, brands, categories and what others searched for.

Enters: items and counts of past queries. Leaves: suggestions for a prefix, Chinese ones also for their pinyin. Does not
correct what is typed.
"""

from __future__ import annotations

import bisect
import heapq
import math
import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal, Self

from aisle.domain import UNKNOWN_LANGUAGE, ItemTable, Snapshot, category_path
from aisle.language.analysis import word_starts
from aisle.language.chinese import is_chinese
from aisle.language.pinyin import syllables

SuggestionKind = Literal["query", "category", "brand", "title"]

_WEIGHT: Mapping[SuggestionKind, float] = {"query": 2.0, "category": 1.5, "brand": 1.5, "title": 1.0}
_MAX_CHARACTERS = 80
_MAX_WORDS = 8
_SOUNDED_CHARACTERS = 16
"""Characters of a Chinese text, from each of its words on, whose pinyin finds it."""
_LEAST_LETTERS = 2
"""Letters from which what is typed may be pinyin."""
_FOLD_AT = 2_000
_BLOCK = 256
"""Entries that share one noted best; lists of thousands of matches are read by their best blocks only."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One way to go on: the text to search for, what it is, and its weight (higher comes first)."""

    text: str
    kind: SuggestionKind
    weight: float
    language: str = UNKNOWN_LANGUAGE


class Suggestions:
    """Everything that starts with the prefix, at its beginning or at a later word of it, best first.

    Weight is the kind's times log(2 + count): a past query counts as often as it was asked, a brand, category or title
    by the interactions with its items. In Chinese the later words are those that jieba finds. What begins with the
    letters typed comes before what sounds so: ``lianyi``, ``lian yi`` and ``lyq`` go on to 连衣裙.

    Cost: under 1 ms a prefix at 50,000 titles, about 2 KB a title; fitting them takes 1 s, of as many
    Chinese queries 7 s. New texts wait beside the main list, which is made anew when ``_FOLD_AT`` of them have come.
    """

    def __init__(self, suggestions: Iterable[Suggestion]) -> None:
        """Take ``suggestions``; of equal texts of one kind the last counts."""
        self._lock = threading.Lock()
        self._of = {(s.kind, folded): s for s in suggestions if (folded := _folded(s.text))}
        self._recent: dict[tuple[str, str], Suggestion] = {}
        self._indexes = (_Index.of(self._of, _keys), _Index.of({}, _keys))
        self._sounds = (_Index.of(self._of, _sound_keys), _Index.of({}, _sound_keys))

    @classmethod
    def fit(cls, snapshot: Snapshot, query_counts: Mapping[str, int]) -> Self:
        """Suggestions from what the shop offers and from past queries (query text to how often it was asked)."""
        counts = snapshot.interactions.group_by("item_row").len().rows()
        n_events = dict.fromkeys(range(snapshot.n_items), 0) | {int(row): int(n) for row, n in counts}
        asked = (
            Suggestion(_short(query), "query", _weight("query", count))
            for query, count in query_counts.items()
            if query.strip()
        )
        return cls([*_of_items(snapshot.items, list(n_events.values())), *asked])

    def extend(self, items: ItemTable, query_counts: Mapping[str, int] | None = None) -> None:
        """Take in new or renamed items and newly counted queries; visible in the next ``complete``."""
        asked = ((query, count) for query, count in (query_counts or {}).items() if query.strip())
        queries = [Suggestion(_short(query), "query", _weight("query", count)) for query, count in asked]
        # A known title, brand or category keeps the weight its popularity gave it.
        fresh = [s for s in _of_items(items, [0] * len(items)) if (s.kind, _folded(s.text)) not in self._of]
        self._put([*fresh, *queries])

    def complete(self, prefix: str, n: int = 10, language: str | None = None) -> list[Suggestion]:
        """At most ``n`` suggestions, highest weight first, then shorter, then alphabetical; no text twice.

        Those that only sound as it is typed come last.

        Args:
            prefix: as typed so far; case, accents' form and spaces at the start do not matter. Empty gives the best.
            n: how many.
            language: only texts in this language and texts whose language is unknown; None takes all.
        """
        wanted = _folded(prefix)
        if prefix[-1:].isspace() and wanted:
            wanted += " "
        best: dict[str, Suggestion] = {}
        self._gather(best, self._indexes, wanted, n, language)
        letters = wanted.replace(" ", "")
        if len(letters) >= _LEAST_LETTERS and letters.isascii() and letters.isalpha():
            self._gather(best, self._sounds, letters, n, language)
        return list(best.values())

    def _gather(
        self, best: dict[str, Suggestion], indexes: Sequence[_Index], wanted: str, n: int, language: str | None
    ) -> None:
        """Fill ``best``, by folded text, up to ``n`` with what stands under ``wanted``."""
        for suggestion in heapq.merge(*(index.best_first(wanted) for index in indexes), key=_order):
            if len(best) >= n:
                break
            text = _folded(suggestion.text)
            is_replaced = self._of[(suggestion.kind, text)] is not suggestion
            is_foreign = language is not None and suggestion.language not in (language, UNKNOWN_LANGUAGE)
            if text not in best and not is_replaced and not is_foreign:
                best[text] = suggestion

    def _put(self, suggestions: Iterable[Suggestion]) -> None:
        with self._lock:
            for suggestion in suggestions:
                key = (suggestion.kind, _folded(suggestion.text))
                if key[1] and self._of.get(key) != suggestion:
                    self._of[key] = self._recent[key] = suggestion
            main, sounds = self._indexes[0], self._sounds[0]
            if len(self._recent) >= _FOLD_AT:
                main, sounds, self._recent = _Index.of(self._of, _keys), _Index.of(self._of, _sound_keys), {}
            self._indexes = (main, _Index.of(self._recent, _keys))
            self._sounds = (sounds, _Index.of(self._recent, _sound_keys))


class _Index:
    """Keys in order, each with the place of its suggestion among all; the best of every block are known."""

    def __init__(self, keys: list[str], places: list[int], best_first: list[Suggestion]) -> None:
        self.keys = keys
        self.places = places
        self.all = best_first
        self.blocks = [sorted(places[start : start + _BLOCK]) for start in range(0, len(places), _BLOCK)]

    @classmethod
    def of(cls, suggestions: Mapping[tuple[str, str], Suggestion], keys_of: Callable[[str], Sequence[str]]) -> Self:
        """An index of suggestions by kind and folded text, each under all ``keys_of`` its text."""
        best_first = sorted(suggestions.items(), key=lambda entry: _order(entry[1]))
        entries = [(key, place) for place, ((_, text), _) in enumerate(best_first) for key in keys_of(text)]
        entries.sort()
        return cls([key for key, _ in entries], [place for _, place in entries], [one for _, one in best_first])

    def best_first(self, prefix: str) -> Iterable[Suggestion]:
        """Suggestions under ``prefix`` in order of weight, lazily: a merge of sorted blocks and the two ends.

        An empty prefix gives them all.
        """
        if not prefix:
            return self.all
        start = bisect.bisect_left(self.keys, prefix)
        stop = bisect.bisect_left(self.keys, prefix + "\U0010ffff")
        first, last = -(-start // _BLOCK), stop // _BLOCK
        if first >= last:
            return map(self.all.__getitem__, sorted(self.places[start:stop]))
        ends = self.places[start : first * _BLOCK] + self.places[last * _BLOCK : stop]
        return map(self.all.__getitem__, heapq.merge(sorted(ends), *self.blocks[first:last]))


def _order(suggestion: Suggestion) -> tuple[float, int, str]:
    return -suggestion.weight, len(suggestion.text), suggestion.text


def _keys(text: str) -> list[str]:
    """The text itself and its tails from each later word, so that a prefix of any word finds it."""
    return [text[start:] for start in dict.fromkeys([0, *word_starts(text)[:_MAX_WORDS]])]


def _sound_keys(text: str) -> list[str]:
    """Pinyin of a Chinese text from each of its words on, without spaces and tones, and its syllables' first letters.

    Letters between Chinese stay as they are. None for texts without Chinese.
    """
    if not any(map(is_chinese, text)):
        return []
    starts = list(dict.fromkeys([0, *word_starts(text)]))
    parts = [_spoken(text[start:stop]) for start, stop in pairwise([*starts, len(text)])]
    keys: list[str] = []
    for first in range(min(len(parts), _MAX_WORDS + 1)):
        spoken = [one for part in parts[first : first + _SOUNDED_CHARACTERS] for one in part][:_SOUNDED_CHARACTERS]
        if spoken and is_chinese(text[starts[first]]):
            keys += ["".join(spoken), "".join(one[0] for one in spoken)]
    return list(dict.fromkeys(keys))


@lru_cache(maxsize=50_000)
def _spoken(word: str) -> tuple[str, ...]:
    """Syllables of Chinese characters; letters and digits of others, one by one."""
    if all(map(is_chinese, word)):
        return tuple(one for one in syllables(word) if one)
    return tuple(
        one
        for character in word
        for one in (syllables(character) if is_chinese(character) else (character,))
        if one.isalnum()
    )


def _of_items(items: ItemTable, n_events: list[int]) -> list[Suggestion]:
    brands: dict[str, int] = {}
    categories: dict[str, int] = {}
    titles: list[Suggestion] = []
    columns = (items.frame[name].to_list() for name in ("texts", "brand", "category"))
    for texts, brand, category, count in zip(*columns, n_events, strict=True):
        for text in texts:
            if text["title"].strip():
                titles.append(Suggestion(_short(text["title"]), "title", _weight("title", count), text["language"]))
        if brand:
            brands[brand] = brands.get(brand, 0) + count
        if category:
            path = category_path(category)
            categories[path] = categories.get(path, 0) + count
    named: list[Suggestion] = [Suggestion(name, "brand", _weight("brand", count)) for name, count in brands.items()]
    of_leaf: dict[str, int] = {}
    for path, count in categories.items():
        leaf = path.rsplit(" > ", 1)[-1]
        of_leaf[leaf] = of_leaf.get(leaf, 0) + count
    named += [Suggestion(name, "category", _weight("category", count)) for name, count in of_leaf.items()]
    return titles + named


def _weight(kind: SuggestionKind, count: int) -> float:
    return _WEIGHT[kind] * math.log(2 + max(count, 0))


def _short(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _MAX_CHARACTERS:
        return text
    return text[:_MAX_CHARACTERS].rsplit(" ", 1)[0]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
