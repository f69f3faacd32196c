"""Comparing systems, and the report that comes of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import orjson
import pytest

from aisle.errors import ConfigError, ContractError, DataError
from aisle.evaluation import (
    Cases,
    ListFacts,
    Report,
    Split,
    compare,
    leave_one_out,
    mean_interval,
    padded,
    paired_difference,
)
from aisle.evaluation.report_page import page_html
from aisle.evaluation.report_table import table_text
from aisle.testing import tiny_shop


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(tiny_shop().snapshot)


def knows(cases: Cases, n: int) -> np.ndarray:
    """Puts the right item second."""
    others = [(int(target) + 1) % 12 for target in cases.targets.items.rows]
    return padded([[o, int(t)] for o, t in zip(others, cases.targets.items.rows, strict=True)], n)


def first_rows(cases: Cases, n: int) -> np.ndarray:
    return np.tile(np.arange(n), (len(cases), 1))


def nothing(cases: Cases, n: int) -> np.ndarray:
    return np.full((len(cases), n), -1)


def report_of(split: Split, **more) -> Report:
    systems = {"first rows": first_rows, "knows <b>&": knows, "没有": nothing}
    return compare(systems, split, rng=np.random.default_rng(4), cutoffs=(2, 5), n_resamples=200, **more)


def test_a_report_says_how_it_was_measured(split: Split) -> None:
    report = report_of(split, notes=("history removed",))
    assert report.seed == 4
    assert report.protocol == split.protocol
    assert (report.n_cases, report.n_items) == (len(split.cases), 12)
    assert report.baseline == "first rows"
    for text in (table_text(report), page_html(report)):
        assert "leave one out" in text
        assert "95% BCa bootstrap over cases, 200 draws" in text
        assert "history removed" in text
        assert re.search(r"Seed\W.*4", text, re.DOTALL)


def test_figures_are_those_of_the_metrics(split: Split) -> None:
    report = report_of(split)
    knowing = report.system("knows <b>&")
    assert knowing.metrics["recall@2"].value == 1
    assert knowing.metrics["mrr@5"].value == 0.5
    assert knowing.metrics["mean_rank"].value == 2
    assert report.system("没有").metrics["recall@5"].value == 0
    assert report.system("没有").n_answered == 0
    assert np.isnan(report.system("没有").metrics["novelty@5"].value)
    assert report.metrics("first rows")["coverage@5"] == pytest.approx(5 / 12)


def test_differences_are_paired_with_the_baseline(split: Split) -> None:
    report = report_of(split, baseline="没有")
    difference = report.difference("knows <b>&", "mrr@5")
    assert difference is not None
    assert difference.value == 0.5
    assert difference.is_clear
    assert report.difference("没有", "mrr@5") is None


def test_the_same_seed_gives_the_same_report(split: Split) -> None:
    assert report_of(split).as_json() == report_of(split).as_json()


def test_another_seed_draws_another_interval_around_the_same_mean() -> None:
    values = np.random.default_rng(0).random(50)
    one, other = (mean_interval(values, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_groups_of_users_part_the_cases(split: Split) -> None:
    labels = ["north", "south", None, "north", "west", "west"]
    report = report_of(split, user_groups={"region": labels})
    mine = [result for result in report.groups if result.system == "first rows"]
    assert sum(result.n_cases for result in mine) == len(split.cases)
    whole = sum(result.n_cases * result.metrics["recall@5"].value for result in mine) / len(split.cases)
    assert whole == pytest.approx(report.system("first rows").metrics["recall@5"].value)
    assert "(none)" in {result.group for result in mine}


def test_groups_of_items_count_their_own_targets_only(split: Split) -> None:
    labels = ["low" if row < 5 else "high" for row in range(12)]
    report = report_of(split, item_groups={"half": labels})
    by_group = {r.group: r for r in report.groups if r.system == "first rows"}
    n_low = int((split.cases.targets.items.rows < 5).sum())
    assert by_group["low"].exposure == 1.0
    assert by_group["high"].metrics["recall@5"].value == 0
    assert (by_group["low"].n_cases, by_group["high"].n_cases) == (n_low, len(split.cases) - n_low)


def test_wrong_groupings_and_baselines_are_refused(split: Split) -> None:
    with pytest.raises(DataError, match="12 item rows"):
        report_of(split, item_groups={"half": ["a"]})
    with pytest.raises(ConfigError, match="Did you mean 'first rows'"):
        report_of(split, baseline="first row")
    with pytest.raises(ConfigError, match="at least one system"):
        compare({}, split, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda cases, n: np.zeros((len(cases), n)), "float64"),
        (lambda cases, n: np.zeros((1, n), np.int64), "one list a case"),
        (lambda cases, n: np.full((len(cases), n), 12), "0 to 11"),
        (lambda cases, n: np.zeros((len(cases), n), np.int64), "twice"),
    ],
)
def test_a_system_that_breaks_its_contract_is_named(split: Split, answer, says: str) -> None:
    with pytest.raises(ContractError, match=says) as raised:
        compare({"mine": answer}, split, rng=np.random.default_rng(0))
    assert "mine" in str(raised.value)


def test_json_holds_everything_and_null_where_there_is_no_figure(split: Split) -> None:
    told = orjson.loads(report_of(split).as_json())
    assert told["systems"][1]["metrics"]["recall@2"]["value"] == 1.0
    assert told["systems"][2]["metrics"]["novelty@5"]["value"] is None
    assert {"protocol", "seed", "level", "n_resamples", "method", "n_cases"} <= told.keys()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.n_plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.n_plots += tag == "svg"
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href"}]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_stands_alone_and_escapes_names(split: Split, language) -> None:
    report = report_of(
        split,
        title="<script>alert(1)</script>",
        item_groups={"half": ["<i>low"] * 6 + ["high"] * 6},
        facts=ListFacts(categories=np.arange(12) % 3),
        seconds_now=iter(range(100)).__next__,
    )
    page = page_html(report, language)
    parsed = _Page()
    parsed.feed(page)
    assert parsed.open == []
    assert all(link.startswith("#") for link in parsed.loaded)
    assert parsed.n_plots == 5
    assert "<script" not in page
    assert "knows <b>" not in page
    assert "<i>" not in page
    assert ("结果" in page) == (language == "zh")
    assert page == page_html(report, language)


def test_one_system_and_one_cutoff_make_a_report_too(split: Split) -> None:
    report = compare({"only": first_rows}, split, rng=np.random.default_rng(0), cutoffs=(3,), n_resamples=20)
    assert "only" in page_html(report)
    assert "recall@3" in table_text(report, "zh")


def test_pairing_sees_a_small_steady_difference_that_two_means_would_not() -> None:
    rng = np.random.default_rng(0)
    baseline = rng.random(200)
    better = baseline + rng.normal(0.01, 0.01, 200)
    assert paired_difference(better, baseline, np.random.default_rng(1)).is_clear
    assert not paired_difference(better, rng.permutation(baseline), np.random.default_rng(1)).is_clear
