"""Reads queries with what the shop sells in mind. Implements ``flows.stages.QueryReader``.

Enters: items once, then the change feed; queries. Leaves: ``Query`` with guesses, and another spelling where the
shop writes it otherwise. Retrieves nothing.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self
from unicodedata import normalize

import numpy as np
from pydantic import Field

from aisle import settings
from aisle.contracts import Parts
from aisle.domain import (
    NO_VALUE,
    UNKNOWN_LANGUAGE,
    Catalogue,
    EventTable,
    Guess,
    Intent,
    ItemTable,
    Query,
    Respelling,
    Snapshot,
    category_path,
)
from aisle.errors import CorruptError
from aisle.language.analysis import stems, words
from aisle.language.chinese import is_chinese
from aisle.storage.checksums import check_files, write_checksums
from aisle.understanding.category_words import CategoryWords
from aisle.understanding.intents import intents
from aisle.understanding.named_things import BRAND, CATEGORY, ItemWords, Named, NamedThings, Thing, Words, heads_of
from aisle.understanding.price_range import find_price
from aisle.understanding.service_words import MOST_TEXTS, ServiceWords
from aisle.understanding.spelling import QuerySpelling, applied
from aisle.understanding.spelling_words import ShopWords

_FILE = "understanding.json"
_SPELLING = "spelling.json"
_ROWS_AT_ONCE = 10_000
_EXAMPLES = 500
"""Pieces of titles by which probabilities of categories are tempered."""
MAX_WORDS = 40


class UnderstandingConfig(settings.Config):
    """What is guessed of queries, and how much guesses count."""

    n_guesses: int = Field(default=3, ge=0)
    """Most guesses of each kind (categories, brands, attributes) that are told."""
    least_probability: float = Field(default=0.1, ge=0, le=1)
    """Guesses less probable than this are not told; raising it tells fewer and surer ones."""
    price_limits_from: float = Field(default=0.75, ge=0, le=1)
    """A price range at least so probable limits the list; below, it is only told. 1 never limits."""
    is_spelling_read: bool = True
    """Whether queries are looked at for misspelling; false searches for every word as it is typed."""
    spelling_offered_from: float = Field(default=0.5, ge=0, le=1)
    """Another spelling at least so probable is offered as "did you mean"; raising it offers fewer."""
    spelling_searched_from: float = Field(default=0.9, ge=0, le=1)
    """One at least so probable is searched for in place of what was typed. 1 only offers."""


class ItemWordsReader:
    """Categories, brands, attributes, price range and intent of queries.

    Cost on one core: about 0.4 ms a query; 15 s to fit 50,000 items; some 60 MB of memory for them.
    """

    Config: ClassVar[type[settings.Config]] = UnderstandingConfig
    is_index: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        config: UnderstandingConfig,
        parts: Parts,
        things: NamedThings,
        categories: CategoryWords,
        service: ServiceWords,
        shop_words: ShopWords | None = None,
    ) -> None:
        """See ``fit`` and ``load``."""
        self.name = name
        self._config = config
        self._currency = parts.currency
        self._catalogue = parts.catalogue
        self._things = things
        self._categories = categories
        self._service = service
        self._shop_words = shop_words or ShopWords()
        self._spelling = QuerySpelling(self._shop_words)
        self._n_known = 0
        self._extending = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: UnderstandingConfig, parts: Parts) -> Self:
        """Read every item of ``snapshot``."""
        things, categories, shop_words = NamedThings(), CategoryWords(), ShopWords()
        heads: dict[Words, Counter[str]] = {}
        n_of_brand: Counter[str] = Counter()
        n, rng = snapshot.n_items, np.random.default_rng(0)
        for start in range(0, n, _ROWS_AT_ONCE):
            _learn_names(
                things, _each(ItemTable(snapshot.items.frame[start : start + _ROWS_AT_ONCE])), heads, n_of_brand
            )
        things.learn_aliases(heads, n_of_brand)
        held_out = set(rng.permutation(n)[: min(_EXAMPLES, n // 5)].tolist())
        examples: list[tuple[Sequence[str], int]] = []
        for start in range(0, n, _ROWS_AT_ONCE):
            page = ItemTable(snapshot.items.frame[start : start + _ROWS_AT_ONCE])
            items = _things_of(page)
            things.count(items)
            for place, item in enumerate(items):
                _count_words(shop_words, item)
                category = _category(item, parts.catalogue)
                if category == NO_VALUE:
                    continue
                title = item.title
                if start + place in held_out and title:
                    first = int(rng.integers(len(title)))
                    examples.append((title[first : first + 3], category))
                else:
                    categories.count(title, category)
            parts.progress("understand items", min(start + _ROWS_AT_ONCE, n), n)
        categories.temper(examples)
        shop_words.refresh()
        reader = cls(name, config, parts, things, categories, ServiceWords(_pieces(snapshot.items, rng)), shop_words)
        reader._n_known = n
        return reader

    @classmethod
    def load(cls, name: str, folder: Path, config: UnderstandingConfig, parts: Parts) -> Self:
        """Read back what ``save`` wrote; raises ``CorruptError`` for a damaged file."""
        check_files(folder)
        try:
            kept: dict[str, Any] = json.loads((folder / _FILE).read_text("utf-8"))
            things = NamedThings()
            for name_, said, *of_things in kept["names"]:
                phrase = tuple(name_)
                things.things_of[phrase] = {(kind, value) for kind, value, _ in of_things}
                things.n_saying[phrase] = said
                for kind, value, being in of_things:
                    things.n_being[phrase, (kind, value)] = being
            paths: list[str] = kept["paths"]
            codes = [parts.catalogue.categories.find(path) for path in paths]
            categories = CategoryWords(temperature=kept["temperature"])
            for word, uses in kept["words"].items():
                categories.uses_of[word] = Counter({codes[int(place)]: n for place, n in uses})
            for place, n_items, n_words in kept["sizes"]:
                categories.n_in[codes[place]] = n_items
                categories.n_words_in[codes[place]] = n_words
            shop_words = ShopWords.of(json.loads((folder / _SPELLING).read_text("utf-8")))
            reader = cls(name, config, parts, things, categories, ServiceWords(kept["texts"]), shop_words)
            reader._n_known = kept["n_known"]
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise CorruptError(
                f"{folder / _FILE} cannot be read ({error}); run `aisle train`", path=str(folder)
            ) from error
        return reader

    def save(self, folder: Path) -> None:
        """Write the counts; category codes as paths, since a code means nothing elsewhere."""
        with self._extending:
            names = [
                [list(name), self._things.n_saying[name]]
                + [[kind, value, self._things.n_being[name, (kind, value)]] for kind, value in sorted(things)]
                for name, things in sorted(self._things.things_of.items())
            ]
            codes = sorted(self._categories.n_in)
            place_of = {code: place for place, code in enumerate(codes)}
            kept = {
                "names": names,
                "paths": [self._catalogue.categories.values[code] for code in codes],
                "sizes": [
                    [place_of[code], self._categories.n_in[code], self._categories.n_words_in[code]] for code in codes
                ],
                "words": {
                    word: [[place_of[code], n] for code, n in sorted(uses.items())]
                    for word, uses in sorted(self._categories.uses_of.items())
                },
                "temperature": self._categories.temperature,
                "texts": self._service.texts,
                "n_known": self._n_known,
            }
            spelling = self._shop_words.kept()
        for file, content in ((_FILE, kept), (_SPELLING, spelling)):
            (folder / file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        write_checksums(folder, [_FILE, _SPELLING])

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Count new items; what is known of changed ones stays until the next training."""
        del events
        with self._extending:
            rows = self._catalogue.rows(items.frame["item_id"].to_list())
            fresh = rows >= self._n_known
            if not fresh.any():
                return
            page = ItemTable(items.frame.filter(fresh).unique("item_id", keep="last", maintain_order=True))
            found = _things_of(page)
            for item in found:
                self._things.learn_names(item.things)
            self._things.count(found)
            for item in found:
                _count_words(self._shop_words, item)
            self._shop_words.refresh()
            for item in found:
                category = _category(item, self._catalogue)
                if category != NO_VALUE:
                    self._categories.count(item.title, category)
            self._n_known = max(self._n_known, int(rows.max()) + 1)

    def read(self, text: str, language: str | None = None, is_as_typed: bool = False) -> Query:
        """What ``text`` asks for, in NFKC; ``language`` is the asker's, where it is known.

        ``is_as_typed`` looks for no other spelling.
        """
        price, rest = find_price(text, self._currency)
        limits = price is not None and price.probability >= self._config.price_limits_from
        if price is not None:
            price = replace(price, is_limit=limits)
        base = rest if limits else text
        respelling = None if is_as_typed else self._respelled(text, base)
        searched = respelling.searched if respelling is not None and respelling.is_searched else base
        typed = words(searched)[:MAX_WORDS]
        read = stems(typed)
        named = self._things.find(read)
        brands = _guesses(named, BRAND)
        categories = self._likely_categories(read, named)
        attributes = [
            Guess(one.thing[1], one.probability, one.thing[0]) for one in named if one.thing[0] not in (BRAND, CATEGORY)
        ]
        covered = {Intent.BRAND: _covered(named, BRAND), Intent.CATEGORY: _covered(named, CATEGORY)}
        return Query(
            text=text,
            corrected=searched if searched != text else None,
            language=_language(text, language),
            intents=intents(text, self._service.probability(text), covered, len(read), has_price=price is not None),
            categories=self._told(categories),
            brands=self._told(brands),
            attributes=self._told(attributes),
            price=price,
            spelling=respelling,
            is_as_typed=is_as_typed,
        )

    def has_only_known_words(self, text: str) -> bool:
        """Whether items use every word of ``text``, so that no other spelling is looked for."""
        return self._spelling.is_known(text)

    def _respelled(self, text: str, base: str) -> Respelling | None:
        """``base``, the part of ``text`` that is searched for, as the shop writes it; None where it is likely right."""
        if not self._config.is_spelling_read:
            return None
        offered, surest = self._config.spelling_offered_from, self._config.spelling_searched_from
        changes = [change for change in self._spelling.changes(base) if change.probability >= offered]
        sure = [change for change in changes if change.probability >= surest and surest < 1.0]
        made = sure or changes
        if not made:
            return None
        whole = text
        for change in made:
            whole = whole.replace(base[change.begin : change.end], change.meant, 1)
        return Respelling(
            text=whole,
            searched=applied(base, made),
            typed=base,
            probability=min(change.probability for change in made),
            is_searched=bool(sure),
        )

    def _likely_categories(self, read: Sequence[str], named: Sequence[Named]) -> list[Guess]:
        """By name where the query names one, else by its words; a named one is at least as probable as its name."""
        by_words = self._categories.probabilities(read)
        values = self._catalogue.categories.values
        found = {values[code]: share for code, share in by_words.items()}
        for one in named:
            kind, value = one.thing
            if kind == CATEGORY:
                found[value] = max(found.get(value, 0.0), one.probability * (one.stop - one.start) / max(len(read), 1))
        return [Guess(value, share) for value, share in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))]

    def _told(self, guesses: Sequence[Guess]) -> tuple[Guess, ...]:
        likely = [one for one in guesses if one.probability >= self._config.least_probability]
        likely.sort(key=lambda one: -one.probability)
        return tuple(likely[: self._config.n_guesses])


def _guesses(named: Sequence[Named], kind: str) -> list[Guess]:
    return [Guess(one.thing[1], one.probability) for one in named if one.thing[0] == kind]


def _covered(named: Sequence[Named], kind: str) -> float:
    best: dict[int, float] = {}
    for one in named:
        if one.thing[0] == kind:
            for place in range(one.start, one.stop):
                best[place] = max(best.get(place, 0.0), one.probability)
    return sum(best.values())


def _language(text: str, asked: str | None) -> str:
    """Chinese where any of it is, else the asker's, else unknown: a word or two of Latin letters may be any."""
    if any(is_chinese(one) for one in text):
        return "zh"
    return asked or UNKNOWN_LANGUAGE


def _things_of(items: ItemTable) -> list[ItemWords]:
    """What each item is and says."""
    return list(_each(items))


def _learn_names(
    things: NamedThings, items: Iterator[ItemWords], heads: dict[Words, Counter[str]], n_of_brand: Counter[str]
) -> None:
    """Take the names of a page's things, and count what its titles begin with."""
    for item in items:
        things.learn_names(item.things)
        brand = next((value for kind, value in item.things if kind == BRAND), "")
        n_of_brand[brand] += 1
        for title in item.titles:
            for head in heads_of(title):
                heads.setdefault(head, Counter())[brand] += 1


def _each(items: ItemTable) -> Iterator[ItemWords]:
    columns = (items.frame[name].to_list() for name in ("texts", "brand", "category", "attributes"))
    for texts, brand, category, attributes in zip(*columns, strict=True):
        things: dict[Thing, tuple[str, ...]] = {}
        if brand:
            things[BRAND, brand] = _name(brand)
        for depth in range(1, len(category) + 1):
            things[CATEGORY, category_path(category[:depth])] = _name(category[depth - 1])
        for pair in attributes:
            things[pair["name"], pair["value"]] = _name(pair["value"])
        written = [words(text["title"]) for text in texts]
        described = " \n ".join(text["description"] for text in texts if text["description"])
        titles = [normalize("NFKC", text["title"]).casefold() for text in texts]
        yield ItemWords(things, [stems(title) for title in written], written, titles, described)


def _count_words(shop_words: ShopWords, item: ItemWords) -> None:
    others = [word for _, value in item.things for word in _written(value.rsplit(" > ", 1)[-1])]
    shop_words.count(item.texts, item.written, others, item.described)


@lru_cache(maxsize=50_000)
def _written(value: str) -> tuple[str, ...]:
    return tuple(words(value))


@lru_cache(maxsize=50_000)
def _name(value: str) -> tuple[str, ...]:
    return tuple(stems(words(value)))


def _category(item: ItemWords, catalogue: Catalogue) -> int:
    """The code of the deepest category of an item."""
    paths = [value for kind, value in item.things if kind == CATEGORY]
    return catalogue.categories.find(paths[-1]) if paths else NO_VALUE


def _pieces(items: ItemTable, rng: np.random.Generator) -> list[str]:
    """Pieces of titles such as people type: up to six words of them, or up to nine Chinese characters."""
    titles = [text["title"] for texts in items.frame["texts"].to_list() for text in texts if text["title"].strip()]
    found: list[str] = []
    for place in rng.permutation(len(titles))[:MOST_TEXTS].tolist():
        title = titles[place]
        parts, between = (list(title), "") if any(is_chinese(one) for one in title) else (title.split(), " ")
        n = int(rng.integers(1, min(9 if not between else 6, len(parts)) + 1))
        first = int(rng.integers(len(parts) - n + 1))
        found.append(between.join(parts[first : first + n]))
    return found
