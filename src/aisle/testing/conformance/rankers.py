"""The promises of ``contracts.Ranker`` and ``contracts.Explainer``, one function a promise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aisle.contracts import Explainer, Parts, Ranker
from aisle.domain import OUTCOME_NAMES, Candidates, Examples, Features, Outcomes, Request
from aisle.errors import CorruptError, NotReadyError
from aisle.settings import Config
from aisle.testing.conformance.files import damaged_copies, empty_folder, require_no_pickle
from aisle.testing.conformance.promises import Promise, in_threads
from aisle.testing.tiny import TinyShop, tiny_shop

NAME = "checked"
N_LISTS = 800
N_SLOTS = 6
FEATURES = ("fused", "cross.recent_leaf", "item.log_price", "sometimes_unknown", "context.placement")
TOLERANCE = 1e-6


@dataclass
class _Bench:
    """One ranker fitted on made-up lists."""

    implementation: type[Ranker]
    config: Config
    shop: TinyShop
    ranker: Ranker

    @property
    def parts(self) -> Parts:
        return Parts(self.shop.catalogue, self.shop.clock)

    def promise(self, promised: str) -> Promise:
        return Promise(f"ranker {self.implementation.__name__}", promised)

    def asked(self, n: int = 5, seed: int = 3) -> tuple[list[Request], list[Candidates], list[Features]]:
        """``n`` requests for the first items of the shop, with features of their own."""
        rng = np.random.default_rng(seed)
        n_rows = self.shop.catalogue.n_items
        requests = [Request("checked", self.shop.clock.now_ms) for _ in range(n)]
        fused = -np.arange(n_rows, dtype=np.float32)
        candidates = [Candidates(np.arange(n_rows), np.empty((n_rows, 0), np.float32), (), fused) for _ in range(n)]
        return requests, candidates, [_features(n_rows, rng) for _ in range(n)]


def check_ranker(implementation: type[Ranker], config: Config | None = None) -> None:
    """Examine a ranker.

    Args:
        implementation: the class that the entry point names.
        config: None takes the class's defaults.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    with Promise(f"ranker {implementation.__name__}", "it has a Config whose defaults are valid"):
        chosen = implementation.Config() if config is None else config
    with Promise(f"ranker {implementation.__name__}", "fit learns from examples"):
        shop = tiny_shop()
        ranker = implementation.fit(NAME, examples(), chosen, Parts(shop.catalogue, shop.clock))
    bench = _Bench(implementation, chosen, shop, ranker)
    for check in (
        _gives_outcomes,
        _learns_what_brings_clicks,
        _stands_other_features,
        _is_repeatable,
        _says_what_it_lacks,
        _comes_back_from_its_files,
        _refuses_damaged_files,
        _explains,
    ):
        check(bench)


def examples(n_lists: int = N_LISTS, seed: int = 1) -> Examples:
    """Lists in which ``fused`` brings clicks, ``item.log_price`` keeps from buying, and lower slots are looked at less.

    Half of the rows do not know ``sometimes_unknown``, which says nothing.
    """
    rng = np.random.default_rng(seed)
    n = n_lists * N_SLOTS
    features = _features(n, rng)
    slots = np.tile(np.arange(N_SLOTS), n_lists)
    click = _chance(features.values[:, 0] - 0.5) / (1.0 + slots) ** 0.7
    is_click = rng.random(n) < click
    is_purchase = is_click & (rng.random(n) < _chance(-features.values[:, 2]))
    times_ms = np.repeat(np.arange(n_lists, dtype=np.int64), N_SLOTS) * 60_000
    return Examples(
        features,
        np.repeat(np.arange(n_lists), N_SLOTS),
        slots,
        times_ms,
        np.ones(n, np.float32),
        is_click,
        is_purchase,
        np.ones(n, np.float32),
    )


def _features(n: int, rng: np.random.Generator) -> Features:
    values = rng.normal(size=(n, len(FEATURES))).astype(np.float32)
    values[rng.random(n) < 0.5, 3] = np.nan
    values[:, 4] = 17.0
    return Features(FEATURES, values)


def _chance(log_odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-log_odds))


def _gives_outcomes(bench: _Bench) -> None:
    requests, candidates, features = bench.asked()
    with bench.promise(
        "predict gives one Outcomes for each request, a row for each candidate; none for none"
    ) as promise:
        promise.require(bench.ranker.name == NAME, f"name is {bench.ranker.name!r}, wanted {NAME!r}")
        promise.require(bench.ranker.predict([], [], []) == [], "an answer to no request")
        answers = bench.ranker.predict(requests, candidates, features)
        promise.require(len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests")
        nobody = Candidates.empty()
        (empty,) = bench.ranker.predict(requests[:1], [nobody], [features[0].at(np.empty(0, np.int64))])
        promise.require(len(empty) == 0, f"{len(empty)} outcomes of no candidate")
    with bench.promise("outcomes are click, purchase, revenue and margin; purchases are clicked first") as promise:
        for answer, found in zip(answers, candidates, strict=True):
            promise.require(answer.names == OUTCOME_NAMES, f"outcomes are {answer.names}")
            promise.require(len(answer) == len(found), f"{len(answer)} rows for {len(found)} candidates")
            click, purchase, revenue, _ = answer.values.T
            promise.require(((click >= 0) & (click <= 1)).all(), f"click probabilities {click}")
            promise.require(((purchase >= 0) & (purchase <= click + TOLERANCE)).all(), "a purchase without its click")
            promise.require((revenue >= 0).all(), f"revenue {revenue}")


def _learns_what_brings_clicks(bench: _Bench) -> None:
    requests, candidates, features = bench.asked(40, seed=5)
    with bench.promise("it learns from its examples, and predicts for the first slot") as promise:
        answers = bench.ranker.predict(requests, candidates, features)
        click = np.concatenate([answer.values[:, 0] for answer in answers])
        truth = _chance(np.concatenate([table.values[:, 0] for table in features]) - 0.5)
        alike = np.corrcoef(click, truth)[0, 1]
        promise.require(alike > 0.8, f"predicted and true click probabilities correlate by {alike:.2f}")
        off = abs(float(click.mean() - truth.mean()))
        promise.require(off < 0.08, f"its mean click probability is {off:.3f} off the truth in the first slot")


def _stands_other_features(bench: _Bench) -> None:
    requests, candidates, features = bench.asked()
    wanted = bench.ranker.predict(requests, candidates, features)
    turned = tuple(reversed((*FEATURES, "never_heard_of")))
    others = [Features(turned, table.aligned(turned)) for table in features]
    promise = bench.promise("a feature it does not know is passed over, and their order does not matter")
    _require_equal(promise, wanted, bench.ranker.predict(requests, candidates, others))
    without = [Features(FEATURES[:3], table.values[:, :3]) for table in features]
    unknown = [Features(FEATURES, table.aligned((*FEATURES[:3], "unknown-1", "unknown-2"))) for table in features]
    one, other = (bench.ranker.predict(requests, candidates, tables) for tables in (without, unknown))
    _require_equal(bench.promise("an absent feature counts as nan"), one, other)


def _is_repeatable(bench: _Bench) -> None:
    requests, candidates, features = bench.asked()
    wanted = bench.ranker.predict(requests, candidates, features)
    again = bench.implementation.fit(NAME, examples(), bench.config, bench.parts)
    _require_equal(
        bench.promise("equal examples give equal rankers"), wanted, again.predict(requests, candidates, features)
    )
    for answers in in_threads(lambda _: bench.ranker.predict(requests, candidates, features)):
        _require_equal(bench.promise("it is safe to call from several threads"), wanted, answers)


def _says_what_it_lacks(bench: _Bench) -> None:
    with bench.promise("fit raises NotReadyError for too few examples") as promise:
        few = examples(3)
        for given in (few, few.where(np.zeros(len(few), np.bool_))):
            try:
                bench.implementation.fit(NAME, given, bench.config, bench.parts)
            except NotReadyError:
                continue
            promise.require(False, f"it was fitted on {len(given)} rows")


def _comes_back_from_its_files(bench: _Bench) -> None:
    requests, candidates, features = bench.asked()
    wanted = bench.ranker.predict(requests, candidates, features)
    with empty_folder() as folder:
        with bench.promise("save writes into an empty folder, never pickle") as promise:
            bench.ranker.save(folder)
            require_no_pickle(promise, folder)
        loaded = bench.implementation.load(NAME, folder, bench.config, bench.parts)
        _require_equal(
            bench.promise("after load the predictions equal those before"),
            wanted,
            loaded.predict(requests, candidates, features),
        )


def _refuses_damaged_files(bench: _Bench) -> None:
    requests, candidates, features = bench.asked()
    wanted = bench.ranker.predict(requests, candidates, features)
    promise = bench.promise("load raises CorruptError for a damaged file, or predicts as before")
    with promise, empty_folder() as folder:
        bench.ranker.save(folder)
        for what, damaged in damaged_copies(folder):
            try:
                answers = bench.implementation.load(NAME, damaged, bench.config, bench.parts).predict(
                    requests, candidates, features
                )
            except CorruptError:
                continue
            except Exception as error:
                promise.require(False, f"{what}: {type(error).__name__} instead of CorruptError: {error}")
                continue
            _require_equal(promise, wanted, answers)


def _explains(bench: _Bench) -> None:
    ranker = bench.ranker
    if not isinstance(ranker, Explainer):
        return
    _, _, (features, *_) = bench.asked()
    with bench.promise("attribute gives (n, n_features) float32 for click and purchase") as promise:
        found = ranker.attribute(features)
        for outcome in ("click", "purchase"):
            table = found[outcome]
            promise.require(table.shape == features.values.shape, f"{outcome} has shape {table.shape}")
            promise.require(table.dtype == np.float32, f"{outcome} is {table.dtype}")
        moved = np.abs(found["click"]).mean(axis=0)
        promise.require(moved.argmax() == 0, f"features moved clicks by {moved}; the first one decides them")


def _require_equal(promise: Promise, wanted: list[Outcomes], answers: list[Outcomes]) -> None:
    with promise:
        for one, other in zip(wanted, answers, strict=True):
            is_close = np.allclose(one.values, other.values, rtol=TOLERANCE, atol=TOLERANCE)
            promise.require(is_close, f"outcomes {one.values[:3].tolist()} and {other.values[:3].tolist()} differ")
