"""The next-item benchmark: what is learned from, what is asked, and that it runs to its last line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import sequential
from benchmarks.single_target import metrics_at, ranks_in_lists, ranks_in_scores


def write_sequences(path: Path, rows: dict[int, list[int]]) -> Path:
    pl.DataFrame({"user": list(rows), "items": list(rows.values())}).write_parquet(path)
    return path


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    return write_sequences(tmp_path / "sequences.parquet", {1: [10, 11, 12], 2: [11, 12, 13, 10]})


def test_the_last_item_is_asked_for_and_not_learned_from(sequences: Path) -> None:
    question, *_ = sequential.read_question(sequences, None, False)

    assert (question.histories, question.targets) == ([[10, 11], [11, 12, 13]], [12, 10])


def test_validation_never_sees_the_last_item(sequences: Path) -> None:
    question, *_ = sequential.read_question(sequences, None, True)

    assert (question.histories, question.targets) == ([[10], [11, 12]], [11, 13])


def test_a_test_file_leaves_the_sequences_whole(sequences: Path, tmp_path: Path) -> None:
    test = write_sequences(tmp_path / "test.parquet", {2: [13, 10, 14, 15], 7: [10, 12], 8: [13]})
    question, *_ = sequential.read_question(sequences, test, False)

    assert question.users == ["1", "2", "7", "8"]
    assert question.histories == [[10, 11, 12], [11, 12, 13, 10, 14], [10], []]
    assert (question.user_rows.tolist(), question.targets) == ([1, 2, 3], [15, 12, 13])


def test_metrics_of_one_target_by_hand() -> None:
    """Ranks 0, 2, absent, 9: recall@5 2/4, recall@10 3/4; ndcg@5 (1 + 1/2) / 4, @10 adds 1 / log2(11) / 4."""
    found = metrics_at(np.array([0, 2, -1, 9]), (5, 10))

    assert found["recall@5"] == 0.5
    assert found["recall@10"] == 0.75
    assert found["ndcg@5"] == pytest.approx(1.5 / 4)
    assert found["ndcg@10"] == pytest.approx((1.5 + 1 / np.log2(11)) / 4, abs=1e-5)


def test_ranks_leave_out_the_history_and_break_ties_by_column() -> None:
    scores = np.array([[3.0, 2.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [9.0, 1.0, 1.0, 1.0]])
    left_out = np.array([[True, False, False, False], [False] * 4, [True, False, False, False]])

    assert ranks_in_scores(scores, np.array([2, 3, 0]), left_out).tolist() == [1, 3, -1]
    assert ranks_in_scores(scores, np.array([-1, 0, 1]), left_out).tolist() == [-1, 0, 0]
    assert ranks_in_lists([("a", "b"), ()], ["b", "a"]).tolist() == [1, -1]


def test_it_runs_through_the_product_to_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ([1, 2, 3, 4], [5, 6, 7, 8])
    rows = {user: (groups[user % 2] * 2)[user // 2 % 4 :][:4] for user in range(16)}
    path = write_sequences(tmp_path / "sequences.parquet", rows)
    items = tmp_path / "items.parquet"
    pl.DataFrame(
        {
            "item": range(1, 9),
            "asin": [f"B{item}" for item in range(1, 9)],
            "attributes": [[item] for item in range(1, 9)],
            "idgenrec_text_id": [f"thing {item}" for item in range(1, 9)],
        }
    ).write_parquet(items)
    arguments = ["sequential", "--sequences", str(path), "--items", str(items)]
    monkeypatch.setattr(sys, "argv", arguments)

    sequential.main()

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["system"]["ndcg@5"] == 1.0
    assert result["peers"]["popularity"]["ndcg@5"] < 1.0
    assert set(result["peers"]) == {"popularity", "item cosine", "EASE"}
    assert "history removed" in result["protocol"]
