"""Puts the simulated shop's products into words: titles, descriptions and attributes in English and Chinese.

Enters: codes of products. Leaves: ``ItemTable``. Titles name brand, series, a feature, the thing, material, colour and
size; descriptions come from a small grammar and often use other words for the same, as sellers do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import ItemTable
from aisle.simulation.assortment import Assortment
from aisle.simulation.config import DAY_MS, SimulationConfig
from aisle.simulation.vocabulary import LANGUAGES, N_WORDS, Vocabulary, Word, lookup

ROWS_AT_ONCE = 50_000
CURRENCY = "USD"
N_SIZES = 5
N_USES = 3

TITLE_USUAL_NOUN = 0.75
TITLE_USUAL_FEATURE = 0.7


def describe_products(
    vocabulary: Vocabulary, assortment: Assortment, config: SimulationConfig, seed: int
) -> Iterator[ItemTable]:
    """All products as tables of at most 50,000 rows, in row order; about 1 s a table."""
    writer = ProductWriter(vocabulary, assortment, config)
    for batch, start in enumerate(range(0, assortment.n_products, ROWS_AT_ONCE)):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, assortment.n_products))
        yield writer.table(rows, np.random.default_rng([seed, 3, batch]))


def item_ids(assortment: Assortment) -> pl.Series:
    """Ids of all items by row: the first letter tells the kind."""
    letters = pl.Series(["p", "a", "v", "m", "d"]).gather(assortment.kind)
    return (
        pl.DataFrame({"letter": letters})
        .with_row_index("row")
        .select(pl.format("{}-{}", "letter", pl.col("row").cast(pl.String).str.zfill(7)).alias("item_id"))
        .to_series()
    )


class ProductWriter:
    """Writes any products of one assortment into words."""

    def __init__(self, vocabulary: Vocabulary, assortment: Assortment, config: SimulationConfig) -> None:
        self._vocabulary = vocabulary
        self._assortment = assortment
        self._config = config
        self._ids = item_ids(assortment)
        self._brands = vocabulary.brand_names(np.arange(int(assortment.brand.max()) + 1))
        self._sellers = vocabulary.brand_names(np.arange(int(assortment.seller.max()) + 1) + 300)

    def table(self, rows: NDArray[np.integer], rng: np.random.Generator) -> ItemTable:
        """The products at ``rows``."""
        items = self._assortment
        texts = []
        draws = rng.random((6, len(rows)))
        for language in LANGUAGES:
            title, description = self._texts(rows, draws, language)
            texts.append(
                pl.struct(pl.lit(language).alias("language"), title.alias("title"), description.alias("description"))
            )
        vocabulary = self._vocabulary
        departments = [vocabulary.departments[leaf.department].en for leaf in vocabulary.leaves]
        leaf = items.leaf[rows]
        frame = pl.DataFrame(
            {
                "item_id": self._ids.gather(rows),
                "brand": lookup([brand.en for brand in self._brands], items.brand[rows]),
                "price_minor": items.price_minor[rows],
                "cost_minor": items.cost_minor[rows],
                "stock": items.stock[rows],
                "seller": lookup([f"{name.en} Trading" for name in self._sellers], items.seller[rows]),
                "created_ms": self._config.start_ms
                + (items.created_day[rows].astype(np.float64) * DAY_MS).astype(np.int64),
                "department": lookup(departments, leaf),
                "leaf": lookup([entry.name.en for entry in vocabulary.leaves], leaf),
            }
        )
        frame = frame.with_columns(
            pl.concat_list(texts).alias("texts"),
            pl.concat_list("department", "leaf").alias("category"),
            pl.format("pictures/{}.svg", "item_id").alias("image"),
            pl.lit(CURRENCY).alias("currency"),
            self._attributes(rows).alias("attributes"),
        )
        return ItemTable.from_frame(frame.drop("department", "leaf"))

    def _attributes(self, rows: NDArray[np.integer]) -> pl.Series:
        items, vocabulary = self._assortment, self._vocabulary
        leaf = items.leaf[rows].astype(np.int64)
        columns = {
            "colour": lookup([word.en for word in vocabulary.colours], items.colour[rows]),
            "material": lookup([word.en for word in vocabulary.materials], items.material[rows]),
            "size": lookup(_padded(vocabulary, "sizes", N_SIZES, 0), leaf * N_SIZES + items.size[rows]),
            "feature": lookup([words[0].en for words in vocabulary.features], items.feature[rows, 0]),
            "second feature": lookup([words[0].en for words in vocabulary.features], items.feature[rows, 1]),
        }
        pairs = [
            pl.struct(
                pl.lit(name.removeprefix("second ")).alias("name"),
                pl.when(pl.col(name) != "").then(pl.col(name)).alias("value"),
            )
            for name in columns
        ]
        has_value = pl.element().struct.field("value").is_not_null()
        return pl.DataFrame(columns).select(pl.concat_list(pairs).list.filter(has_value)).to_series()

    def _texts(
        self, rows: NDArray[np.integer], draws: NDArray[np.float64], language: str
    ) -> tuple[pl.Series, pl.Series]:
        """Titles and descriptions of the products at ``rows`` in one language. ``draws`` (6, n) decide the wording."""
        items, vocabulary, place = self._assortment, self._vocabulary, LANGUAGES.index(language)
        leaf = items.leaf[rows].astype(np.int64)
        nouns = _padded(vocabulary, "nouns", N_WORDS, place)
        features = [word[place] for words in vocabulary.features for word in words]
        first, second = items.feature[rows].astype(np.int64).T
        usual = np.where(draws[0] < TITLE_USUAL_NOUN, 0, 1 + (draws[1] * 2).astype(np.int64))
        title_word = np.where(draws[2] < TITLE_USUAL_FEATURE, 0, 1 + (draws[1] * 2).astype(np.int64))
        other_word = (title_word + 1) % N_WORDS
        series = items.series[rows].astype(np.int64)
        n_series = len(vocabulary.series)
        words = {
            "brand": lookup([brand[place] for brand in self._brands], items.brand[rows]),
            "series": lookup([word[place] for word in vocabulary.series], series % n_series),
            "number": pl.Series(10 + series // n_series).cast(pl.String),
            "noun": lookup(nouns, leaf * N_WORDS + usual),
            "other_noun": lookup(nouns, leaf * N_WORDS + (usual + 1 + (draws[3] * 2).astype(np.int64)) % N_WORDS),
            "feature": lookup(features, first * N_WORDS + title_word),
            "other_feature": lookup(features, first * N_WORDS + other_word),
            "second": lookup(features, np.where(second < 0, -1, second * N_WORDS)),
            "material": lookup([word[place] for word in vocabulary.materials], items.material[rows]),
            "colour": lookup([word[place] for word in vocabulary.colours], items.colour[rows]),
            "size": lookup(_padded(vocabulary, "sizes", N_SIZES, place), leaf * N_SIZES + items.size[rows]),
            "use": lookup(self._uses(place), leaf * N_USES + (draws[4] * N_USES).astype(np.int64)),
            "form": pl.Series((draws[5] * 4).astype(np.int64)),
        }
        frame = pl.DataFrame(words)
        grammar = _english if language == "en" else _chinese
        return grammar(frame)

    def _uses(self, place: int) -> list[str]:
        """Uses of every leaf, cycled to ``N_USES``."""
        return [leaf.uses[i % len(leaf.uses)][place] for leaf in self._vocabulary.leaves for i in range(N_USES)]


def _padded(vocabulary: Vocabulary, field: str, width: int, place: int) -> list[str]:
    """One field of every leaf as a flat list, ``width`` entries a leaf; short ones are filled with their first."""
    flat: list[str] = []
    for leaf in vocabulary.leaves:
        words: tuple[Word, ...] = getattr(leaf, field)
        flat.extend(words[i][place] if i < len(words) else words[0][place] for i in range(width))
    return flat


def _english(words: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    tail = pl.concat_str(
        pl.format(", {}", "material").fill_null(""),
        pl.format(", {}", "colour").fill_null(""),
        pl.when(pl.col("size") != "").then(pl.format(", {}", "size")).otherwise(pl.lit("")),
    )
    title = pl.concat_str(pl.format("{} {} {} {} {}", "brand", "series", "number", "feature", "noun"), tail)
    made_of = pl.format(" Made of {}.", "material").fill_null("")
    also = pl.format(" and {}", "second").fill_null("")
    stop = pl.lit(".")
    forms = (
        (pl.format("Our {}, {}", "other_noun", "other_feature"), also, pl.format(", {}.", "use"), made_of),
        (
            pl.format("From {}: {} {}.", "brand", "noun", "use"),
            made_of,
            pl.format(" Good to know: {}", "feature"),
            also,
            stop,
        ),
        (pl.format("Looking for {} {}? Here you are: {}", "other_noun", "use", "other_feature"), also, stop, made_of),
        (pl.format("{} by {}: {} {}", "series", "brand", "other_feature", "noun"), pl.format(", {}.", "use"), made_of),
    )
    return _evaluated(words, title, forms)


def _chinese(words: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    tail = pl.concat_str(
        pl.format(" {}", "material").fill_null(""),
        pl.format(" {}", "colour").fill_null(""),
        pl.when(pl.col("size") != "").then(pl.format(" {}", "size")).otherwise(pl.lit("")),
    )
    title = pl.concat_str(pl.format("{} {}{} {}{}", "brand", "series", "number", "feature", "noun"), tail)
    made_of = pl.format("采用{}材质。", "material").fill_null("")
    also = pl.format("、{}", "second").fill_null("")
    stop = pl.lit("。")
    forms = (
        (pl.format("{}，{}", "other_noun", "other_feature"), also, pl.format("，{}皆宜。", "use"), made_of),
        (pl.format("{}专为{}设计的{}，{}", "brand", "use", "noun", "feature"), also, stop, made_of),
        (pl.format("想找{}用的{}？这款{}", "use", "other_noun", "other_feature"), also, stop, made_of),
        (
            pl.format("{}{}系列：{}{}", "brand", "series", "other_feature", "noun"),
            pl.format("，适合{}。", "use"),
            made_of,
        ),
    )
    return _evaluated(words, title, forms)


def _evaluated(
    words: pl.DataFrame, title: pl.Expr, forms: tuple[tuple[pl.Expr, ...], ...]
) -> tuple[pl.Series, pl.Series]:
    """Titles, and for each row the description of its form."""
    chosen = pl.concat_str(forms[0])
    for number, form in enumerate(forms[1:], start=1):
        chosen = pl.when(pl.col("form") == number).then(pl.concat_str(form)).otherwise(chosen)
    frame = words.select(title.alias("title"), chosen.alias("description"))
    return frame["title"], frame["description"]
