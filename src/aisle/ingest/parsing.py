"""Text and raw values to typed columns: numbers, truth, money, times. Pure functions on whole columns.

Each takes a column as it stands in the source and gives a column of the same length in which None means either that
there was nothing or that it could not be read; the caller tells the two apart by looking at the input. None of them
raises on any content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import polars as pl

DAY_MS = 86_400_000
_UNITS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_STEPS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_TRUE = ("true", "t", "yes", "y", "1", "in_stock", "instock", "available")
_FALSE = ("false", "f", "no", "n", "0", "out_of_stock", "outofstock", "unavailable")
_LARGEST = 9e15
"""Beyond this a float no longer tells neighbouring whole numbers apart."""

CURRENCY_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Digits of the minor unit (ISO 4217) where they are not two."""

CURRENCY_SIGNS: Mapping[str, str] = {
    "US$": "USD", "HK$": "HKD", "NT$": "TWD", "A$": "AUD", "C$": "CAD", "R$": "BRL", "£": "GBP", "€": "EUR",
    "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₫": "VND", "฿": "THB", "元": "CNY", "円": "JPY", "₪": "ILS",
}  # fmt: skip
"""Signs that mean one currency. ``$`` and ``¥`` mean several and so say nothing."""


def texts(raw: pl.Series) -> pl.Series:
    """Any column as text: whole floats without ``.0``, times as ISO 8601, nan as None, bytes as None."""
    if raw.dtype == pl.String:
        return raw
    if raw.dtype.is_float():
        whole = raw.is_finite() & (raw == raw.floor()) & (raw.abs() < _LARGEST)
        as_whole = raw.zip_with(whole.fill_null(False), pl.Series([None], dtype=raw.dtype).new_from_index(0, len(raw)))
        return pl.select(
            pl.coalesce(as_whole.cast(pl.Int64).cast(pl.String), raw.fill_nan(None).cast(pl.String)).alias(raw.name)
        ).to_series()
    if isinstance(raw.dtype, pl.Datetime):
        return raw.dt.to_string("iso:strict")
    if isinstance(raw.dtype, pl.Duration):
        return raw.dt.to_string("iso")
    if raw.dtype == pl.Binary:
        return pl.Series(raw.name, [None] * len(raw), dtype=pl.String)
    if raw.dtype.is_nested():
        return _nested_texts(raw)
    return raw.cast(pl.String, strict=False)


def _nested_texts(raw: pl.Series) -> pl.Series:
    """Lists as their values with a blank between, anything deeper as JSON."""
    if isinstance(raw.dtype, pl.List) and not raw.dtype.inner.is_nested() and raw.dtype.inner != pl.Binary:
        return raw.list.eval(pl.element().cast(pl.String, strict=False)).list.join(" ")
    shown = [None if value is None else json.dumps(value, default=str, ensure_ascii=False) for value in raw.to_list()]
    return pl.Series(raw.name, shown, dtype=pl.String)


def numbers(raw: pl.Series) -> pl.Series:
    """Float64; text as ``-12.5`` or ``1e3`` only (use ``money`` for separators). Not finite becomes None."""
    values = raw if raw.dtype.is_numeric() or raw.dtype == pl.Boolean else texts(raw).str.strip_chars()
    values = values.cast(pl.Float64, strict=False)
    return pl.select(pl.when(values.is_finite()).then(values).alias(raw.name)).to_series()


def whole_numbers(raw: pl.Series) -> pl.Series:
    """Int64; ``3`` and ``3.0`` but not ``3.5``."""
    if raw.dtype.is_integer():
        return raw.cast(pl.Int64, strict=False)
    if raw.dtype == pl.String:
        exact = raw.str.strip_chars().cast(pl.Int64, strict=False)
        if exact.null_count() == raw.null_count():
            return exact
    values = numbers(raw)
    is_whole = (values == values.round()) & (values.abs() < _LARGEST)
    return pl.select(pl.when(is_whole).then(values).cast(pl.Int64).alias(raw.name)).to_series()


def truths(raw: pl.Series) -> pl.Series:
    """Boolean from truth, 0 and 1, or words such as ``yes``, ``in_stock``."""
    if raw.dtype == pl.Boolean:
        return raw
    words = texts(raw).str.strip_chars().str.to_lowercase()
    return pl.select(
        pl.when(words.is_in(_TRUE)).then(True).when(words.is_in(_FALSE)).then(False).otherwise(None).alias(raw.name)
    ).to_series()


def money(raw: pl.Series, decimal: str = ".") -> pl.Series:
    """Amounts in major units, Float64. Currency signs and codes are dropped, thousands may be separated by the other
    mark, blanks or apostrophes: ``$1,234.50``, ``1 234,50 €`` (with ``decimal=","``), ``CNY 12``.
    """
    if raw.dtype.is_numeric():
        return numbers(raw)
    thousands = "," if decimal == "." else "."
    bare = (
        texts(raw)
        .str.replace_all(r"[\s\u{a0}\u{202f}'’]", "")
        # Letters with a dot ("Rs.5") stay and are refused: it could be 5 or 0.5.
        .str.replace(r"^([+-]?)(?:\p{L}{0,3}\p{Sc}([+-]?[\d.,])|\p{L}{1,4}([+-]?\d))", "${1}${2}${3}")
        .str.replace(r"(\d)[\p{L}\p{Sc}]{1,4}$", "${1}")
    )
    t, d = re.escape(thousands), re.escape(decimal)
    is_amount = bare.str.contains(rf"^[+-]?(\d{{1,3}}({t}\d{{3}})+|\d+)({d}\d*)?$|^[+-]?{d}\d+$")
    amount = bare.str.replace_all(thousands, "", literal=True).str.replace(decimal, ".", literal=True)
    return pl.select(pl.when(is_amount).then(amount.cast(pl.Float64, strict=False)).alias(raw.name)).to_series()


def currencies_in(raw: pl.Series) -> pl.Series:
    """The currency that a price's own text names, None where it names none or an ambiguous sign."""
    if raw.dtype != pl.String:
        return pl.Series(raw.name, [None], dtype=pl.String).new_from_index(0, len(raw))
    code = raw.str.extract(r"(?:^|[^A-Z])([A-Z]{3})(?:[^A-Z]|$)")
    sign = raw.str.extract("(" + "|".join(re.escape(sign) for sign in CURRENCY_SIGNS) + ")")
    return pl.select(pl.coalesce(code, sign.replace_strict(CURRENCY_SIGNS, default=None)).alias(raw.name)).to_series()


def minor_units(major: pl.Series, currency: pl.Series) -> pl.Series:
    """Amounts (Float64, major) in minor units of ``currency`` (text), Int64, rounded to the nearest."""
    digits = currency.replace_strict(CURRENCY_DIGITS, default=2, return_dtype=pl.Int8)
    factor = digits.replace_strict({0: 1.0, 2: 100.0, 3: 1000.0}, return_dtype=pl.Float64)
    scaled = (major * factor).round()
    return pl.select(pl.when(scaled.abs() < _LARGEST).then(scaled).cast(pl.Int64).alias(major.name)).to_series()


def times(raw: pl.Series, written: str = "auto", timezone: str = "UTC") -> pl.Series:
    """UTC milliseconds, Int64.

    Args:
        raw: times, dates, numbers or text.
        written: ``s``, ``ms``, ``us``, ``ns`` since 1970, ``year``, ``iso``, a strptime format, or ``auto`` (times as
            they are; numbers, also written as text of 9 digits and more, in the unit that their size tells; other
            text as ISO 8601).
        timezone: of times that carry none; a moment that a clock change skips becomes None.
    """
    if isinstance(raw.dtype, (pl.Date, pl.Datetime)):
        moments = raw.cast(pl.Datetime("us")) if raw.dtype == pl.Date else raw
        return _to_ms(moments, timezone)
    if written in _UNITS:
        return _from_number(raw, _UNITS[written])
    if written == "auto" and raw.dtype.is_numeric():
        return _from_size(numbers(raw))
    if written == "year":
        years = whole_numbers(raw).cast(pl.String).str.zfill(4) + "-01-01"
        return _to_ms(_strptime(years, "%Y-%m-%d"), timezone)
    if written == "auto":
        text = texts(raw).str.strip_chars()
        is_number = text.str.contains(r"^\d{9,}(\.\d+)?$").fill_null(value=False)
        if is_number.any():
            from_numbers = _from_size(numbers(text.set(~is_number, None)))
            return from_numbers.zip_with(is_number, _from_iso(text, timezone)).alias(raw.name)
        return _from_iso(text, timezone)
    if written == "iso":
        return _from_iso(texts(raw), timezone)
    return _to_ms(_strptime(texts(raw).str.strip_chars(), written), timezone)


def step_ms(step: str) -> int:
    """``"1d"`` as milliseconds. Raises ``ValueError`` for anything but a whole number and ms, s, m, h or d."""
    match = re.fullmatch(r"(\d+)\s*(ms|s|m|h|d)", step)
    if match is None:
        raise ValueError(f"step {step!r} is not a whole number and one of ms, s, m, h, d, e.g. '1d'")
    return int(match[1]) * _STEPS[match[2]]


def is_time_format(written: str) -> bool:
    """Whether ``times`` can read it."""
    if written in (*_UNITS, "auto", "iso", "year"):
        return True
    try:
        pl.Series(["x"]).str.to_datetime(written, strict=False)
    except pl.exceptions.PolarsError:
        return "%" in written and "%H" not in written and "%I" not in written
    return "%" in written


def _from_number(raw: pl.Series, factor: float) -> pl.Series:
    if factor >= 1.0:
        exact = whole_numbers(raw)
        if exact.null_count() == raw.null_count() and (exact.abs().max() or 0) < 2**62 / factor:  # type: ignore[operator]
            return exact * int(factor)
    values = (numbers(raw) * factor).floor()
    return pl.select(pl.when(values.abs() < _LARGEST).then(values).cast(pl.Int64).alias(raw.name)).to_series()


def _from_size(values: pl.Series) -> pl.Series:
    """Numbers since 1970 in the unit that their size tells: between 1973 and 5138 the four units do not overlap."""
    size = values.abs()
    factor = pl.when(size < 1e11).then(1000.0).when(size < 1e14).then(1.0).when(size < 1e17).then(1e-3).otherwise(1e-6)
    ms = (pl.lit(values) * factor).floor()
    return pl.select(pl.when(ms.abs() < _LARGEST).then(ms).cast(pl.Int64).alias(values.name)).to_series()


def _from_iso(raw: pl.Series, timezone: str) -> pl.Series:
    """ISO 8601 in its usual spellings: blank or T, with or without seconds, fraction and zone."""
    text = raw.str.strip_chars()
    zoned = text.str.contains(r"\d(\s*(Z|z|UTC)|\s?[+-]\d\d:?(\d\d)?)$") & text.str.contains(":", literal=True)
    result = pl.Series(raw.name, [None], dtype=pl.Int64).new_from_index(0, len(raw))
    if zoned.any():
        spelled = (
            text.str.replace(r"\s*(Z|z|UTC)$", "+00:00")
            .str.replace(r"\s?([+-]\d\d):?(\d\d)?$", "${1}:${2}")
            .str.replace(r":$", ":00")
            .str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T")
        )
        moments = _strptime(spelled, "%Y-%m-%dT%H:%M:%S%.f%:z")
        if moments.null_count() > len(text) - int(zoned.sum()):
            short = _strptime(spelled, "%Y-%m-%dT%H:%M%:z")
            moments = pl.select(pl.coalesce(moments, short)).to_series()
        result = moments.dt.epoch("ms")
    if result.null_count() == text.null_count():
        return result.alias(raw.name)
    naive = text.zip_with(~zoned.fill_null(True), pl.Series([None], dtype=pl.String).new_from_index(0, len(text)))
    naive = naive.str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T")
    wanted = naive.null_count()
    for written in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        found = _to_ms(_strptime(naive, written), timezone)
        result = pl.select(pl.coalesce(result, found)).to_series()
        if found.null_count() == wanted:
            break
    return result.alias(raw.name)


def _strptime(text: pl.Series, written: str) -> pl.Series:
    """Moments in microseconds, with a zone when the format has one."""
    try:
        if not any(mark in written for mark in ("%H", "%I", "%T", "%R", "%k", "%s", "%c", "%+")):
            return text.str.to_date(written, strict=False).cast(pl.Datetime("us"))
        return text.str.to_datetime(written, time_unit="us", strict=False)
    except pl.exceptions.PolarsError:
        # Polars refuses a column in which no value fits the format instead of giving nulls.
        return pl.Series(text.name, [None], dtype=pl.Datetime("us")).new_from_index(0, len(text))


def _to_ms(moments: pl.Series, timezone: str) -> pl.Series:
    assert isinstance(moments.dtype, pl.Datetime)
    if moments.dtype.time_zone is None and timezone != "UTC":
        moments = moments.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return moments.dt.epoch("ms")
