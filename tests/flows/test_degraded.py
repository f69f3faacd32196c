"""Faults injected one by one: the list still comes, says what it lacks, and is whole again afterwards."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aisle.domain import Features, Outcomes, Response
from aisle.errors import CorruptError, UnavailableError
from aisle.flows import recommend, search
from aisle.flows.asks import Ask

HOME = "recommended-for-you"


class Counting:
    """A meter that remembers what was missed."""

    def __init__(self):
        self.missing = []
        self.stages = []

    def took(self, placement, stage, seconds):
        self.stages.append(stage)

    def missed(self, placement, part, why):
        self.missing.append((part, why))

    def answered(self, placement, n_asks, seconds):
        pass


class Asked:
    """The stages of a shop with parts replaced, and what the meter heard."""

    def __init__(self, shop):
        self.shop = shop
        self.meter = Counting()
        self.changes: dict[str, Any] = {"meter": self.meter}

    @property
    def stages(self):
        return replace(self.shop.live.stages, **self.changes)

    def hurried(self):
        """Half a second for every placement, as it is by default."""
        placements = self.shop.settings.placement
        quick = {name: config.model_copy(update={"timeout_ms": 500}) for name, config in placements.items()}
        self.changes["placements"] = quick

    def home(self, user_id="dora") -> Response:
        [answer] = recommend.recommend(HOME, [Ask(user_id=user_id)], self.stages)
        assert isinstance(answer, Response)
        return answer

    def search(self, text="kettle", **settings) -> Response:
        [answer] = search.search([Ask(text=text, **settings)], self.stages)
        assert isinstance(answer, Response)
        return answer


@pytest.fixture
def asked(shop):
    shop.live  # noqa: B018 - loads the parts
    return Asked(shop)


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


def broken(*_args, **_settings):
    raise RuntimeError("out of order")


class Describing:
    """Statistics that know one number, or do as they are told."""

    def __init__(self, do=None):
        self.do = do

    def describe(self, requests, candidates):
        if self.do:
            self.do()
        return [Features(("row",), found.item_rows[:, None].astype(np.float32)) for found in candidates]


class Ranking:
    """A ranker that prefers what stands last in the catalogue, or does as it is told."""

    def __init__(self, do=None):
        self.do = do

    def predict(self, requests, candidates, features):
        if self.do:
            self.do()
        return [
            Outcomes(("click", "purchase"), np.tile(known.values / 100.0, 2).astype(np.float32), "by-row")
            for known in features
        ]


def ranked(shop, statistics=None, ranker=None):
    lineup = shop.live.stages.lineup
    lineup.swap_statistics(statistics or Describing(), "statistics-test")
    lineup.swap_ranker(ranker or Ranking(), "ranker-test")


def test_a_whole_answer_lacks_nothing_and_tells_its_times(asked):
    response = asked.search("kettle", with_facets=True)

    assert response.degraded == ()
    assert asked.meter.missing == []
    told = {"understand", "retrieve", "source.lexical", "source.semantic", "fuse", "facets", "describe", "rank"}
    assert told | {"decide", "record", "total"} <= set(response.timings_ms)
    assert told <= set(asked.meter.stages)


def test_the_encoder_fails_and_words_still_find(asked, monkeypatch):
    semantic = asked.shop.live.stages.lineup.sources["semantic"]
    with monkeypatch.context() as fault:
        fault.setattr(semantic, "_query_encoder", type("Broken", (), {"encode": broken})())
        response = asked.search("kettle")
    assert response.degraded == ("semantic",)
    assert response.item_ids[0] == "kettle"
    assert asked.meter.missing == [("semantic", "failed")]

    assert asked.search("kettle").degraded == ()


def test_a_source_hangs_and_the_list_comes_without_it(asked, gate):
    asked.hurried()
    lineup = asked.shop.live.stages.lineup
    linear = lineup.sources["linear"]

    class Hanging:
        name = "linear"

        def retrieve(self, requests, n):
            gate.wait()

    lineup.swap("linear", Hanging(), "hanging")  # type: ignore[arg-type]
    responses = [asked.home() for _ in range(6)]

    assert {response.degraded for response in responses} == {("linear",)}
    assert all(response.item_ids for response in responses)
    assert set(asked.meter.missing) == {("linear", "late")}
    # It is soon no longer waited for.
    assert responses[-1].timings_ms["retrieve"] < responses[0].timings_ms["retrieve"]
    lineup.swap("linear", linear, "again")
    assert asked.home().degraded == ()


def test_a_source_raises(asked, monkeypatch):
    popular = asked.shop.live.stages.lineup.sources["popular"]
    with monkeypatch.context() as fault:
        fault.setattr(popular, "retrieve", broken)
        assert asked.home().degraded == ("popular",)
    assert asked.home().degraded == ()


def test_a_missing_source_is_named(asked):
    asked.shop.live.stages.lineup.withdraw("trending", "damaged")

    assert asked.home().degraded == ("trending",)
    assert asked.meter.missing == [("trending", "missing")]


def test_the_ranker_decides_when_nothing_is_wrong(asked):
    plain = asked.home()
    ranked(asked.shop)

    response = asked.home()

    assert response.degraded == ()
    assert response.slate.versions["ranker"] == "by-row"
    assert response.item_ids != plain.item_ids
    assert response.slate.features is not None


@pytest.mark.parametrize("part", ["ranker", "statistics"])
@pytest.mark.parametrize("error", [RuntimeError("out of order"), CorruptError("a tree is damaged")])
def test_without_ranker_or_statistics_the_fused_score_decides(asked, part, error):
    def fail():
        raise error

    plain = asked.home()
    ranked(asked.shop, **{part: {"ranker": Ranking, "statistics": Describing}[part](fail)})

    response = asked.home()

    assert response.degraded == (part,)
    assert asked.meter.missing == [(part, "failed")]
    assert response.item_ids == plain.item_ids
    assert response.slate.versions["ranker"] == "fused-score"
    ranked(asked.shop)
    assert asked.home().degraded == ()


@pytest.mark.parametrize("part", ["ranker", "statistics"])
def test_a_late_ranker_or_statistics_are_not_waited_for(asked, part, gate):
    asked.hurried()
    ranked(asked.shop, **{part: {"ranker": Ranking, "statistics": Describing}[part](gate.wait)})

    response = asked.home()

    assert response.degraded == (part,)
    assert asked.meter.missing == [(part, "late")]
    assert response.item_ids


def test_an_outcome_that_nobody_predicts_is_named(asked):
    ranked(asked.shop)
    home = asked.shop.settings.placement[HOME].model_copy(update={"objective": {"click": 1.0, "margin": 1.0}})
    asked.changes["placements"] = {HOME: home}

    assert asked.home().degraded == ("objective.margin",)


def test_the_policy_fails_and_the_best_by_fused_score_come(asked):
    asked.changes["policy"] = type("Broken", (), {"select": broken})()

    response = asked.search("kettle")

    assert response.degraded == ("policy",)
    assert response.item_ids[0] == "kettle"
    assert {slot.propensity for slot in response.slate.slots} == {1.0}
    assert response.slate.versions["policy"] == "plain"


def test_an_item_whose_id_is_typed_comes_first_whoever_fails_or_prefers_another(asked, monkeypatch):
    ranked(asked.shop)
    assert asked.search("KETTLE").item_ids[0] == "kettle"
    for source in asked.stages.lineup.sources.values():
        monkeypatch.setattr(source, "retrieve", broken, raising=False)
    assert asked.search("KETTLE").item_ids == ("kettle",)
    asked.changes["policy"] = type("Broken", (), {"select": broken})()
    assert asked.search("KETTLE").item_ids == ("kettle",)


def test_fusion_facets_and_user_states_fail(asked):
    asked.changes["fuse"] = broken
    assert asked.search("kettle").degraded == ("fusion",)
    assert asked.search("kettle").item_ids[0] == "kettle"
    del asked.changes["fuse"]

    asked.changes["states"] = type("Broken", (), {"read": broken})()
    response = asked.home()
    assert response.degraded == ("user-state",)
    assert response.item_ids


def test_what_may_be_shown_is_not_known_so_nothing_is(asked):
    asked.changes["rules"] = type("Broken", (), {"allowed": broken, "excluded": broken})()

    response = asked.home()

    assert response.degraded == ("eligibility",)
    assert response.item_ids == ()


def test_slates_cannot_be_written_down(asked):
    def full(slates):
        raise UnavailableError("the disk is full")

    asked.changes["slates"] = type("Full", (), {"put": lambda self, slates: full(slates)})()
    response = asked.home()
    assert response.degraded == ("slate-log",)
    assert response.item_ids
    del asked.changes["slates"]
    assert asked.home().degraded == ()


def test_everything_fails_and_an_empty_list_comes(asked):
    lineup = asked.shop.live.stages.lineup
    for name in list(lineup.sources):
        lineup.withdraw(name, "gone")
    part = type("Broken", (), dict.fromkeys(("read", "select", "put", "allowed", "excluded"), broken))()
    asked.changes |= {"states": part, "policy": part, "slates": part, "rules": part, "fuse": broken}

    response = asked.home()

    assert response.item_ids == ()
    assert {"user-state", "eligibility", "linear", "fusion", "policy", "slate-log"} <= set(response.degraded)


def test_the_clock_jumps_back(asked):
    before = asked.home()
    now = asked.shop.clock()
    asked.changes["clock"] = lambda: now - 400 * 86_400_000

    response = asked.home()

    assert response.degraded == ()
    assert response.slate.time_ms < before.slate.time_ms


def test_one_wrong_ask_does_not_spoil_the_others(shop):
    answers = shop.try_search([Ask(text="kettle"), Ask(), Ask(text="boots"), Ask(text="x" * 501)])

    assert [isinstance(answer, Response) for answer in answers] == [True, False, True, False]
    assert answers[2].item_ids[0] == "boots"
    assert "needs a query" in str(answers[1])
    answers = shop.try_recommend("similar-items", [Ask(item_ids=("ghost",)), Ask(item_ids=("kettle",))])
    assert "unknown item 'ghost'" in str(answers[0])
    assert answers[1].item_ids


def test_a_part_that_always_fails_does_not_fill_the_log(asked, monkeypatch, caplog):
    monkeypatch.setattr(asked.shop.live.stages.lineup.sources["popular"], "retrieve", broken)
    for _ in range(5):
        asked.home()

    assert caplog.text.count("popular failed") == 1
    assert asked.meter.missing.count(("popular", "failed")) == 5
