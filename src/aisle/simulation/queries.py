"""What users type: a category they mean, sometimes with a feature, a colour, a material or a brand, in their own words.

Enters: the item a user has in mind. Leaves: ``Queries`` (codes) and their texts. The words are often not the title's:
"walking boots" for hiking boots, "rainproof" for waterproof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.simulation.assortment import Assortment
from aisle.simulation.vocabulary import LANGUAGES, N_BRAND_NAMES, N_WORDS, Word, lookup, read_vocabulary

FEATURE_SHARE = 0.45
COLOUR_SHARE = 0.12
MATERIAL_SHARE = 0.12
BRAND_SHARE = 0.15
USUAL_WORD = 0.5
"""How often the word that most titles use is also the word that is typed."""


@dataclass(frozen=True)
class Queries:
    """Queries by row: what is meant (codes, -1 where nothing is asked) and which words are used for it."""

    leaf: NDArray[np.int16]
    feature: NDArray[np.int16]
    colour: NDArray[np.int8]
    material: NDArray[np.int8]
    brand: NDArray[np.int32]
    noun_word: NDArray[np.int8]
    feature_word: NDArray[np.int8]
    language: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.leaf)

    def at(self, rows: NDArray[np.integer]) -> Queries:
        """The queries at ``rows``."""
        return Queries(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def relevance(
        self, query_rows: NDArray[np.integer], item_rows: NDArray[np.integer], assortment: Assortment
    ) -> NDArray[np.float32]:
        """How well items answer queries, pair by pair, 0 to 3; broadcasts.

        0: another category. Else 1 to 3, by the share of what was asked for (feature, colour, material, brand) that
        the item has; 3 if only the category was asked for. Articles and the like are at most 1.
        """
        asked = np.zeros(np.broadcast(query_rows, item_rows).shape, dtype=np.float32)
        met = np.zeros_like(asked)
        has_feature = (assortment.feature[item_rows] == self.feature[query_rows][..., None]).any(axis=-1)
        for wanted, has in (
            (self.feature[query_rows], has_feature),
            (self.colour[query_rows], assortment.colour[item_rows] == self.colour[query_rows]),
            (self.material[query_rows], assortment.material[item_rows] == self.material[query_rows]),
            (self.brand[query_rows], assortment.brand[item_rows] == self.brand[query_rows]),
        ):
            is_asked = wanted >= 0
            asked += is_asked
            met += is_asked & has
        grade = np.where(asked > 0, 1.0 + 2.0 * met / np.maximum(asked, 1.0), 3.0)
        grade = np.where(assortment.price_minor[item_rows] > 0, grade, 1.0)
        return np.where(assortment.leaf[item_rows] == self.leaf[query_rows], grade, 0.0).astype(np.float32)

    def texts(self) -> pl.Series:
        """What was typed, (n,) strings; brands go first, as people type them."""
        language, words = self.language, _words()
        feature = np.where(self.feature < 0, -1, self.feature.astype(np.int64) * N_WORDS + self.feature_word)
        noun = self.leaf.astype(np.int64) * N_WORDS + self.noun_word
        codes = (self.brand, self.colour, feature, self.material, noun)
        columns = {
            str(place): lookup(table, np.where(code < 0, -1, code.astype(np.int64) * len(LANGUAGES) + language))
            for place, (table, code) in enumerate(zip(words, codes, strict=True))
        }
        spaced = pl.concat_str(columns.keys(), separator=" ", ignore_nulls=True)
        joined = pl.concat_str(columns.keys(), ignore_nulls=True)
        frame = pl.DataFrame({**columns, "language": language})
        return frame.select(pl.when(pl.col("language") == 0).then(spaced).otherwise(joined).alias("query")).to_series()


@cache
def _words() -> tuple[pl.Series, ...]:
    """Words for brands, colours, features, materials and nouns; both languages of a word stand side by side."""
    vocabulary = read_vocabulary()
    kinds: tuple[Iterable[Word], ...] = (
        vocabulary.brand_names(np.arange(N_BRAND_NAMES)),
        vocabulary.colours,
        (word for words in vocabulary.features for word in words),
        vocabulary.materials,
        (word for leaf in vocabulary.leaves for word in leaf.nouns),
    )
    return tuple(pl.Series([text for word in words for text in word], dtype=pl.String) for words in kinds)


def draw_queries(
    in_mind: NDArray[np.integer],
    language: NDArray[np.int8],
    assortment: Assortment,
    rng: np.random.Generator,
) -> Queries:
    """What users with the items ``in_mind`` (n,) type."""
    n = len(in_mind)

    def sometimes(codes: NDArray[np.integer], share: float) -> NDArray[np.int64]:
        return np.where(rng.random(n) < share, codes[in_mind].astype(np.int64), -1)

    def word() -> NDArray[np.int8]:
        return np.where(rng.random(n) < USUAL_WORD, 0, rng.integers(1, N_WORDS, n)).astype(np.int8)

    return Queries(
        leaf=assortment.leaf[in_mind],
        feature=sometimes(assortment.feature[:, 0], FEATURE_SHARE).astype(np.int16),
        colour=sometimes(assortment.colour, COLOUR_SHARE).astype(np.int8),
        material=sometimes(assortment.material, MATERIAL_SHARE).astype(np.int8),
        brand=sometimes(assortment.brand, BRAND_SHARE).astype(np.int32),
        noun_word=word(),
        feature_word=word(),
        language=language.astype(np.int8),
    )
