"""What the simulated shop sells, as arrays of codes: everything about an item but its words.

Enters: the vocabulary, the dials and a seed. Leaves: ``Assortment``. Item rows count products first, then articles,
promotions and advertisements, in the order in which the shop's item tables list them. About 120 bytes an item.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.domain import ItemKind
from aisle.domain.catalogue import ITEM_KINDS
from aisle.simulation.config import SimulationConfig
from aisle.simulation.vocabulary import Vocabulary

PRODUCT = ITEM_KINDS.index(ItemKind.PRODUCT.value)
ARTICLE = ITEM_KINDS.index(ItemKind.ARTICLE.value)
PROMOTION = ITEM_KINDS.index(ItemKind.PROMOTION.value)
ADVERTISEMENT = ITEM_KINDS.index(ItemKind.ADVERTISEMENT.value)
CONTENT_KINDS = (ARTICLE, PROMOTION, ADVERTISEMENT)
NEVER = np.float32(np.inf)


@dataclass(frozen=True)
class Assortment:
    """Items by row. Days count from the start of the history and may be negative; ``NEVER`` is infinity.

    ``feature`` (n, 2) int16 codes of the vocabulary, -1 where there is none; ``colour`` and ``material`` likewise.
    ``style`` (n, d) float32 unit rows in taste space; ``centre`` (n_leaves, d) the same for leaf categories.
    ``appeal`` is what all think of the item, ``exposure`` how much the old shop pushed it beyond that, both in
    log-odds; ``quality`` in standard deviations decides ratings and refunds. An item is sold out on days from
    ``out_from`` to ``out_until``.
    """

    kind: NDArray[np.int8]
    leaf: NDArray[np.int16]
    brand: NDArray[np.int32]
    colour: NDArray[np.int8]
    material: NDArray[np.int8]
    feature: NDArray[np.int16]
    size: NDArray[np.int8]
    series: NDArray[np.int16]
    seller: NDArray[np.int16]
    relative_price: NDArray[np.float32]
    price_minor: NDArray[np.int64]
    cost_minor: NDArray[np.int64]
    stock: NDArray[np.int64]
    created_day: NDArray[np.float32]
    starts_day: NDArray[np.float32]
    ends_day: NDArray[np.float32]
    out_from: NDArray[np.float32]
    out_until: NDArray[np.float32]
    trend_day: NDArray[np.float32]
    style: NDArray[np.float32]
    centre: NDArray[np.float32]
    appeal: NDArray[np.float32]
    exposure: NDArray[np.float32]
    quality: NDArray[np.float32]
    brands_of_department: NDArray[np.int32]

    @property
    def n_items(self) -> int:
        """Number of rows, all kinds."""
        return len(self.kind)

    @property
    def n_products(self) -> int:
        """Products; they are the first rows."""
        return int((self.kind == PRODUCT).sum())

    def is_live(self, item_rows: NDArray[np.integer], day: NDArray[np.floating] | float) -> NDArray[np.bool_]:
        """Which items exist and are inside their dates on ``day``; broadcasts."""
        return (
            (self.created_day[item_rows] <= day)
            & (self.starts_day[item_rows] <= day)
            & (self.ends_day[item_rows] > day)
        )

    def is_sold_out(self, item_rows: NDArray[np.integer], day: NDArray[np.floating] | float) -> NDArray[np.bool_]:
        """Which items cannot be bought on ``day`` because none is left; broadcasts."""
        return (self.out_from[item_rows] <= day) & (self.out_until[item_rows] > day)


def draw_assortment(vocabulary: Vocabulary, config: SimulationConfig, seed: int) -> Assortment:
    """Draw all items. Equal arguments give equal arrays; cost about 2 s for a million."""
    rng = np.random.default_rng([seed, 1])
    n_products, n_content = config.n_products, round(config.n_products * config.content_share)
    n = n_products + n_content
    is_product = np.arange(n) < n_products
    leaf = _leaves(vocabulary.n_leaves, n, rng)
    departments = np.array([entry.department for entry in vocabulary.leaves])[leaf]
    brands_of_department, tiers = _brands(len(vocabulary.departments), config.n_products, rng)
    # a few brands of a department lead it
    position = (brands_of_department.shape[1] * rng.random(n) ** 1.7).astype(np.int64)
    brand = brands_of_department[departments, position]
    has_colour = np.array([entry.has_colour for entry in vocabulary.leaves])[leaf]
    colour = np.where(has_colour, rng.integers(len(vocabulary.colours), size=n), -1).astype(np.int8)
    feature = _chosen([entry.features for entry in vocabulary.leaves], leaf, 2, rng).astype(np.int16)
    feature[rng.random(n) < 0.35, 1] = -1
    material = _chosen([entry.materials for entry in vocabulary.leaves], leaf, 1, rng)[:, 0].astype(np.int8)
    size = (rng.random(n) * np.array([len(entry.sizes) for entry in vocabulary.leaves])[leaf]).astype(np.int8)
    relative_price = (tiers[brand] + rng.normal(0.0, 0.3, n)).astype(np.float32)
    price = np.array([entry.price for entry in vocabulary.leaves])[leaf] * np.exp(relative_price)
    price_minor = np.maximum(np.round(price).astype(np.int64) * 100 - 1, 99)
    centre, style = _places_in_taste_space(vocabulary, config, brand, colour, material, feature, rng)
    out_from, out_until, stock = _stock(config, n, is_product, rng)
    starts, ends, kind = _content_dates(config, n, n_products, rng)
    is_new = is_product & (rng.random(n) < config.new_item_share)
    is_new[: vocabulary.n_leaves] = False  # one item of every category is there from the start
    created = np.where(is_new, rng.random(n) * config.n_days, -rng.exponential(300.0, n) - 1.0).astype(np.float32)
    quality = rng.normal(0.0, 1.0, n).astype(np.float32)
    appeal = config.appeal * (0.5 * quality + np.sqrt(0.75) * rng.normal(0.0, 1.0, n))
    return Assortment(
        kind=kind,
        leaf=leaf,
        brand=brand,
        colour=colour,
        material=material,
        feature=feature,
        size=size,
        series=rng.integers(len(vocabulary.series) * 90, size=n).astype(np.int16),
        seller=_sellers(config.n_products, brand, rng),
        relative_price=relative_price,
        price_minor=np.where(is_product, price_minor, 0),
        cost_minor=np.where(is_product, (price_minor * rng.uniform(0.45, 0.8, n)).astype(np.int64), 0),
        stock=stock,
        created_day=np.where(np.isfinite(starts), np.minimum(created, starts), created).astype(np.float32),
        starts_day=starts,
        ends_day=ends,
        out_from=out_from,
        out_until=out_until,
        trend_day=np.where(rng.random(n) < 0.03, rng.random(n) * config.n_days, NEVER).astype(np.float32),
        style=style,
        centre=centre,
        appeal=appeal.astype(np.float32),
        exposure=rng.normal(0.0, 0.8, n).astype(np.float32),
        quality=quality,
        brands_of_department=brands_of_department,
    )


def _leaves(n_leaves: int, n: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Leaf of each item: unevenly many, but at least one each among the first rows."""
    share = rng.dirichlet(np.full(n_leaves, 4.0))
    leaf = rng.choice(n_leaves, size=n, p=share)
    leaf[:n_leaves] = rng.permutation(n_leaves)
    return leaf.astype(np.int16)


def _brands(
    n_departments: int, n_products: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Brand codes of each department (n_departments, b), and each brand's price tier as a log factor."""
    n_each = int(np.clip(n_products // 200, 5, 40))
    codes = rng.permutation(n_departments * n_each).astype(np.int32).reshape(n_departments, n_each)
    # 45% ordinary, 30% cheap, 25% dear
    tiers = rng.choice([0.0, -0.4, 0.55], size=codes.size, p=[0.45, 0.3, 0.25])
    return codes, tiers


def _chosen(
    options: list[tuple[int, ...]], leaf: NDArray[np.int16], n_each: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """``n_each`` different options of each item's leaf, (n, n_each), -1 where the leaf has too few."""
    width = max(len(entry) for entry in options)
    table = np.array([[*entry, *[-1] * (width - len(entry))] for entry in options])[leaf]  # (n, width)
    keys = rng.random(table.shape)
    keys[table < 0] = 2.0
    order = np.argsort(keys, axis=1)[:, :n_each]
    return np.take_along_axis(table, order, axis=1)


def _places_in_taste_space(
    vocabulary: Vocabulary,
    config: SimulationConfig,
    brand: NDArray[np.int32],
    colour: NDArray[np.int8],
    material: NDArray[np.int8],
    feature: NDArray[np.int16],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Leaf centres and item styles. A style is mostly what an item shows: brand, colour, material, features."""
    d = config.taste_dimension

    def directions(n: int) -> NDArray[np.float32]:
        return unit(rng.normal(size=(n, d)).astype(np.float32))

    departments = directions(len(vocabulary.departments))
    of_department = departments[[entry.department for entry in vocabulary.leaves]]
    centre = unit((of_department + 1.3 * directions(vocabulary.n_leaves)).astype(np.float32))
    # the extra last row stands for "none" and says nothing
    none = np.zeros((1, d), dtype=np.float32)
    of_brand = directions(int(brand.max()) + 1)
    of_colour = np.concatenate([directions(len(vocabulary.colours)), none])
    of_material = np.concatenate([directions(len(vocabulary.materials)), none])
    of_feature = np.concatenate([directions(len(vocabulary.features)), none])
    style = 0.6 * of_brand[brand]
    style += 0.45 * of_colour[colour]
    style += 0.45 * of_material[material]
    style += 0.45 * (of_feature[feature[:, 0]] + of_feature[feature[:, 1]])
    style += 0.4 * directions(len(brand))
    return centre, unit(style)


def _stock(
    config: SimulationConfig, n: int, is_product: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """When each item is sold out, and what is left at the end of the history (0 if it is sold out then)."""
    runs_out = is_product & (rng.random(n) < config.out_of_stock_share)
    begin = rng.random(n) * config.n_days
    length = rng.exponential(config.n_days / 3, n) + 3.0
    out_from = np.where(runs_out, begin, NEVER).astype(np.float32)
    out_until = np.where(runs_out, begin + length, NEVER).astype(np.float32)
    left = np.round(np.exp(rng.normal(3.5, 1.0, n))).astype(np.int64) + 1
    is_out = (out_from <= config.n_days) & (out_until > config.n_days)
    return out_from, out_until, np.where(is_out, 0, left)


def _content_dates(
    config: SimulationConfig, n: int, n_products: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int8]]:
    """When items may be shown, and their kinds: two fifths are articles, the rest runs for some weeks."""
    kind = np.full(n, PRODUCT, dtype=np.int8)
    n_content = n - n_products
    kind[n_products:] = rng.choice(CONTENT_KINDS, size=n_content, p=[0.4, 0.3, 0.3])
    starts = np.full(n, -NEVER, dtype=np.float32)
    ends = np.full(n, NEVER, dtype=np.float32)
    is_dated = (kind == PROMOTION) | (kind == ADVERTISEMENT)
    begin = np.floor(rng.uniform(-10.0, config.n_days, n))
    starts[is_dated] = begin[is_dated]
    ends[is_dated] = (begin + rng.integers(10, 40, n))[is_dated]
    return starts, ends, kind


def _sellers(n_products: int, brand: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int16]:
    """A brand is mostly sold by one seller, sometimes by another."""
    n_sellers = int(np.clip(n_products // 100, 6, 300))
    usual = rng.integers(n_sellers, size=int(brand.max()) + 1)[brand]
    other = rng.integers(n_sellers, size=len(brand))
    return np.where(rng.random(len(brand)) < 0.8, usual, other).astype(np.int16)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
