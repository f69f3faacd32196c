from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.ingest.parsing import (
    currencies_in,
    is_time_format,
    minor_units,
    money,
    numbers,
    step_ms,
    texts,
    times,
    truths,
    whole_numbers,
)

SECOND = 1_706_778_245_000  # 2024-02-01T09:04:05Z


@pytest.mark.parametrize(
    ("written", "decimal", "expected"),
    [
        ("12.50", ".", 12.5),
        ("$1,234.50", ".", 1234.5),
        ("£0.99", ".", 0.99),
        ("1 234,50 €", ",", 1234.5),
        ("1.234,50", ",", 1234.5),
        ("1'234.5", ".", 1234.5),
        ("CNY 12", ".", 12.0),
        ("12元", ".", 12.0),
        ("¥1,200", ".", 1200.0),
        ("-3.10", ".", -3.1),
        ("$-3", ".", -3.0),
        (".5", ".", 0.5),
        ("$.5", ".", 0.5),
        ("Rs.5", ".", None),
        ("12,50", ".", None),  # a decimal comma read with a decimal point would be 1250
        ("1,23,456", ".", None),
        ("12.5.1", ".", None),
        ("free", ".", None),
        ("", ".", None),
        ("1e5", ".", None),
    ],
)
def test_money_as_people_write_it(written: str, decimal: str, expected: float | None) -> None:
    assert money(pl.Series([written]), decimal)[0] == expected


@pytest.mark.parametrize(
    ("major", "currency", "minor"),
    [(19.99, "USD", 1999), (19.99, "JPY", 20), (19.99, "KWD", 19990), (0.29, "EUR", 29), (1.005, "CNY", 100)],
)
def test_minor_units_follow_the_currency(major: float, currency: str, minor: int) -> None:
    assert minor_units(pl.Series([major]), pl.Series([currency]))[0] == minor


@given(st.decimals(min_value=0, max_value=10_000_000, places=2, allow_nan=False))
def test_every_two_digit_price_survives_exactly(price: Decimal) -> None:
    read = money(pl.Series([f"{price:,.2f}"]))
    assert minor_units(read, pl.Series(["USD"]))[0] == int(price * 100)


@pytest.mark.parametrize(
    ("written", "currency"),
    [("£3", "GBP"), ("3 €", "EUR"), ("USD 3", "USD"), ("3.00 CNY", "CNY"), ("HK$3", "HKD"), ("$3", None), ("¥3", None)],
)
def test_a_price_may_name_its_currency(written: str, currency: str | None) -> None:
    assert currencies_in(pl.Series([written]))[0] == currency


@pytest.mark.parametrize(
    ("raw", "written", "timezone", "expected"),
    [
        ("2024-02-01T09:04:05Z", "auto", "UTC", SECOND),
        ("2024-02-01 09:04:05 UTC", "auto", "UTC", SECOND),
        ("2024-02-01T17:04:05+08:00", "auto", "UTC", SECOND),
        ("2024-02-01T17:04:05.250+0800", "auto", "UTC", SECOND + 250),
        ("2024-02-01 17:04:05", "auto", "Asia/Shanghai", SECOND),
        ("2024-02-01T09:04:05.123456+00:00", "iso", "UTC", SECOND + 123),
        ("2024-02-01 09:04", "iso", "UTC", SECOND - 5_000),
        ("2024-02-01T17:04+08:00", "iso", "UTC", SECOND - 5_000),
        ("2024-02-01", "iso", "UTC", 1_706_745_600_000),
        ("01/02/2024 09:04", "%d/%m/%Y %H:%M", "UTC", SECOND - 5_000),
        ("01/02/2024", "%d/%m/%Y", "UTC", 1_706_745_600_000),
        ("2024", "year", "UTC", 1_704_067_200_000),
        ("1706778245", "s", "UTC", SECOND),
        ("1706778245.25", "s", "UTC", SECOND + 250),
        ("1706778245000", "ms", "UTC", SECOND),
        ("1706778245000999", "us", "UTC", SECOND),
        ("1706778245000000999", "ns", "UTC", SECOND),
        ("2024-03-31 02:30:00", "iso", "Europe/Berlin", None),  # the clock skips it
        ("2024-02-30", "iso", "UTC", None),
        ("yesterday", "iso", "UTC", None),
        ("9" * 400, "s", "UTC", None),
    ],
)
def test_times_in_the_usual_spellings(raw: str, written: str, timezone: str, expected: int | None) -> None:
    assert times(pl.Series([raw]), written, timezone)[0] == expected


def test_spellings_may_be_mixed_in_one_column() -> None:
    column = pl.Series(["2024-02-01T09:04:05Z", None, "2024-02-01 09:04", "2024-02-01", "x", "2024-02-01T17:04+08:00"])
    assert times(column).to_list() == [SECOND, None, SECOND - 5000, 1_706_745_600_000, None, SECOND - 5000]


def test_numbers_are_times_in_the_unit_that_their_size_tells() -> None:
    raw = ["1772323200", "1772323200.5", "1772323200000", "1772323200000000", "2026-03-01", "20260301", None, "x1"]

    assert times(pl.Series(raw)).to_list() == [
        *(1_772_323_200_000, 1_772_323_200_500, 1_772_323_200_000, 1_772_323_200_000),
        *(1_772_323_200_000, None, None, None),
    ]
    assert times(pl.Series([1_772_323_200, 1_772_323_200_000])).to_list() == [1_772_323_200_000] * 2


def test_times_that_are_times_already() -> None:
    moment = datetime(2024, 2, 1, 9, 4, 5)
    assert times(pl.Series([moment], dtype=pl.Datetime("ns")))[0] == SECOND
    assert times(pl.Series([moment]), timezone="Asia/Shanghai")[0] == SECOND - 8 * 3_600_000
    assert times(pl.Series([moment.date()]))[0] == 1_706_745_600_000
    assert times(pl.Series([SECOND]))[0] == SECOND


@given(st.datetimes(min_value=datetime(1995, 1, 1), max_value=datetime(2100, 1, 1)))
def test_iso_times_survive_exactly(moment: datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    expected = round(whole.replace(tzinfo=UTC).timestamp() * 1000)
    assert times(pl.Series([whole.isoformat()]))[0] == expected
    assert times(pl.Series([whole.isoformat() + "+00:00"]))[0] == expected


@given(
    st.lists(st.one_of(st.none(), st.text(), st.from_regex(r"[-+£$€]?[0-9.,: TZ+-]{0,24}"))),
    st.sampled_from([".", ","]),
)
def test_no_text_makes_a_parser_raise(values: list[str | None], decimal: str) -> None:
    column = pl.Series(values, dtype=pl.String)
    for parsed in (
        money(column, decimal),
        numbers(column),
        whole_numbers(column),
        truths(column),
        currencies_in(column),
        *(times(column, written) for written in ("auto", "s", "ms", "us", "ns", "year", "%d/%m/%Y %H:%M", "%Y")),
    ):
        assert len(parsed) == len(column)
        assert not (parsed.is_not_null() & column.is_null()).any()


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**63), 2**63 - 1))))
def test_no_number_makes_a_parser_raise(values: list[float | None]) -> None:
    column = pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    for parsed in (money(column), numbers(column), whole_numbers(column), texts(column), times(column, "s")):
        assert len(parsed) == len(column)


def test_ids_that_were_floats_lose_their_point() -> None:
    assert texts(pl.Series([17850.0, 1.5, float("nan"), None])).to_list() == ["17850", "1.5", None, None]


def test_whole_numbers_and_truths() -> None:
    assert whole_numbers(pl.Series(["3", "3.0", "3.5", "x", " 7 "])).to_list() == [3, 3, None, None, 7]
    assert truths(pl.Series(["yes", "0", "IN_STOCK", "maybe"])).to_list() == [True, False, True, None]


def test_steps_and_formats_are_checked() -> None:
    assert step_ms("15m") == 900_000
    with pytest.raises(ValueError, match="whole number"):
        step_ms("1 fortnight")
    assert is_time_format("%d.%m.%Y")
    assert is_time_format("us")
    assert not is_time_format("seconds")
