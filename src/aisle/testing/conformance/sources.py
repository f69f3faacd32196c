"""The promises of ``contracts.CandidateSource`` and ``contracts.Scorer``, one function a promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aisle.contracts import CandidateSource, Encoder, Parts, Scorer
from aisle.domain import (
    Candidates,
    Catalogue,
    Event,
    EventTable,
    EventType,
    Item,
    ItemTable,
    ItemText,
    Request,
    Snapshot,
    allowed_mask,
)
from aisle.errors import CorruptError
from aisle.settings import Config
from aisle.testing.conformance.asked import limited, ordinary_requests, request_about, strange_requests
from aisle.testing.conformance.files import damaged_copies, empty_folder, require_no_pickle
from aisle.testing.conformance.promises import Promise, in_threads
from aisle.testing.hashed_words import HashedWords
from aisle.testing.tiny import DAY_MS, TinyShop, tiny_shop

NAME = "checked"
MANY = 10_000
"""More than the tiny shop has."""
TOLERANCE = 1e-5
"""How far equal scores may lie apart: sums in another order round differently."""


@dataclass
class _Bench:
    """One source fitted on the tiny shop, and what it takes to make another."""

    implementation: type[CandidateSource]
    config: Config
    encoder: Encoder
    shop: TinyShop
    source: CandidateSource

    @classmethod
    def of(cls, implementation: type[CandidateSource], config: Config, encoder: Encoder) -> _Bench:
        shop = tiny_shop()
        parts = Parts(shop.catalogue, shop.clock, encoder)
        return cls(implementation, config, encoder, shop, implementation.fit(NAME, shop.snapshot, config, parts))

    @property
    def parts(self) -> Parts:
        return Parts(self.shop.catalogue, self.shop.clock, self.encoder)

    @property
    def requests(self) -> list[Request]:
        return ordinary_requests(self.shop.snapshot, self.shop.clock.now_ms)

    def promise(self, promised: str) -> Promise:
        return Promise(f"source {self.implementation.__name__}", promised)

    def again(self) -> _Bench:
        """Another one, fitted afresh, with a shop of its own."""
        return _Bench.of(self.implementation, self.config, self.encoder)

    def loaded(self, folder: Path) -> CandidateSource:
        return self.implementation.load(NAME, folder, self.config, self.parts)


def check_source(
    implementation: type[CandidateSource], config: Config | None = None, *, encoder: Encoder | None = None
) -> None:
    """Examine a candidate source.

    Args:
        implementation: the class that the entry point names.
        config: None takes the class's defaults.
        encoder: handed in as ``Parts.encoder``; None takes one that needs no model.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    with Promise(f"source {implementation.__name__}", "it has a Config whose defaults are valid"):
        chosen = implementation.Config() if config is None else config
    with Promise(f"source {implementation.__name__}", "fit learns from a snapshot"):
        bench = _Bench.of(implementation, chosen, encoder or HashedWords())
    for check in (
        _gives_one_answer_each,
        _keeps_to_limits,
        _answers_strange_requests,
        _cuts_after_limits,
        _is_repeatable,
        _leaves_inputs_unchanged,
        _is_safe_in_threads,
        _scores_like_it_retrieves,
        _comes_back_from_its_files,
        _refuses_damaged_files,
        _takes_in_what_is_new,
        _stands_a_catalogue_that_grew,
        _serves_an_empty_shop,
    ):
        check(bench)


def _gives_one_answer_each(bench: _Bench) -> None:
    requests = bench.requests
    with bench.promise("it bears the name it was fitted with") as promise:
        promise.require(bench.source.name == NAME, f"name is {bench.source.name!r}, wanted {NAME!r}")
    with bench.promise("one Candidates for each request, in order; none for none") as promise:
        promise.require(bench.source.retrieve([], 5) == [], "an answer to no request")
        answers = bench.source.retrieve(requests, MANY)
        promise.require(len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests")
    with bench.promise("only rows of the catalogue, best first, ties by ascending row, no row twice") as promise:
        for answer in answers:
            _require_in_order(promise, answer, bench.shop.catalogue.n_items)
    with bench.promise("up to n candidates; a smaller n gives the head of the longer list") as promise:
        for n in (1, 3):
            for longer, shorter in zip(answers, bench.source.retrieve(requests, n), strict=True):
                promise.require(len(shorter) == min(n, len(longer)), f"n = {n} gave {len(shorter)} candidates")
                _require_equal(promise, shorter, longer.best(n))
    with bench.promise("a request is answered alone as it is among others") as promise:
        for request, answer in zip(requests, answers, strict=True):
            _require_equal(promise, bench.source.retrieve([request], MANY)[0], answer)


def _answers_strange_requests(bench: _Bench) -> None:
    with bench.promise("an unknown user, item or a request without what it needs is no error") as promise:
        requests = strange_requests(bench.shop.snapshot, bench.shop.clock.now_ms)
        answers = bench.source.retrieve(requests, MANY)
        promise.require(len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests")
        for request, answer in zip(requests, answers, strict=True):
            _require_in_order(promise, answer, bench.shop.catalogue.n_items)
            _require_allowed(promise, request, answer)


def _keeps_to_limits(bench: _Bench) -> None:
    n_items = bench.shop.catalogue.n_items
    masks = (
        np.arange(n_items) % 2 == 0,
        np.arange(n_items) % 2 == 1,
        np.zeros(n_items, np.bool_),
        np.ones(n_items // 2, np.bool_),  # shorter than the catalogue: what lies beyond may not be proposed
    )
    with bench.promise("it proposes only what request.allowed and request.excluded_rows leave") as promise:
        for mask in masks:
            requests = [limited(request, mask, [0, 3]) for request in bench.requests]
            for n in (2, MANY):
                for request, answer in zip(requests, bench.source.retrieve(requests, n), strict=True):
                    _require_allowed(promise, request, answer)
        both = [limited(bench.requests[0], masks[0]), limited(bench.requests[0], masks[1])]
        for request, answer in zip(both, bench.source.retrieve(both, MANY), strict=True):
            _require_allowed(promise, request, answer)


def _cuts_after_limits(bench: _Bench) -> None:
    with bench.promise(
        "limits are kept before the list is cut, so that leaving out the best brings the next"
    ) as promise:
        requests = bench.requests
        for request, answer in zip(requests, bench.source.retrieve(requests, MANY), strict=True):
            if len(answer) > 1:
                best = [int(answer.item_rows[0])]
                mask = np.ones(bench.shop.catalogue.n_items, np.bool_)
                mask[best] = False
                for less in (limited(request, None, best), limited(request, mask)):
                    n_left = len(bench.source.retrieve([less], 1)[0])
                    promise.require(
                        n_left == 1, f"row {best[0]} was left out of {len(answer)} and nothing came instead"
                    )


def _is_repeatable(bench: _Bench) -> None:
    with bench.promise("equal inputs give equal answers") as promise:
        _require_same_answers(promise, bench.source, bench.source, bench.requests)
    with bench.promise("a second fit on the same snapshot answers like the first") as promise:
        _require_same_answers(promise, bench.again().source, bench.source, bench.requests)


def _leaves_inputs_unchanged(bench: _Bench) -> None:
    with bench.promise("it leaves its inputs unchanged") as promise:
        shop, untouched = bench.shop, tiny_shop()
        parts = bench.parts
        bench.implementation.fit(NAME, shop.snapshot, bench.config, parts)
        requests = bench.requests  # their arrays refuse to be written to
        given = list(requests)
        bench.source.retrieve(given, 5)
        promise.require(
            shop.snapshot.interactions.equals(untouched.snapshot.interactions)
            and shop.snapshot.items.frame.equals(untouched.snapshot.items.frame),
            "the snapshot was changed",
        )
        promise.require(shop.catalogue.item_ids == untouched.catalogue.item_ids, "the catalogue was changed")
        promise.require(
            len(given) == len(requests) and all(a is b for a, b in zip(given, requests, strict=True)),
            "the list of requests was changed",
        )


def _is_safe_in_threads(bench: _Bench) -> None:
    with bench.promise("safe to call from several threads") as promise:
        requests = bench.requests
        expected = bench.source.retrieve(requests, 5)

        def ask(number: int) -> list[list[Candidates]]:
            turned = requests[number:] + requests[:number]
            return [bench.source.retrieve(turned, 5) for _ in range(3)]

        for number, rounds in enumerate(in_threads(ask)):
            for answers in rounds:
                promise.require(len(answers) == len(expected), f"{len(answers)} answers to {len(expected)} requests")
                for answer, wanted in zip(answers, expected[number:] + expected[:number], strict=True):
                    _require_equal(promise, answer, wanted)
    with bench.promise("retrieve is safe while extend runs in another thread") as promise:
        other = bench.again()
        items, events = _news(other.shop)
        other.shop.catalogue.extend(items)

        def work(number: int) -> list[list[Candidates]]:
            if number == 0:
                other.source.extend(items, events)
                return []
            return [other.source.retrieve(requests, 5) for _ in range(3)]

        for rounds in in_threads(work):
            for answers in rounds:
                for answer in answers:
                    _require_in_order(promise, answer, other.shop.catalogue.n_items)


def _scores_like_it_retrieves(bench: _Bench) -> None:
    source = bench.source
    if not isinstance(source, Scorer):
        return
    requests = bench.requests
    answers = source.retrieve(requests, MANY)
    with bench.promise("score gives one float32 array a request, on the scale of retrieve") as promise:
        scores = source.score(requests, [answer.item_rows for answer in answers])
        promise.require(len(scores) == len(requests), f"{len(scores)} arrays for {len(requests)} requests")
        for answer, score in zip(answers, scores, strict=True):
            promise.require(score.dtype == np.float32, f"scores are {score.dtype}")
            promise.require(score.shape == answer.item_rows.shape, f"{score.shape} scores of {len(answer)} rows")
            is_alike = np.allclose(score, answer.fused, rtol=1e-3, atol=1e-3)
            promise.require(is_alike, f"scores {score} of candidates that retrieve scores {answer.fused}")
    with bench.promise("score says nan where the source has no opinion, and nothing of it fails") as promise:
        everything = np.arange(-1, bench.shop.catalogue.n_items + 2)
        for rows in (everything, everything[::-1], np.empty(0, np.int64)):
            for score in source.score(requests, [rows] * len(requests)):
                promise.require(score.shape == rows.shape, f"{score.shape} scores of {len(rows)} rows")
                promise.require(not np.isinf(score).any(), "a score is infinite")


def _comes_back_from_its_files(bench: _Bench) -> None:
    with empty_folder() as folder:
        with bench.promise("save writes into an empty folder, never pickle") as promise:
            bench.source.save(folder)
            require_no_pickle(promise, folder)
        with bench.promise("after load the answers equal those before") as promise:
            loaded = bench.loaded(folder)
            promise.require(loaded.name == NAME, f"its name is {loaded.name!r}")
            _require_same_answers(promise, loaded, bench.source, bench.requests)
        with bench.promise("what was loaded can be saved and loaded again") as promise, empty_folder() as second:
            loaded.save(second)
            _require_same_answers(promise, bench.loaded(second), bench.source, bench.requests)


def _refuses_damaged_files(bench: _Bench) -> None:
    with (
        bench.promise("load raises CorruptError for a damaged file, or answers as before") as promise,
        empty_folder() as folder,
    ):
        bench.source.save(folder)
        expected = bench.source.retrieve(bench.requests, MANY)
        for what, damaged in damaged_copies(folder):
            try:
                answers = bench.loaded(damaged).retrieve(bench.requests, MANY)
            except CorruptError:
                continue
            except Exception as error:
                promise.require(False, f"{what}: {type(error).__name__} instead of CorruptError: {error}")
                continue
            for answer, wanted in zip(answers, expected, strict=True):
                is_same = np.array_equal(answer.item_rows, wanted.item_rows)
                promise.require(is_same, f"{what}: it went unnoticed and the answers differ")


def _takes_in_what_is_new(bench: _Bench) -> None:
    other = bench.again()
    n_before = other.shop.catalogue.n_items
    with bench.promise("extend takes in nothing") as promise:
        other.source.extend(ItemTable.empty(), EventTable.empty())
        _require_same_answers(promise, other.source, bench.source, bench.requests)
    with bench.promise("extend passes over events of unknown items") as promise:
        other.source.extend(ItemTable.empty(), EventTable.from_rows([_view("ann", "nobody-knows-it", other.shop)]))
        _require_same_answers(promise, other.source, bench.source, bench.requests)
    with bench.promise("after extend it answers with the new items in place") as promise:
        items, events = _news(other.shop)
        other.shop.catalogue.extend(items)
        other.source.extend(items, events)
        n_after = other.shop.catalogue.n_items
        about_new = request_about(n_before, other.shop.clock.now_ms)
        for answer in other.source.retrieve([*bench.requests, *about_new], MANY):
            _require_in_order(promise, answer, n_after)
        only_new = np.arange(n_after) >= n_before
        requests = [limited(request, only_new) for request in bench.requests]
        for request, answer in zip(requests, other.source.retrieve(requests, MANY), strict=True):
            _require_allowed(promise, request, answer)
    with bench.promise("what extend took in comes back from the files") as promise, empty_folder() as folder:
        other.source.save(folder)
        _require_same_answers(promise, other.loaded(folder), other.source, bench.requests)


def _stands_a_catalogue_that_grew(bench: _Bench) -> None:
    other = bench.again()
    with bench.promise("a catalogue that grew before extend is no error") as promise:
        items, _ = _news(other.shop)
        other.shop.catalogue.extend(items)
        n = other.shop.catalogue.n_items
        requests = [limited(request, np.ones(n, np.bool_)) for request in bench.requests]
        requests += [limited(request, np.arange(n) >= n - 2) for request in bench.requests]
        requests += request_about(n - 1, other.shop.clock.now_ms)
        for request, answer in zip(requests, other.source.retrieve(requests, MANY), strict=True):
            _require_in_order(promise, answer, n)
            _require_allowed(promise, request, answer)


def _serves_an_empty_shop(bench: _Bench) -> None:
    catalogue = Catalogue()
    parts = Parts(catalogue, bench.shop.clock, bench.encoder)
    nothing = Snapshot(ItemTable.empty(), [], bench.shop.snapshot.interactions.clear(), 0)
    requests = strange_requests(nothing, bench.shop.clock.now_ms)
    requests += [request for request in bench.requests if request.user_id is None]
    with (
        bench.promise("an empty shop gives empty answers, from fit and from files") as promise,
        empty_folder() as folder,
    ):
        source = bench.implementation.fit(NAME, nothing, bench.config, parts)
        source.save(folder)
        for one in (source, bench.implementation.load(NAME, folder, bench.config, parts)):
            for answer in one.retrieve(requests, 5):
                promise.require(len(answer) == 0, f"{len(answer)} candidates in a shop without items")
    with bench.promise("an empty shop takes in its first items and events") as promise:
        items, events = _news(bench.shop)
        catalogue.extend(items)
        source.extend(items, events)
        for answer in source.retrieve(requests, 5):
            _require_in_order(promise, answer, catalogue.n_items)
    with bench.promise("items without any event are no error") as promise:
        quiet = Snapshot(bench.shop.snapshot.items, [], nothing.interactions, 1)
        source = bench.implementation.fit(NAME, quiet, bench.config, bench.parts)
        for answer in source.retrieve(bench.requests, 5):
            _require_in_order(promise, answer, bench.shop.catalogue.n_items)


def _news(shop: TinyShop) -> tuple[ItemTable, EventTable]:
    """Two items that just arrived, and what known and unknown users did with them and with old items."""
    now_ms = shop.clock.now_ms
    items = ItemTable.from_rows(
        Item(
            item_id=f"new-{number}",
            texts=(ItemText("en", f"Maple waterproof boots, edition {number}"), ItemText("zh", f"枫叶雨伞 {number}")),
            brand="Maple",
            category=("Shoes", "Hiking boots"),
            price_minor=4200,
            currency="USD",
            stock=5,
            created_ms=now_ms - number,
        )
        for number in range(2)
    )
    events = [_view(user_id, item_id, shop) for user_id in ("ann", "new-user") for item_id in ("new-0", "kettle")]
    events.append(Event("ann", EventType.PURCHASE, now_ms - 1, "new-0", basket_id="new", price_minor=4200))
    events.append(Event("ann", EventType.PURCHASE, now_ms - 1, "kettle", basket_id="new", price_minor=3999))
    events.append(Event("ann", EventType.REFUND, now_ms, "new-0", price_minor=4200))
    return items, EventTable.from_rows(events)


def _view(user_id: str, item_id: str, shop: TinyShop) -> Event:
    return Event(user_id, EventType.VIEW, shop.clock.now_ms - DAY_MS // 24, item_id)


def _require_in_order(promise: Promise, answer: Candidates, n_items: int) -> None:
    promise.require(answer.sources == (NAME,), f"candidates name their source {answer.sources}, wanted {(NAME,)}")
    rows, fused = answer.item_rows, answer.fused
    promise.require(rows.dtype == np.int64 and fused.dtype == np.float32, f"types are {rows.dtype} and {fused.dtype}")
    if not len(rows):
        return
    promise.require(rows.min() >= 0 and rows.max() < n_items, f"rows {rows.min()} to {rows.max()} of {n_items} items")
    promise.require(len(np.unique(rows)) == len(rows), "a row stands twice")
    promise.require(np.array_equal(answer.scores[:, 0], fused), "its own scores are not the order's scores")
    is_falling = (fused[1:] < fused[:-1]) | ((fused[1:] == fused[:-1]) & (rows[1:] > rows[:-1]))
    promise.require(is_falling.all(), f"rows {rows.tolist()} with scores {fused.tolist()} are not in order")


def _require_allowed(promise: Promise, request: Request, answer: Candidates) -> None:
    if len(answer):
        mask = allowed_mask(request, int(answer.item_rows.max()) + 1)
        kept = mask[answer.item_rows]
        promise.require(kept.all(), f"rows {answer.item_rows[~kept].tolist()} are proposed and may not be")


def _require_equal(promise: Promise, answer: Candidates, wanted: Candidates) -> None:
    is_same = np.array_equal(answer.item_rows, wanted.item_rows)
    promise.require(is_same, f"rows {answer.item_rows.tolist()} and {wanted.item_rows.tolist()} differ")
    is_close = np.allclose(answer.fused, wanted.fused, rtol=TOLERANCE, atol=TOLERANCE)
    promise.require(is_close, f"scores {answer.fused.tolist()} and {wanted.fused.tolist()} differ")


def _require_same_answers(
    promise: Promise, one: CandidateSource, other: CandidateSource, requests: Sequence[Request]
) -> None:
    for first, second in zip(one.retrieve(requests, MANY), other.retrieve(requests, MANY), strict=True):
        _require_equal(promise, first, second)
