"""What a version's manifest says of where it ranks, and what is told of it."""

from __future__ import annotations

import numpy as np

from aisle.contracts import Manifest
from aisle.domain import Candidates, Features, Outcomes, Request
from aisle.flows.diagnose import Level, on_ranker_in_service
from aisle.flows.rank_training import NamedVersion, TrainedRanker, not_ranked, ranked_placements, said
from aisle.ranking import FusedScore
from aisle.ranking.gate import Verdict

SIMILAR = {
    "n_lists.similar-items": 900.0,
    "order_gain_over_fused.similar-items": -0.234,
    "order_gain_over_fused_low.similar-items": -0.3,
    "order_gain_over_fused_high.similar-items": -0.1,
}
METRICS = {
    "n_examples": 9_000.0,
    "passed": 1.0,
    "has_impressions": 1.0,
    "n_lists.home": 3_000.0,
    "n_lists.rare": 40.0,
    **SIMILAR,
}


def manifest(**more: float) -> Manifest:
    return Manifest("ranker", "000007", "logistic", 0, 1, {}, {**METRICS, **more}, {})


class Certain:
    """Says that everything is clicked."""

    def predict(self, requests: object, candidates: list[Candidates], features: object) -> list[Outcomes]:
        return [Outcomes(("click",), np.ones((len(found), 1), np.float32), "", True) for found in candidates]


def answered(version: NamedVersion, placement: str) -> Outcomes:
    found = Candidates(np.arange(1), np.empty((1, 0), np.float32), (), np.zeros(1, np.float32))
    (outcomes,) = version.predict([Request(placement, 0)], [found], [Features((), np.empty((1, 0), np.float32))])
    return outcomes


def test_it_ranks_where_it_has_enough_lists_and_the_fused_order_is_not_clearly_better() -> None:
    assert ranked_placements(manifest()) == {"home"}
    assert not_ranked(manifest()) == {
        "rare": "40 shown lists, 200 are needed",
        "similar-items": "the fused order is clearly better there: -0.234, interval -0.300 to -0.100",
    }

    version = NamedVersion.of(manifest(), Certain())

    assert answered(version, "home").model_version == "000007"
    assert answered(version, "similar-items").model_version == FusedScore().version


def test_a_placement_that_is_only_perhaps_worse_is_ranked() -> None:
    perhaps = manifest(**{"order_gain_over_fused_high.similar-items": 0.02})

    assert ranked_placements(perhaps) == {"home", "similar-items"}


def test_probabilities_learned_without_impressions_are_not_called_calibrated() -> None:
    assert answered(NamedVersion.of(manifest(has_impressions=1.0), Certain()), "home").is_calibrated
    assert not answered(NamedVersion.of(manifest(has_impressions=0.0), Certain()), "home").is_calibrated


def test_training_and_the_doctor_say_so() -> None:
    trained = manifest(has_impressions=0.0)

    sentence = said(TrainedRanker(trained, Certain(), Verdict({}, ())))
    findings = on_ranker_in_service(trained)

    for what in ("similar-items", "rare", "view_item_list"):
        assert what in sentence
        assert any(what in finding.what for finding in findings)
    assert [finding.level for finding in findings] == [Level.OK, Level.OK, Level.ADVICE]
    everywhere = {"n_lists.home": 500.0, "has_impressions": 1.0}
    assert on_ranker_in_service(Manifest("ranker", "1", "logistic", 0, 1, {}, everywhere, {})) == []
