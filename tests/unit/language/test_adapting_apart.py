"""What says when to stop does not compare the model before and after, where there is enough to compare by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aisle.language.adapt_config import AdaptConfig
from aisle.language.adapting import adapt
from aisle.language.contrast_pairs import TextPairs
from aisle.language.model_folder import open_model_folder

THINGS = ("red tea", "green tea", "red kettle", "green kettle", "red boots", "green boots", "雨 伞")


def pairs_of(n: int, named: str) -> TextPairs:
    """Each left text with two right ones."""
    lefts = [f"{THINGS[at % len(THINGS)]} {named} {at}" for at in range(n)]
    rights = [f"{left} {more}" for left in lefts for more in ("red", "green")]
    return TextPairs(lefts, rights, np.repeat(np.arange(n), 2), np.arange(2 * n), wrong={3: np.array([0, 8])})


def test_halves_are_apart_and_keep_what_belongs_together() -> None:
    whole = pairs_of(150, "held")

    halves = whole.in_two(50)

    assert sorted(halves[0].lefts + halves[1].lefts) == sorted(whole.lefts)
    for half in halves:
        assert len(half.lefts) >= 50
        assert len(half) == len(half.rights) == 2 * len(half.lefts)
        for left, right in zip(half.left, half.right, strict=True):
            assert half.rights[right].startswith(half.lefts[left] + " ")
        for left, rows in half.wrong.items():
            assert half.lefts[left] == whole.lefts[3]
            assert {half.rights[row] for row in rows} <= {whole.rights[0], whole.rights[8]}
    assert whole.in_two(100) == (whole, whole)


@pytest.mark.parametrize(
    ("n", "stopping", "n_checked", "is_apart"),
    [
        (150, {}, 150, True),
        (150, {"early_stopping": "ndcg@10"}, 0, True),
        (60, {"early_stopping": "recall@10"}, 60, False),
    ],
)
def test_the_report_says_what_it_was_measured_on(
    small_model, tmp_path: Path, n: int, stopping: dict[str, str], n_checked: int, is_apart: bool
) -> None:
    training = {"trackers": [], "max_steps": 2, "batch_size": 8, **stopping}
    config = AdaptConfig(objectives=("contrast",), least_pairs=10, training=training)
    folder, held_out = open_model_folder(str(small_model("mean"))), pairs_of(n, "held")
    if stopping and is_apart:
        n_checked = len(held_out.in_two(50)[1].lefts)
        assert 50 <= n_checked < n

    found = adapt(
        folder, pairs_of(20, "learned"), held_out, [], config, work=tmp_path / "w", target=tmp_path / "m"
    ).metrics()

    assert found["n_checked"] == n_checked
    assert found["is_checked_apart"] == is_apart
    assert found["n_stopped_by"] == (0 if not stopping else n - n_checked if is_apart else n)
