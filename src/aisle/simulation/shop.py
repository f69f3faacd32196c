"""The simulated shop as one object: its items, users, events, documents, and the truth behind them.

Enters: a size and a seed. Leaves: tables for any shop to take in, and answers about what is true. The same size
and seed give the same data, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import polars as pl
from numpy.typing import ArrayLike, NDArray

from aisle.domain import DocumentTable, EventTable, ItemTable, UserTable
from aisle.simulation.assortment import Assortment, draw_assortment
from aisle.simulation.behaviour import DayOfShopping, shop_one_day, think_of_queries
from aisle.simulation.config import SimulationConfig
from aisle.simulation.content import describe_content
from aisle.simulation.documents import read_documents
from aisle.simulation.journal import Journal
from aisle.simulation.needs import Needs
from aisle.simulation.pictures import draw_picture
from aisle.simulation.queries import Queries
from aisle.simulation.shelves import Shelves
from aisle.simulation.truth import Truth
from aisle.simulation.users import Population, draw_population
from aisle.simulation.visitors import Visitors
from aisle.simulation.vocabulary import Vocabulary, Word, read_vocabulary
from aisle.simulation.wording import describe_products, item_ids

DAYS_BETWEEN_ARRANGEMENTS = 7
ATTRIBUTE_NAMES = (
    Word("colour", "颜色"),
    Word("material", "材质"),
    Word("size", "规格"),
    Word("feature", "特点"),
    Word("discount percent", "折扣（%）"),
)


class SimulatedShop:
    """A model of a shop with a known truth. Build with ``simulate``.

    Items and events are drawn when they are iterated, in batches, so that large shops need not fit into memory. The
    truth after the history (``truth``) is found by running through the history once, silently if need be.
    """

    def __init__(self, config: SimulationConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.vocabulary: Vocabulary = read_vocabulary()
        self.assortment: Assortment = draw_assortment(self.vocabulary, config, seed)
        self.population: Population = draw_population(self.vocabulary, self.assortment, config, seed)
        self._needs_at_end: Needs | None = None

    @property
    def now_ms(self) -> int:
        """The end of the history, UTC milliseconds: the moment from which the shop goes on."""
        return self.config.end_ms

    @property
    def truth_at_start(self) -> Truth:
        """The truth before anybody has bought anything, with needs of its own."""
        nobody = Needs.of_nobody(self.vocabulary, self.population.n_users)
        return Truth(self.vocabulary, self.config, self.assortment, self.population, nobody)

    @property
    def truth(self) -> Truth:
        """The truth at the end of the history, with needs of its own."""
        if self._needs_at_end is None:
            for _ in self.days():
                pass
        assert self._needs_at_end is not None
        return self.truth_at_start.with_needs(self._needs_at_end.copy())

    def visitors(self) -> Visitors:
        """Everybody as they are at the end of the history, ready to answer to lists shown to them."""
        return Visitors(self.truth)

    def queries(self, user_rows: NDArray[np.integer], rng: np.random.Generator) -> Queries:
        """What users (n,) would search for at the end of the history, one query each."""
        truth, shelves = self.truth, Shelves(self.truth_at_start)
        shelves.arrange(self.config.n_days)
        shelves.open(self.config.n_days)
        return think_of_queries(truth, shelves, user_rows, self.config.n_days, rng)

    def item_ids(self) -> pl.Series:
        """Ids of all items by row."""
        return item_ids(self.assortment)

    def user_ids(self) -> pl.Series:
        """Ids of all users by row."""
        return self.population.ids()

    def items(self) -> Iterator[ItemTable]:
        """Everything the shop shows, by row, in tables of at most 50,000."""
        yield from describe_products(self.vocabulary, self.assortment, self.config, self.seed)
        yield describe_content(self.vocabulary, self.assortment, self.config, self.item_ids(), self.seed)

    def users(self) -> UserTable:
        """All users."""
        return self.population.table(self.config)

    def documents(self) -> DocumentTable:
        """The shop's policies in both languages."""
        return read_documents(self.config.start_ms)

    def days(self) -> Iterator[DayOfShopping]:
        """The history day by day, with the true probabilities of everything that was shown."""
        truth = self.truth_at_start
        shelves = Shelves(truth)
        for day in range(self.config.n_days):
            if day % DAYS_BETWEEN_ARRANGEMENTS == 0:
                shelves.arrange(day)
            shelves.open(day)
            yield shop_one_day(truth, shelves, day, np.random.default_rng([self.seed, 5, day]))
        self._needs_at_end = truth.needs

    def events(self, rows_at_once: int = 50_000) -> Iterator[EventTable]:
        """The history as events in order of time, in tables of about ``rows_at_once`` rows."""
        journal = Journal(self.truth_at_start)
        waiting: list[EventTable] = []
        for day in self.days():
            waiting.append(journal.write(day, np.random.default_rng([self.seed, 6, day.day])))
            if sum(len(table) for table in waiting) >= rows_at_once:
                yield EventTable.concat(waiting)
                waiting = []
        if waiting:
            yield EventTable.concat(waiting)

    def names(self) -> dict[str, str]:
        """Chinese for every English name of a category, brand, attribute or value of one that its items bear."""
        words = self.vocabulary
        named = [
            *words.departments,
            *(leaf.name for leaf in words.leaves),
            *(size for leaf in words.leaves for size in leaf.sizes),
            *(spelling for feature in words.features for spelling in feature[:1]),
            *words.materials,
            *words.colours,
            *words.brand_names(np.unique(self.assortment.brand[self.assortment.brand >= 0])),
            *ATTRIBUTE_NAMES,
        ]
        return {word.en: word.zh for word in named}

    def write_names(self, file: Path) -> int:
        """Write ``names`` as a shop's ``names.toml``; returns how many."""
        names = self.names()
        lines = [f"{_quoted(english)} = {_quoted(chinese)}" for english, chinese in names.items()]
        file.write_text("\n".join(["[zh]", *lines, ""]), encoding="utf-8")
        return len(names)

    def picture(self, item_row: int) -> str:
        """The item's picture as SVG; the item's ``image`` names the file it belongs into."""
        return draw_picture(self.vocabulary, self.assortment, item_row)

    def write_pictures(self, folder: Path, item_rows: ArrayLike | None = None) -> int:
        """Write pictures (default: of all items) below ``folder`` where the items' ``image`` says; returns how many."""
        rows = np.arange(self.assortment.n_items) if item_rows is None else np.atleast_1d(item_rows)
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        ids = self.item_ids()
        for row in rows.tolist():
            (folder / "pictures" / f"{ids[row]}.svg").write_text(self.picture(row), encoding="utf-8")
        return len(rows)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()  # a JSON string is a TOML string too


def simulate(size: str | SimulationConfig = "small", seed: int = 0) -> SimulatedShop:
    """A simulated shop of ``size`` (``tiny``, ``small``, ``medium``, ``large``, or a config of one's own).

    Raises:
        ConfigError: the size is not known.
    """
    config = size if isinstance(size, SimulationConfig) else SimulationConfig.of_size(size)
    return SimulatedShop(config, seed)
