"""The linear model against formulas written out with numpy's inverse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from aisle.errors import DataError
from aisle.retrieval.interactions import EVENT_WEIGHTS, history_steps
from aisle.retrieval.linear import LinearConfig, moments_of, sum_of_rows
from aisle.retrieval.ridge import Moments, largest_by_row, solve_exact
from aisle.retrieval.ridge_sparse import largest_of_sparse, solve_by_neighbours
from behaviour import Did, snapshot_of

HISTORIES = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1], [1, 0, 0, 1]], dtype=np.float64)


def moments(inputs: np.ndarray, shift: np.ndarray | None = None, features: np.ndarray | None = None) -> Moments:
    n = len(inputs)
    return Moments(
        sp.csr_matrix(inputs.astype(np.float32)),
        sp.csr_matrix((np.zeros((n, n)) if shift is None else shift).astype(np.float32)),
        sp.csr_matrix((np.zeros((n, 0)) if features is None else features).astype(np.float32)),
    )


def test_without_order_it_is_ease() -> None:
    gram = HISTORIES.T @ HISTORIES
    inverse = np.linalg.inv(gram + 2.0 * np.eye(4))
    ease = -inverse / np.diag(inverse)  # Steck 2019, eq. 8
    np.fill_diagonal(ease, 0.0)

    found = solve_exact(moments(gram), ridge=2.0, n_kept=4).toarray()

    np.testing.assert_allclose(found, ease, atol=1e-5)


def test_with_order_and_features_it_is_the_ridge_with_an_empty_diagonal() -> None:
    rng = np.random.default_rng(3)
    inputs = HISTORIES.T @ HISTORIES
    shift = rng.normal(size=(4, 4))
    features = rng.normal(size=(4, 2))
    left = inputs + features @ features.T + 0.7 * np.eye(4)
    right = inputs + shift + features @ features.T
    expected = np.zeros((4, 4))
    for j in range(4):  # minimise over the other items' weights only: column j without its own row
        others = [i for i in range(4) if i != j]
        expected[others, j] = np.linalg.solve(left[np.ix_(others, others)], right[others, j])

    found = solve_exact(moments(inputs, shift, features), ridge=0.7, n_kept=4).toarray()

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_solution_over_all_neighbours_is_the_exact_one() -> None:
    rng = np.random.default_rng(5)
    histories = (rng.random((60, 12)) < 0.5).astype(np.float64)  # every two items share a history
    shift = rng.random((12, 12))
    features = rng.random((12, 3))
    given = moments(histories.T @ histories, shift, features)

    exact = solve_exact(given, ridge=4.0, n_kept=12).toarray()
    by_neighbours = solve_by_neighbours(given, ridge=4.0, n_neighbours=11, n_kept=12).toarray()

    np.testing.assert_allclose(by_neighbours, exact, atol=1e-4)


def test_what_came_before_and_after_is_faded_by_distance() -> None:
    """One user goes a, b, c. Points lie after a and after b.

    Before: {a: 1}, {b: 1, a: .5}; after: {b: 1, c: .5}, {c: 1}. S'S then holds a-a: 1 + .25, a-b: .5, b-b: 1 and S'Y
    a-b: 1, a-c: .5 + .5, b-c: 1.
    """
    snapshot = snapshot_of([Did("u", "a", 0), Did("u", "b", 1), Did("u", "c", 2)], "abc")
    steps = history_steps(snapshot, EVENT_WEIGHTS, 10)
    config = LinearConfig(sequence_share=1.0, step_decay=0.5, basket_share=0.0, attribute_weight=0.0)

    found, ridge = moments_of(steps, sp.csr_matrix((3, 0), dtype=np.float32), config)

    np.testing.assert_allclose(found.inputs.toarray(), [[1.25, 0.5, 0], [0.5, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(
        found.inputs.toarray() + found.shift.toarray(), [[0, 1, 1], [0, 0, 1], [0, 0, 0]], atol=1e-7
    )
    assert ridge == pytest.approx(50.0)


def test_a_shop_with_views_only_learns_what_one_with_purchases_does() -> None:
    views = {kind: 0.2 if weight == 1.0 else weight for kind, weight in EVENT_WEIGHTS.items()}
    events = [Did("u", "a", 0), Did("u", "b", 1), Did("v", "b", 0), Did("v", "c", 1), Did("w", "a", 0, basket="k")]
    events += [Did("w", "b", 0, basket="k")]
    snapshot = snapshot_of(events, "abc")
    features = sp.csr_matrix(np.eye(3, dtype=np.float32)[:, :2])
    config = LinearConfig(ridge=1.0)

    def solved(weights: dict) -> np.ndarray:
        given, ridge = moments_of(history_steps(snapshot, weights, 10), features, config)
        return solve_exact(given, ridge, 3).toarray()

    np.testing.assert_allclose(solved(views), solved(dict(EVENT_WEIGHTS)), atol=1e-5)


def test_only_the_largest_entries_of_a_row_are_kept() -> None:
    block = np.array([[0.1, -0.9, 0.5, 0.0], [0.0, 0.2, 0.0, 0.0]], dtype=np.float32)

    np.testing.assert_array_equal(
        largest_by_row(block, 2).toarray(), np.array([[0, -0.9, 0.5, 0], [0, 0.2, 0, 0]], dtype=np.float32)
    )
    assert (largest_by_row(block, 2) != largest_of_sparse(sp.csr_matrix(block), 2)).nnz == 0


def test_rows_are_summed_as_a_matrix_product_would() -> None:
    matrix = sp.random(20, 20, density=0.3, random_state=1, dtype=np.float32, format="csr")
    rows = np.array([3, 17, 5])
    weights = np.array([1.0, 0.5, 0.25], dtype=np.float32)

    np.testing.assert_allclose(sum_of_rows(matrix, rows, weights), weights @ matrix[rows].toarray(), rtol=1e-6)
    assert not sum_of_rows(matrix, np.empty(0, np.int64), np.empty(0, np.float32)).any()


def test_histories_that_give_no_positive_definite_matrix_are_refused() -> None:
    with pytest.raises(DataError, match="raise ridge"):
        solve_exact(moments(np.array([[1.0, 3.0], [3.0, 1.0]])), ridge=0.1, n_kept=2)
