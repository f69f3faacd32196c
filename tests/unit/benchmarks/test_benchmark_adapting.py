"""The benchmark of adapted models: what is searched among, and that kept models learn no more."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import product_search
from benchmarks.adapting import Search

IDS = [str(number) for number in range(20)]
JUDGED = {"tea": {"3": 3.0, "7": 1.0}, "pot": {"7": 2.0, "gone": 3.0}}


def search(names: list[str]) -> Search:
    return Search(IDS, names, JUDGED)


def test_all_titles_are_searched_unless_told_otherwise() -> None:
    assert search(IDS).among(None).ids == IDS


def test_the_judged_titles_and_so_many_others_once_each_in_the_files_order() -> None:
    names = [f"title {one}" for one in IDS]
    found = search(names).among(5)

    assert {"3", "7"} < set(found.ids)
    assert len(found.ids) == len(set(found.ids)) == 7
    assert found.ids == sorted(found.ids, key=int)
    assert found.titles == [f"title {one}" for one in found.ids]
    assert search(names).among(5).ids == found.ids


def test_a_kept_model_is_measured_again_without_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = ("hammer", "ladder", "lamp", "faucet", "drill")
    titles = [f"Acme {size} in. {kind.title()} number {size}" for size in range(1, 13) for kind in kinds]
    rows = [(f"{kind} {size} in", size * len(kinds) + at, 3.0) for size in range(12) for at, kind in enumerate(kinds)]
    pl.DataFrame({"product_uid": range(len(kinds), len(kinds) + len(titles)), "product_title": titles}).write_parquet(
        tmp_path / "products.parquet"
    )
    pl.DataFrame(
        [(query, product, grade) for query, product, grade in rows if product >= len(kinds)],
        schema=["search_term", "product_uid", "relevance"],
        orient="row",
    ).write_parquet(tmp_path / "judgments.parquet")
    given = ["--products", tmp_path / "products.parquet", "--judgments", tmp_path / "judgments.parquet"]
    little = "training = {max_steps = 2, batch_size = 8}"
    asked = ["--adapt", "--keep", tmp_path / "kept", "--others", 40, "--adapt-settings", little]
    monkeypatch.setattr(sys, "argv", ["product_search", *map(str, [*given, *asked])])

    found = []
    for _ in range(2):
        product_search.main()
        found.append(json.loads(capsys.readouterr().out.splitlines()[-1]))

    assert found[0]["system"] == found[1]["system"]  # minutes too: nothing was learned anew
    assert found[0]["system"]["trained_parameters"] > 1e7
    assert set(found[0]["peers"]) == {"bm25s", "frozen"}
