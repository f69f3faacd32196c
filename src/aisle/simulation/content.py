"""Articles, promotions and advertisements of the simulated shop, in words.

Enters: codes of content items. Leaves: ``ItemTable``. Each belongs to a leaf category; promotions and advertisements
run between two dates.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import Item, ItemKind, ItemTable, ItemText
from aisle.domain.catalogue import ITEM_KINDS
from aisle.simulation.assortment import Assortment
from aisle.simulation.config import DAY_MS, SimulationConfig
from aisle.simulation.vocabulary import Leaf, Vocabulary, Word

Form = tuple[Word, Word]
"""Title and description with gaps to fill."""


def describe_content(
    vocabulary: Vocabulary, assortment: Assortment, config: SimulationConfig, ids: pl.Series, seed: int
) -> ItemTable:
    """All content items, in row order. ``ids`` are the ids of all items by row."""
    rng = np.random.default_rng([seed, 4])
    forms = _read_forms()
    rows = np.arange(assortment.n_products, assortment.n_items)
    choice = rng.random((len(rows), 3))
    brands = vocabulary.brand_names(assortment.brand[rows])
    return ItemTable.from_rows(
        _item(forms, vocabulary, assortment, config, ids[int(row)], int(row), brands[at], choice[at])
        for at, row in enumerate(rows)
    )


def _item(
    forms: Mapping[str, list[Form]],
    vocabulary: Vocabulary,
    assortment: Assortment,
    config: SimulationConfig,
    item_id: str,
    row: int,
    brand: Word,
    choice: NDArray[np.float64],
) -> Item:
    kind = ItemKind(ITEM_KINDS[assortment.kind[row]])
    leaf = vocabulary.leaves[int(assortment.leaf[row])]
    title, description = forms[kind.value][int(choice[0] * len(forms[kind.value]))]
    feature = vocabulary.features[int(assortment.feature[row, 0])][0]
    percent = 5 * (1 + int(choice[1] * 6))
    use = leaf.uses[int(choice[2] * len(leaf.uses))]
    texts = tuple(
        ItemText(
            language,
            _filled(title[place], place, leaf, feature, brand, use, percent),
            _filled(description[place], place, leaf, feature, brand, use, percent),
        )
        for place, language in enumerate(Word._fields)
    )
    is_dated = bool(np.isfinite(assortment.ends_day[row]))
    return Item(
        item_id=item_id,
        kind=kind,
        texts=texts,
        brand=brand.en if kind is ItemKind.ADVERTISEMENT else None,
        category=(vocabulary.departments[leaf.department].en, leaf.name.en),
        attributes={"discount percent": (str(percent),)} if kind is ItemKind.PROMOTION else {},
        image=f"pictures/{item_id}.svg",
        created_ms=_time(config, assortment.created_day[row]),
        starts_ms=_time(config, assortment.starts_day[row]) if is_dated else None,
        ends_ms=_time(config, assortment.ends_day[row]) if is_dated else None,
    )


def _filled(text: str, place: int, leaf: Leaf, feature: Word, brand: Word, use: Word, percent: int) -> str:
    filled = text.format(
        noun=leaf.nouns[0][place], feature=feature[place], brand=brand[place], use=use[place], percent=percent
    )
    return filled[:1].upper() + filled[1:]


def _time(config: SimulationConfig, day: np.floating) -> int:
    return config.start_ms + round(float(day) * DAY_MS)


def _read_forms() -> Mapping[str, list[Form]]:
    table = tomllib.loads(files("aisle.simulation").joinpath("content.toml").read_text(encoding="utf-8"))
    return {kind: [(Word.parse(title), Word.parse(text)) for title, text in forms] for kind, forms in table.items()}
