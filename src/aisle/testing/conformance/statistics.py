"""The promises of ``contracts.Statistics``, one function a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aisle.contracts import Parts, Statistics
from aisle.domain import (
    Candidates,
    Catalogue,
    Event,
    EventTable,
    EventType,
    Features,
    Item,
    ItemTable,
    ItemText,
    Request,
    Snapshot,
)
from aisle.errors import CorruptError
from aisle.settings import Config
from aisle.testing.conformance.asked import ordinary_requests, strange_requests
from aisle.testing.conformance.files import damaged_copies, empty_folder, require_no_pickle
from aisle.testing.conformance.promises import Promise, in_threads
from aisle.testing.tiny import TinyShop, tiny_shop

NAME = "checked"
TOLERANCE = 1e-4


@dataclass
class _Bench:
    """Statistics fitted on the tiny shop."""

    implementation: type[Statistics]
    config: Config
    shop: TinyShop
    statistics: Statistics

    @classmethod
    def of(cls, implementation: type[Statistics], config: Config) -> _Bench:
        shop = tiny_shop()
        fitted = implementation.fit(NAME, shop.snapshot, config, Parts(shop.catalogue, shop.clock))
        return cls(implementation, config, shop, fitted)

    @property
    def parts(self) -> Parts:
        return Parts(self.shop.catalogue, self.shop.clock)

    @property
    def requests(self) -> list[Request]:
        ordinary = ordinary_requests(self.shop.snapshot, self.shop.clock.now_ms)
        return [*ordinary, *strange_requests(self.shop.snapshot, self.shop.clock.now_ms)]

    def promise(self, promised: str) -> Promise:
        return Promise(f"statistics {self.implementation.__name__}", promised)


def check_statistics(implementation: type[Statistics], config: Config | None = None) -> None:
    """Examine statistics.

    Args:
        implementation: the class.
        config: None takes the class's defaults.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    with Promise(f"statistics {implementation.__name__}", "fit learns from a snapshot"):
        bench = _Bench.of(implementation, implementation.Config() if config is None else config)
    for check in (
        _describes_every_candidate,
        _is_repeatable,
        _comes_back_from_its_files,
        _refuses_damaged_files,
        _takes_in_what_is_new,
        _comes_to_the_same_by_either_way,
        _tells_what_people_think,
    ):
        check(bench)


def _describes_every_candidate(bench: _Bench) -> None:
    requests = bench.requests
    everything = _all_items(bench.shop.catalogue)
    with bench.promise(
        "one Features for each request, a row a candidate, the same names for all; none for none"
    ) as promise:
        promise.require(bench.statistics.describe([], []) == [], "an answer to no request")
        found = bench.statistics.describe(requests, [everything] * len(requests))
        promise.require(len(found) == len(requests), f"{len(found)} answers to {len(requests)} requests")
        for features in found:
            promise.require(len(features) == len(everything), f"{len(features)} rows for {len(everything)} candidates")
            promise.require(features.names == found[0].names, "names differ between requests")
            promise.require(not np.isinf(features.values).any(), "a feature is infinite")
        promise.require(len(set(found[0].names)) == len(found[0].names), "a name stands twice")
        (nothing,) = bench.statistics.describe(requests[:1], [Candidates.empty()])
        promise.require(len(nothing) == 0 and nothing.names == found[0].names, "no candidate has other names")
    with bench.promise("a row follows its candidate, whatever the order") as promise:
        backwards = Candidates(
            everything.item_rows[::-1].copy(), everything.scores[::-1], everything.sources, everything.fused[::-1]
        )
        for request, features in zip(requests, found, strict=True):
            (turned,) = bench.statistics.describe([request], [backwards])
            _require_equal(promise, features, turned.at(np.arange(len(turned))[::-1]))


def _is_repeatable(bench: _Bench) -> None:
    requests, candidates = bench.requests, [_all_items(bench.shop.catalogue)] * len(bench.requests)
    wanted = bench.statistics.describe(requests, candidates)
    with bench.promise("equal inputs give equal answers, from several threads too") as promise:
        for found in in_threads(lambda _: bench.statistics.describe(requests, candidates)):
            for one, other in zip(wanted, found, strict=True):
                _require_equal(promise, one, other)


def _comes_back_from_its_files(bench: _Bench) -> None:
    with empty_folder() as folder:
        with bench.promise("save writes into an empty folder, never pickle") as promise:
            bench.statistics.save(folder)
            require_no_pickle(promise, folder)
        with bench.promise("after load the answers equal those before") as promise:
            loaded = bench.implementation.load(NAME, folder, bench.config, bench.parts)
            _require_same(promise, bench, bench.statistics, loaded)


def _refuses_damaged_files(bench: _Bench) -> None:
    with (
        bench.promise("load raises CorruptError for a damaged file, or answers as before") as promise,
        empty_folder() as folder,
    ):
        bench.statistics.save(folder)
        for what, damaged in damaged_copies(folder):
            try:
                loaded = bench.implementation.load(NAME, damaged, bench.config, bench.parts)
            except CorruptError:
                continue
            except Exception as error:
                promise.require(False, f"{what}: {type(error).__name__} instead of CorruptError: {error}")
                continue
            _require_same(promise, bench, bench.statistics, loaded)


def _takes_in_what_is_new(bench: _Bench) -> None:
    other = _Bench.of(bench.implementation, bench.config)
    with other.promise("extend takes in nothing, and passes over events of unknown items") as promise:
        other.statistics.extend(ItemTable.empty(), EventTable.empty())
        strange = Event("ann", EventType.VIEW, other.shop.clock.now_ms, "nobody-knows-it")
        other.statistics.extend(ItemTable.empty(), EventTable.from_rows([strange]))
        _require_same(promise, other, bench.statistics, other.statistics)
    item = Item(
        "new-0",
        texts=(ItemText("en", "A new lamp"),),
        brand="Newbrand",
        category=("Lamps", "Desk lamps"),
        price_minor=4200,
        currency="USD",
    )
    items = ItemTable.from_rows([item])
    with other.promise("a catalogue that grew before extend is no error") as promise:
        other.shop.catalogue.extend(items)
        candidates = _all_items(other.shop.catalogue)
        other.statistics.describe(other.requests, [candidates] * len(other.requests))
    with other.promise("what extend took in is seen in the next answer") as promise:
        request = Request("checked", other.shop.clock.now_ms)
        (before,) = other.statistics.describe([request], [candidates])
        bought = [Event(f"u{n}", EventType.PURCHASE, other.shop.clock.now_ms, "new-0") for n in range(3)]
        other.statistics.extend(items, EventTable.from_rows(bought))
        (after,) = other.statistics.describe([request], [candidates])
        row = other.shop.catalogue.row("new-0")
        is_same = np.array_equal(before.values[row], after.values[row], equal_nan=True)
        promise.require(not is_same, "three purchases changed nothing")


def _comes_to_the_same_by_either_way(bench: _Bench) -> None:
    with bench.promise("fitting on nothing and taking everything in equals fitting on everything") as promise:
        follower = bench.implementation.fit(NAME, Snapshot.empty(), bench.config, bench.parts)
        follower.extend(ItemTable.from_rows(bench.shop.items), EventTable.from_rows(bench.shop.events))
        _require_same(promise, bench, bench.statistics, follower)


def _tells_what_people_think(bench: _Bench) -> None:
    other = _Bench.of(bench.implementation, bench.config)
    now_ms, rows = other.shop.clock.now_ms, np.arange(other.shop.catalogue.n_items)[::-1]
    row = other.shop.row("umbrella")
    with other.promise("mean ratings are those of the events, nan where nobody rated, in the order asked") as promise:
        rated = [Event(f"u{n}", EventType.RATE, now_ms, "umbrella", rating=float(n)) for n in (2, 5)]
        other.statistics.extend(ItemTable.empty(), EventTable.from_rows(rated))
        means = other.statistics.mean_ratings(rows)
        promise.require(means.shape == rows.shape, f"ratings of shape {means.shape} for {len(rows)} items")
        promise.require(abs(means[::-1][row] - 3.5) < TOLERANCE, f"ratings of 2 and 5 have the mean {means[::-1][row]}")
        promise.require(bool(np.isnan(means).any()), "an item that nobody rated has a rating")
    with other.promise("popularity is finite, from 0, and rises with purchases") as promise:
        before = other.statistics.popularity(rows)
        bought = [Event(f"u{n}", EventType.PURCHASE, now_ms, "umbrella") for n in range(3)]
        other.statistics.extend(ItemTable.empty(), EventTable.from_rows(bought))
        after = other.statistics.popularity(rows)
        promise.require(
            bool(np.isfinite(before).all() and (before >= 0).all()), "a popularity is below 0 or not finite"
        )
        promise.require(after[::-1][row] > before[::-1][row], "three purchases changed nothing")


def _all_items(catalogue: Catalogue) -> Candidates:
    n = catalogue.n_items
    fused = np.linspace(1.0, 0.1, n, dtype=np.float32) if n else np.empty(0, np.float32)
    scores = np.column_stack([fused, np.where(np.arange(n) % 2, np.nan, fused)]).astype(np.float32)
    return Candidates(np.arange(n), scores, ("one", "other"), fused)


def _require_same(promise: Promise, bench: _Bench, one: Statistics, other: Statistics) -> None:
    requests: Sequence[Request] = bench.requests
    candidates = [_all_items(bench.shop.catalogue)] * len(requests)
    for first, second in zip(one.describe(requests, candidates), other.describe(requests, candidates), strict=True):
        _require_equal(promise, first, second)


def _require_equal(promise: Promise, one: Features, other: Features) -> None:
    promise.require(one.names == other.names, "the names differ")
    is_close = np.isclose(one.values, other.values, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    wrong = [one.names[column] for column in np.unique(np.nonzero(~is_close)[1])]
    promise.require(not wrong, f"features {wrong} differ")
