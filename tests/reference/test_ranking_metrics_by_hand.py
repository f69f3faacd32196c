"""Ranking metrics against fractions worked out by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from aisle.evaluation import Judged, RowLists, Targets, judge, list_metrics, ranking_metrics

RANKED = np.array(
    [
        [4, 1, 7, 2, 9],  # targets 1 and 2: found at places 2 and 4
        [3, 5, -1, -1, -1],  # target 5: found at place 2 of a list of two
        [0, 1, 2, 3, 4],  # target 8: not found
        [6, 0, 1, 2, 3],  # targets 6, 0, 9: found at 1 and 2, one missing
        [1, 2, 3, 4, 5],  # nothing to find
    ]
)


@pytest.fixture
def judged() -> Judged:
    return judge(RANKED, Targets.of([[1, 2], [5], [8], [6, 0, 9], []]))


def test_recall(judged: Judged) -> None:
    assert ranking_metrics.recall(judged, 3)[:4].tolist() == pytest.approx([1 / 2, 1, 0, 2 / 3])
    assert ranking_metrics.recall(judged, 1)[:4].tolist() == pytest.approx([0, 0, 0, 1 / 3])


def test_precision_counts_empty_places_as_wrong(judged: Judged) -> None:
    assert ranking_metrics.precision(judged, 5)[:4].tolist() == pytest.approx([2 / 5, 1 / 5, 0, 2 / 5])


def test_hit_rate(judged: Judged) -> None:
    assert ranking_metrics.hit_rate(judged, 2)[:4].tolist() == [1, 1, 0, 1]
    assert ranking_metrics.hit_rate(judged, 1)[:4].tolist() == [0, 0, 0, 1]


def test_reciprocal_rank(judged: Judged) -> None:
    assert ranking_metrics.reciprocal_rank(judged, 5)[:4].tolist() == pytest.approx([1 / 2, 1 / 2, 0, 1])
    assert ranking_metrics.reciprocal_rank(judged, 1)[:4].tolist() == pytest.approx([0, 0, 0, 1])


def test_average_precision(judged: Judged) -> None:
    expected = [(1 / 2 + 2 / 4) / 2, 1 / 2, 0, (1 / 1 + 2 / 2) / 3]
    assert ranking_metrics.average_precision(judged, 5)[:4].tolist() == pytest.approx(expected)


def test_ndcg_of_relevant_or_not(judged: Judged) -> None:
    expected = [
        (1 / log2(3) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3)),
        (1 / log2(3)) / 1,
        0,
        (1 / log2(2) + 1 / log2(3)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
    ]
    assert ranking_metrics.ndcg(judged, 5)[:4].tolist() == pytest.approx(expected)


def test_the_ideal_list_is_cut_as_well(judged: Judged) -> None:
    assert ranking_metrics.ndcg(judged, 2)[3] == pytest.approx(1)  # three targets, but only two places


def test_mean_rank_puts_what_is_missing_halfway_through_the_rest(judged: Judged) -> None:
    n_items = 15
    halfway = (6 + 15) / 2  # places 6 to 15 are left
    expected = [(2 + 4) / 2, 2, halfway, (1 + 2 + halfway) / 3]
    assert ranking_metrics.mean_rank(judged, n_items)[:4].tolist() == pytest.approx(expected)


def test_a_case_without_a_right_answer_has_no_figure(judged: Judged) -> None:
    for metric in (
        ranking_metrics.recall,
        ranking_metrics.precision,
        ranking_metrics.hit_rate,
        ranking_metrics.reciprocal_rank,
        ranking_metrics.average_precision,
        ranking_metrics.ndcg,
    ):
        assert np.isnan(metric(judged, 5)[4])
        assert not np.isnan(metric(judged, 5)[:4]).any()


def test_graded_ndcg_with_a_gain() -> None:
    targets = Targets(RowLists.of([[1, 2, 3]]), np.array([3.0, 1.0, 2.0]), relevant_from=2.33)
    judged = judge(np.array([[2, 9, 1]]), targets)  # grades 1, unjudged, 3
    reached = 0 / log2(2) + 0 / log2(3) + 2 / log2(4)
    ideal = 2 / log2(2) + 1 / log2(3) + 0 / log2(4)
    assert ranking_metrics.ndcg(judged, 3, lambda grade: grade - 1)[0] == pytest.approx(reached / ideal)
    exponential = (1 / log2(2) + 7 / log2(4)) / (7 / log2(2) + 3 / log2(3) + 1 / log2(4))
    assert ranking_metrics.ndcg(judged, 3, ranking_metrics.exponential_gain)[0] == pytest.approx(exponential)
    assert ranking_metrics.recall(judged, 3)[0] == 1  # only grade 3 is relevant
    assert ranking_metrics.reciprocal_rank(judged, 3)[0] == pytest.approx(1 / 3)


def test_coverage_and_gini() -> None:
    lists = np.array([[0, 1], [0, 2], [0, -1]])
    assert list_metrics.coverage(lists, 5, 2) == pytest.approx(3 / 5)
    assert list_metrics.coverage(lists, 5, 1) == pytest.approx(1 / 5)
    # exposures 0 0 1 1 3: mean absolute difference over pairs, halved and divided by the mean of 1
    pairs = [abs(a - b) for a in (0, 0, 1, 1, 3) for b in (0, 0, 1, 1, 3)]
    assert list_metrics.exposure_gini(lists, 5, 2) == pytest.approx(sum(pairs) / 25 / 2 / 1)


def test_category_diversity() -> None:
    categories = np.array([7, 7, 3, -1, -1])
    lists = np.array([[0, 1, 2], [0, 2, -1], [3, 4, 0], [0, -1, -1]])
    found = list_metrics.category_diversity(lists, categories, 3)
    assert found[:3].tolist() == pytest.approx([2 / 3, 1, 1])  # items without a category are alike to none
    assert np.isnan(found[3])


def test_vector_diversity_is_the_mean_distance_of_pairs() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
    found = list_metrics.vector_diversity(np.array([[0, 1, 2], [0, 2, -1]]), vectors, 3)
    assert found.tolist() == pytest.approx([(1 + 0.4 + 0.2) / 3, 0.4])


def test_novelty_is_bits_of_surprise() -> None:
    n_known = np.array([7, 3, 0])
    found = list_metrics.novelty(np.array([[0, 1], [2, -1]]), n_known, n_users=7, cutoff=2)
    assert found.tolist() == pytest.approx([(0 + 1) / 2, 3])


def test_serendipity_leaves_out_what_was_expected(judged: Judged) -> None:
    is_expected = np.zeros(10, dtype=np.bool_)
    is_expected[[1, 5]] = True
    found = list_metrics.serendipity(judged, RANKED, is_expected, 5)
    assert found[:4].tolist() == pytest.approx([1 / 5, 0, 0, 2 / 5])
