"""Brands, categories and attribute values that stand in a query, and how surely they are meant.

Enters: the words of items and of a query. Leaves: guesses. ``apple`` is the brand where most items that say ``apple``
are of the brand, and a fruit where most are juice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

BRAND, CATEGORY = "brand", "category"
LONGEST_NAME = 5
"""Words of a name that is looked for; longer ones are found by their words all the same."""
_PRIOR = 1.0
"""Items' worth of doubt: a name that few items hold is less sure."""

_ALIAS_ITEMS, _ALIAS_SURE, _ALIAS_OF_BRAND = 3, 0.95, 0.3
"""Titles that must begin alike, the share of them that is of the brand, and their share of the brand's items."""
_ALIAS_LONGEST = 2

Words = tuple[str, ...]
Thing = tuple[str, str]
"""``("brand", "Apple")``, ``("category", "Shoes > Running")`` or, for an attribute, ``("color", "red")``."""


@dataclass(frozen=True, slots=True)
class Named:
    """A thing that words ``start`` to ``stop`` of a query name."""

    thing: Thing
    probability: float
    start: int
    stop: int


@dataclass(frozen=True)
class ItemWords:
    """What the finder reads of an item: its things with their names, and the words of its title in each language."""

    things: Mapping[Thing, Words]
    titles: Sequence[Sequence[str]] = ()
    written: Sequence[Sequence[str]] = ()
    """The same words, not stemmed."""
    texts: Sequence[str] = ()
    """The titles themselves."""
    described: str = ""
    """Its descriptions."""

    @property
    def title(self) -> list[str]:
        """The words of all titles, one after another."""
        return [word for title in self.titles for word in title]


@dataclass
class NamedThings:
    """Counts of items by name: how many say it, and how many of these are the thing.

    Names are counted from the first item that holds the thing on; items counted before are not looked at again, which a
    new training mends. Cost: some 20 microseconds a query; fitting, 15 microseconds a word of the items' texts.
    """

    things_of: dict[Words, set[Thing]] = field(default_factory=dict)
    n_saying: Counter[Words] = field(default_factory=Counter)
    n_being: Counter[tuple[Words, Thing]] = field(default_factory=Counter)

    def learn_names(self, things: Mapping[Thing, Words]) -> None:
        """Take the names of an item's things; of all items, before ``count``."""
        for thing, name in things.items():
            if 0 < len(name) <= LONGEST_NAME and not _is_number(name):
                self.things_of.setdefault(name, set()).add(thing)

    def learn_aliases(self, heads: Mapping[Words, Counter[str]], n_of_brand: Mapping[str, int]) -> None:
        """Take what titles begin with for another name of the brand (its name in Chinese) where it nearly always is.

        Args:
            heads: how many titles of each brand ("" for none) begin with these words.
            n_of_brand: items of each brand.
        """
        for head, brands in heads.items():
            [(brand, n)] = brands.most_common(1)
            is_usual = n >= _ALIAS_OF_BRAND * n_of_brand.get(brand, 0)
            if brand and n >= _ALIAS_ITEMS and is_usual and n >= _ALIAS_SURE * brands.total():
                self.things_of.setdefault(head, set()).add((BRAND, brand))

    def count(self, items: Sequence[ItemWords]) -> None:
        """Count who says each name."""
        for item in items:
            said = {name for title in item.titles for name, _ in self._names_in(title)}
            said.update(name for name in item.things.values() if name in self.things_of)
            for name in said:
                self.n_saying[name] += 1
                for thing in self.things_of[name]:
                    if thing in item.things:
                        self.n_being[name, thing] += 1

    def find(self, words: Sequence[str]) -> list[Named]:
        """Things that ``words`` name, longest names first and none inside another, likeliest first for equal words."""
        found: list[Named] = []
        for name, start in sorted(self._names_in(words), key=lambda one: (-len(one[0]), one[1])):
            stop = start + len(name)
            if any(one.start < stop and start < one.stop and (one.stop - one.start) > len(name) for one in found):
                continue
            for thing in sorted(self.things_of[name]):
                n_being = self.n_being[name, thing]
                if n_being > 0:
                    found.append(Named(thing, n_being / (self.n_saying[name] + _PRIOR), start, stop))
        return sorted(found, key=lambda one: (one.start, -one.probability, one.thing))

    def _names_in(self, words: Sequence[str]) -> Iterator[tuple[Words, int]]:
        for start in range(len(words)):
            for stop in range(start + 1, min(start + LONGEST_NAME, len(words)) + 1):
                name = tuple(words[start:stop])
                if name in self.things_of:
                    yield name, start


def heads_of(title: Sequence[str]) -> list[Words]:
    """What a title begins with: its first words, one and two of them."""
    found = [tuple(title[:n]) for n in range(1, min(_ALIAS_LONGEST, len(title)) + 1)]
    return [head for head in found if not _is_number(head)]


def _is_number(name: Words) -> bool:
    """Whether a value says nothing without its attribute: ``12``, ``0.5``."""
    return all(word.replace(".", "").replace("/", "").replace("-", "").isdigit() for word in name)
