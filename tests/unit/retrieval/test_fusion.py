from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aisle.contracts import Float32Array, Rows
from aisle.domain import Candidates, Request
from aisle.retrieval.fusion import fuse
from aisle.settings import FloorConfig, FusionConfig

ASKED = [Request("search", 0)]


def _found(source: str, scores: dict[int, float]) -> Candidates:
    return Candidates.of_one(source, np.array(list(scores), dtype=np.int64), np.array(list(scores.values())))


class _Knows:
    """A scorer that gives every row a tenth of its number."""

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        return [(rows / 10).astype(np.float32) for rows in item_rows]


def _fused(found: dict[str, Candidates], scorers=None, **config) -> dict[int, float]:
    [candidates] = fuse(ASKED, {name: [of] for name, of in found.items()}, FusionConfig(**config), scorers or {})
    return dict(zip(candidates.item_rows.tolist(), candidates.fused.tolist(), strict=True))


def test_reciprocal_ranks_add_up() -> None:
    found = {"a": _found("a", {7: 9.0, 3: 5.0}), "b": _found("b", {3: 0.2, 8: 0.1})}

    fused = _fused(found, method="rank", rank_constant=60, weights={"b": 2.0})

    assert list(fused) == [3, 8, 7]
    assert fused == pytest.approx({3: 1 / 62 + 2 / 61, 8: 2 / 62, 7: 1 / 61})


def test_scores_scaled_by_the_best_add_up() -> None:
    found = {"a": _found("a", {7: 8.0, 3: 4.0}), "b": _found("b", {3: 0.5, 8: 0.25})}

    fused = _fused(found, method="scaled", weights={"b": 0.5})

    # a: 7 -> 1, 3 -> .5, 8 unknown -> 0; b: 3 -> 1, 8 -> .5, 7 unknown -> 0
    assert fused == pytest.approx({7: 1.0, 3: 0.5 + 0.5, 8: 0.25})
    assert list(fused) == [3, 7, 8]


def test_a_scorer_fills_what_its_source_did_not_propose() -> None:
    found = {"a": _found("a", {7: 8.0, 3: 4.0}), "b": _found("b", {3: 0.5})}

    [candidates] = fuse(ASKED, {k: [v] for k, v in found.items()}, FusionConfig(method="scaled"), {"b": _Knows()})

    column = dict(zip(candidates.item_rows.tolist(), candidates.scores[:, 1].tolist(), strict=True))
    assert column == pytest.approx({3: 0.5, 7: 0.7})
    assert candidates.sources == ("a", "b")


def test_standardised_scores_add_up() -> None:
    found = {"a": _found("a", {1: 3.0, 2: 1.0}), "b": _found("b", {1: 10.0, 2: 30.0})}

    assert _fused(found, method="zscore", weights={"a": 2.0}) == pytest.approx({1: 2 - 1, 2: -2 + 1})


def test_what_nobody_scored_stays_unknown_in_the_answer() -> None:
    [candidates] = fuse(
        ASKED, {"a": [_found("a", {1: 1.0})], "b": [_found("b", {2: 1.0})]}, FusionConfig(method="scaled"), {}
    )
    assert np.isnan(candidates.scores).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("method", ["rank", "scaled", "zscore"])
def test_empty_and_single_lists(method: str) -> None:
    empty = Candidates.empty("a")
    assert _fused({"a": empty, "b": Candidates.empty("b")}, method=method) == {}
    assert list(_fused({"a": empty, "b": _found("b", {5: 0.0, 4: 0.0})}, method=method)) in ([4, 5],)


def test_requests_do_not_mix() -> None:
    first, second = _found("a", {1: 1.0}), _found("a", {2: 1.0})
    fused = fuse(ASKED * 2, {"a": [first, second]}, FusionConfig(), {})
    assert [candidates.item_rows.tolist() for candidates in fused] == [[1], [2]]


def test_what_no_source_vouches_for_is_left_out() -> None:
    words = _found("words", {1: 10.0, 2: 2.5, 3: 1.5, 4: 0.0})
    meaning = _found("meaning", {3: 0.5, 5: 0.41, 6: 0.3, 4: 0.2})
    floors = {"words": FloorConfig(share=0.2), "meaning": FloorConfig(least=0.4)}

    found = {"words": words, "meaning": meaning}

    # 1 and 2 by their words, 3 (below the share) and 5 by their meaning; 4 and 6 by neither
    assert sorted(_fused(found, method="scaled", floors=floors)) == [1, 2, 3, 5]
    assert sorted(_fused(found, method="scaled")) == [1, 2, 3, 4, 5, 6]
    with_an_unlimited_one = {**found, "third": _found("third", {6: 0.0})}
    assert sorted(_fused(with_an_unlimited_one, method="scaled", floors=floors)) == [1, 2, 3, 5, 6]


@pytest.mark.parametrize("method", ["rank", "scaled", "zscore"])
def test_a_floor_may_leave_nothing_and_changes_no_score_of_what_stays(method: str) -> None:
    found = {"a": _found("a", {1: 3.0, 2: 1.0}), "b": _found("b", {3: 0.5, 1: 0.2})}

    assert _fused(found, method=method, floors={"a": FloorConfig(least=9), "b": FloorConfig(least=9)}) == {}
    if method != "zscore":  # its mean is that of the candidates
        whole = _fused(found, method=method)
        kept = _fused(found, method=method, floors={"a": FloorConfig(share=0.5), "b": FloorConfig(share=0.9)})
        assert kept == {row: whole[row] for row in kept}
        assert sorted(kept) == [1, 3]


def test_a_source_vouches_for_what_others_proposed() -> None:
    found = {"a": _found("a", {7: 8.0, 3: 4.0}), "b": _found("b", {3: 0.5})}
    floors = {"a": FloorConfig(share=0.9), "b": FloorConfig(least=0.6)}

    fused = _fused(found, {"b": _Knows()}, method="scaled", floors=floors)

    assert list(fused) == [7]
    assert list(_fused(found, {"b": _Knows()}, floors={"a": FloorConfig(least=99), "b": FloorConfig(least=0.6)})) == [7]
