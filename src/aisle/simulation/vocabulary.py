"""The words of the simulated shop, as records: departments, leaf categories, features, materials, colours, brands.

Enters: ``vocabulary.toml``. Leaves: ``Vocabulary``. Knows nothing of items; every code used elsewhere in this room is a
position in one of these tuples.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

LANGUAGES = ("en", "zh")
"""Languages every word is known in; a word's parts stand in this order."""


N_WORDS = 3
"""Words for each noun and each feature, the usual one first."""
N_BRAND_NAMES = 600
"""How many different brand names there are."""


class Word(NamedTuple):
    """One word or phrase in both languages."""

    en: str
    zh: str

    @classmethod
    def parse(cls, text: str) -> Word:
        """From ``"english|chinese"``."""
        english, chinese = text.split("|")
        return cls(english, chinese)


@dataclass(frozen=True)
class Leaf:
    """One leaf category and how it sells. Codes are positions in the vocabulary's tuples.

    ``nouns[0]`` is what most titles call it. ``price`` is the median in dollars. ``season`` is the month of most
    interest (1 to 12) and its strength in log-odds. ``cycle_days`` is how long a pack lasts, 0 for what is not used up.
    ``together`` are the leaves bought with it. ``women`` and ``young`` are log-odds.
    """

    key: str
    department: int
    nouns: tuple[Word, ...]
    features: tuple[int, ...]
    materials: tuple[int, ...]
    sizes: tuple[Word, ...]
    uses: tuple[Word, ...]
    price: float
    season: tuple[float, float]
    cycle_days: float
    women: float
    young: float
    shape: str
    has_colour: bool
    together: tuple[int, ...]

    @property
    def name(self) -> Word:
        """The category's name: its first noun, capitalised."""
        return Word(self.nouns[0].en[:1].upper() + self.nouns[0].en[1:], self.nouns[0].zh)


@dataclass(frozen=True)
class Vocabulary:
    """All words. ``features[f]`` holds the words for feature f, the usual one first."""

    departments: tuple[Word, ...]
    leaves: tuple[Leaf, ...]
    features: tuple[tuple[Word, ...], ...]
    materials: tuple[Word, ...]
    colours: tuple[Word, ...]
    colour_codes: tuple[str, ...]
    brand_first: tuple[Word, ...]
    brand_second: tuple[Word, ...]
    series: tuple[Word, ...]

    @property
    def n_leaves(self) -> int:
        """Number of leaf categories."""
        return len(self.leaves)

    def brand_names(self, brand_codes: NDArray[np.integer]) -> list[Word]:
        """Names of brands; code c is one first and one second part, all different below ``N_BRAND_NAMES``."""
        n_second = len(self.brand_second)
        names: list[Word] = []
        for code in brand_codes.tolist():
            # walking both parts at once keeps neighbouring codes unalike
            first = self.brand_first[code % len(self.brand_first)]
            second = self.brand_second[(code + code // len(self.brand_first)) % n_second]
            names.append(Word(first.en + second.en, first.zh + second.zh))
        return names

    def together_matrix(self) -> NDArray[np.bool_]:
        """(n_leaves, n_leaves) bool: column k is bought with row j."""
        matrix = np.zeros((self.n_leaves, self.n_leaves), dtype=np.bool_)
        for row, leaf in enumerate(self.leaves):
            matrix[row, list(leaf.together)] = True
        return matrix


@cache
def read_vocabulary() -> Vocabulary:
    """The vocabulary of the package, read once."""
    table = tomllib.loads(files("aisle.simulation").joinpath("vocabulary.toml").read_text(encoding="utf-8"))
    department_keys = list(table["department"])
    leaf_keys = list(table["leaf"])
    return Vocabulary(
        departments=_words(table["department"].values()),
        leaves=tuple(_leaf(key, table, department_keys, leaf_keys) for key in leaf_keys),
        features=tuple(_words(words) for words in table["feature"].values()),
        materials=_words(table["material"].values()),
        colours=_words(pair[0] for pair in table["colour"].values()),
        colour_codes=tuple(pair[1] for pair in table["colour"].values()),
        brand_first=_words(table["brand"]["first"]),
        brand_second=_words(table["brand"]["second"]),
        series=_words(table["series"]["names"]),
    )


def lookup(words: list[str] | pl.Series, codes: NDArray[np.integer]) -> pl.Series:
    """Words by code, null where the code is negative."""
    wanted = pl.Series(codes).cast(pl.Int64)
    table = words if isinstance(words, pl.Series) else pl.Series(words, dtype=pl.String)
    return table.gather(wanted.set(wanted < 0, None))


def _leaf(key: str, table: Mapping[str, Any], department_keys: Sequence[str], leaf_keys: Sequence[str]) -> Leaf:
    entry = table["leaf"][key]
    feature_keys, material_keys = list(table["feature"]), list(table["material"])
    month, strength = entry.get("season", (1, 0.0))
    return Leaf(
        key=key,
        department=department_keys.index(entry["department"]),
        nouns=_words(entry["nouns"]),
        features=tuple(feature_keys.index(name) for name in entry["features"]),
        materials=tuple(material_keys.index(name) for name in entry.get("materials", ())),
        sizes=_words(table["size"][entry["size"]]),
        uses=_words(entry["uses"]),
        price=float(entry["price"]),
        season=(float(month), float(strength)),
        cycle_days=float(entry.get("cycle", 0)),
        women=float(entry.get("women", 0.0)),
        young=float(entry.get("young", 0.0)),
        shape=entry["shape"],
        has_colour=entry.get("colour", "materials" in entry),
        together=tuple(leaf_keys.index(name) for name in entry.get("together", ())),
    )


def _words(texts: Any) -> tuple[Word, ...]:
    return tuple(Word.parse(text) for text in texts)
