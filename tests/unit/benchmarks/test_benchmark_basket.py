"""The basket benchmark: what is hidden, and that it runs to its last line."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import basket

START = datetime(2011, 1, 1, 9)


def line(
    day: int, customer: float | None, item: str | None, quantity: int = 1, price: float = 2.0
) -> dict[str, object]:
    return {
        "Description": item,
        "Quantity": quantity,
        "InvoiceDate": START + timedelta(days=day),
        "UnitPrice": price,
        "CustomerID": customer,
        "Country": "United Kingdom",
    }


def write_lines(path: Path) -> Path:
    lines = [
        line(day, float(100 + day), item)
        for day in range(100)
        for item in (("CUP", "SAUCER", "SPOON") if day % 2 else ("PEN", "INK", "PAPER"))
    ]
    lines += [line(99, 100.0, " CUP "), line(99, 100.0, "SAUCER"), line(99, 100.0, "LAMP"), line(99, 7.0, "CUP")]
    lines += [line(99, 100.0, "PEN", -1), line(99, None, "PEN"), line(98, 100.0, None), line(98, 100.0, "FREE", 1, 0.0)]
    pl.DataFrame(lines).with_columns(pl.col("Quantity").cast(pl.Int32)).write_parquet(path)
    return path


def test_only_items_of_known_baskets_are_hidden(tmp_path: Path) -> None:
    before, after, split = basket.split_lines(basket.read_lines(write_lines(tmp_path / "lines.parquet")), None, False)
    sold = set(basket.bought(before)["Description"])

    baskets, n_unknown = basket.hide(after, sold, np.random.default_rng(0))

    assert sold == {"CUP", "SAUCER", "SPOON", "PEN", "INK", "PAPER"}
    assert before["InvoiceDate"].max() < after["InvoiceDate"].min()
    assert len(baskets.hidden) == 30 + 1  # the customer with the lamp; a single cup and a return are no baskets
    assert n_unknown == 1
    extra = baskets.users.index("100")
    assert sorted([*baskets.contents[extra], baskets.hidden[extra]]) == ["CUP", "SAUCER"]
    assert split.startswith("the last 30 days")


def test_validation_lies_before_the_test(tmp_path: Path) -> None:
    lines = basket.read_lines(write_lines(tmp_path / "lines.parquet"))
    _, test, _ = basket.split_lines(lines, None, False)
    before, validation, _ = basket.split_lines(lines, None, True)

    assert before["InvoiceDate"].max() < validation["InvoiceDate"].min()
    assert validation["InvoiceDate"].max() < test["InvoiceDate"].min()


def test_it_runs_through_the_product_to_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["basket", "--data", str(write_lines(tmp_path / "lines.parquet"))])

    basket.main()

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["system"]["recall@5"] == 1.0
    assert set(result["peers"]) == {"popularity", "item cosine", "association lift", "EASE"}
