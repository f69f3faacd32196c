"""The same figures as pytrec_eval, scikit-learn and scipy on random inputs."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from scipy.stats import bootstrap
from sklearn import metrics as sklearn_metrics

from aisle.evaluation import RowLists, Targets, judge, mean_interval, probability_metrics, ranking_metrics

N_CASES, N_ITEMS, WIDTH = 60, 50, 20


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, Targets]:
    rng = np.random.default_rng(11)
    ranked = np.argsort(rng.random((N_CASES, N_ITEMS)), axis=1)[:, :WIDTH]
    lists = [rng.choice(N_ITEMS, size=rng.integers(1, 15), replace=False) for _ in range(N_CASES)]
    items = RowLists.of(lists)
    grades = rng.integers(0, 4, len(items.rows)).astype(np.float64)
    grades[items.offsets[:-1]] = 1.0  # at least one relevant item a case
    return ranked, Targets(items, grades)


@pytest.fixture(scope="module")
def trec(drawn: tuple[np.ndarray, Targets]) -> dict[str, dict[str, float]]:
    ranked, targets = drawn
    offsets = targets.items.offsets
    judgments = {
        str(case): {
            str(row): int(grade)
            for row, grade in zip(targets.items[case], targets.grades[offsets[case] : offsets[case + 1]], strict=True)
        }
        for case in range(N_CASES)
    }
    run = {str(case): {str(row): float(-place) for place, row in enumerate(ranked[case])} for case in range(N_CASES)}
    wanted = {"recall.5,20", "P.5,20", "map_cut.5,20", "ndcg_cut.5,20", "recip_rank", "success.5,20"}
    return pytrec_eval.RelevanceEvaluator(judgments, wanted).evaluate(run)


@pytest.mark.parametrize("cutoff", [5, 20])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ranking_metrics.recall, "recall"),
        (ranking_metrics.precision, "P"),
        (ranking_metrics.average_precision, "map_cut"),
        (ranking_metrics.hit_rate, "success"),
        (lambda judged, k: ranking_metrics.ndcg(judged, k, ranking_metrics.linear_gain), "ndcg_cut"),
    ],
)
def test_ranking_metrics_equal_trec_eval(drawn, trec, ours, theirs, cutoff) -> None:
    found = ours(judge(*drawn), cutoff)
    expected = [trec[str(case)][f"{theirs}_{cutoff}"] for case in range(N_CASES)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_reciprocal_rank_equals_trec_eval(drawn, trec) -> None:
    found = ranking_metrics.reciprocal_rank(judge(*drawn), WIDTH)
    np.testing.assert_allclose(found, [trec[str(case)]["recip_rank"] for case in range(N_CASES)], atol=1e-9)


@pytest.mark.parametrize("cutoff", [3, 10, 50])
def test_graded_ndcg_equals_sklearn_over_full_rankings(cutoff: int) -> None:
    rng = np.random.default_rng(5)
    grades = rng.integers(0, 4, (N_CASES, N_ITEMS)).astype(np.float64)
    scores = rng.random((N_CASES, N_ITEMS))
    targets = Targets(RowLists.of([np.arange(N_ITEMS)] * N_CASES), grades.ravel())
    judged = judge(np.argsort(-scores, axis=1), targets)
    found = ranking_metrics.ndcg(judged, cutoff, ranking_metrics.exponential_gain).mean()
    assert found == pytest.approx(sklearn_metrics.ndcg_score(np.exp2(grades) - 1, scores, k=cutoff))


@pytest.mark.parametrize("decimals", [1, 8])
def test_probability_metrics_equal_sklearn(decimals: int) -> None:
    rng = np.random.default_rng(3)
    probabilities = np.round(rng.random(500), decimals)  # one decimal makes many ties
    labels = (rng.random(500) < probabilities).astype(int)
    assert probability_metrics.auc(labels, probabilities) == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities)
    )
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    assert probability_metrics.log_loss(labels, inside) == pytest.approx(sklearn_metrics.log_loss(labels, inside))
    assert probability_metrics.brier_score(labels, inside) == pytest.approx(
        sklearn_metrics.brier_score_loss(labels, inside)
    )


def test_calibration_error_by_hand() -> None:
    labels = [0, 0, 1, 0, 1, 1]
    probabilities = [0.1, 0.2, 0.2, 0.6, 0.7, 0.9]
    table = probability_metrics.reliability(labels, probabilities, n_bins=2)
    assert table.counts.tolist() == [3, 3]
    assert table.predicted.tolist() == pytest.approx([0.5 / 3, 2.2 / 3])
    assert table.observed.tolist() == pytest.approx([1 / 3, 2 / 3])
    expected = (abs(0.5 / 3 - 1 / 3) * 3 + abs(2.2 / 3 - 2 / 3) * 3) / 6
    assert probability_metrics.calibration_error(labels, probabilities, n_bins=2) == pytest.approx(expected)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_intervals_equal_scipy(method: str) -> None:
    values = np.random.default_rng(1).exponential(size=80)  # skewed, so that BCa differs from percentile
    ours = mean_interval(values, np.random.default_rng(2), n_resamples=20_000, method=method.lower())  # type: ignore
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=3).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)
