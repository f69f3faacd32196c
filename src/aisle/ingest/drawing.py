"""A batch of the source's rows to our columns, still as raw values: filters, joins, templates, rules, value maps.

Enters: ``RawBatch.frame`` and a mapping. Leaves: a frame with a column for each of our columns that the mapping makes,
attributes as ``attribute:NAME``. Reading the values (money, times, texts) is the next step's.
"""

from __future__ import annotations

import hashlib
from functools import reduce
from itertools import pairwise
from operator import and_

import polars as pl

from aisle.errors import DataError, unknown_name
from aisle.ingest.json_rows import PAIRS
from aisle.ingest.mapping import Condition, Field, TableMapping, template_parts
from aisle.ingest.parsing import numbers, step_ms, texts, times
from aisle.ingest.refused import ROW

ATTRIBUTE = "attribute:"
"""Prefix of the columns that become attributes."""
SPREAD = "attributes:"
"""The column holding an object of attributes."""


def draw(raw: pl.DataFrame, mapping: TableMapping) -> tuple[pl.DataFrame, int]:
    """Our columns of the kept rows and how many rows were left out by ``keep``."""
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in mapping.wanted() if name not in raw.columns]
    frame = _without_missing(raw.with_columns(absent) if mapping.are_columns_optional else raw, mapping.missing)
    n_rows = frame.height
    if mapping.keep:
        frame = frame.filter(reduce(and_, [_holds(frame, condition) for condition in mapping.keep]))
    columns = [frame[ROW]]
    for target, field in mapping.fields().items():
        columns.append(_draw_field(frame, field).alias(target))
    for name, field in mapping.attributes.items():
        drawn = _draw_field(frame, field).alias(ATTRIBUTE + name)
        if drawn.dtype != PAIRS:
            columns.append(drawn)
    if mapping.attributes_from is not None and frame[mapping.attributes_from].dtype == PAIRS:
        columns.append(frame[mapping.attributes_from].alias(SPREAD))
    return pl.DataFrame(columns), n_rows - frame.height


def _without_missing(frame: pl.DataFrame, missing: tuple[str, ...]) -> pl.DataFrame:
    stripped = pl.col(pl.String).str.strip_chars(" \t\r\n")
    return frame.with_columns(pl.when(stripped.is_in(list(missing)).not_()).then(stripped).name.keep())


def _draw_field(frame: pl.DataFrame, field: Field) -> pl.Series:
    drawn = _origin(frame, field)
    if field.extract is not None:
        drawn = texts(drawn).str.extract(field.extract)
    if field.map is not None:
        text = texts(drawn)
        mapped = text.replace_strict(field.map, default=None)
        other = pl.lit(field.otherwise) if field.otherwise is not None else text
        drawn = pl.select(pl.coalesce(mapped, pl.when(text.is_not_null()).then(other))).to_series()
    if field.divided_by is not None:
        divisor = numbers(_column(frame, field.divided_by))
        drawn = numbers(drawn) / pl.select(pl.when(divisor != 0).then(divisor)).to_series()
    if field.absolute:
        drawn = numbers(drawn).abs()
    if field.bands is not None:
        drawn = _bands(numbers(drawn), field.bands)
    if field.split is not None and not isinstance(drawn.dtype, pl.List):
        parts = texts(drawn).str.split(field.split)
        drawn = parts.list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))
    if field.default is not None:
        standing = pl.lit(field.default) if drawn.dtype.is_numeric() else pl.lit(_constant_text(field.default))
        drawn = pl.select(pl.lit(drawn).fill_null(standing)).to_series()
    return drawn


def _origin(frame: pl.DataFrame, field: Field) -> pl.Series:
    """The value before anything is done to it."""
    if isinstance(field.source, str):
        return _column(frame, field.source)
    if field.source is not None:
        found = [texts(_column(frame, name)) for name in field.source]
        return pl.select(pl.coalesce(found)).to_series()
    if field.join is not None:
        found = [_joined(_column(frame, name), field.separator) for name in field.join]
        joined = pl.select(pl.concat_str(found, separator=field.separator, ignore_nulls=True)).to_series()
        return pl.select(pl.when(joined.str.len_bytes() > 0).then(joined)).to_series()
    if field.template is not None:
        parts = [
            part
            for text, name in template_parts(field.template)
            for part in (pl.lit(text), *([] if name is None else [pl.lit(texts(_column(frame, name)))]))
        ]
        return frame.select(pl.concat_str(parts)).to_series()
    if field.hash is not None:
        return _hashes([texts(_column(frame, name)) for name in field.hash])
    if field.when is not None:
        return _by_rules(frame, field)
    if field.start is not None:
        return _steps(frame, field)
    assert field.value is not None
    return _constant(field.value, frame.height)


def _joined(raw: pl.Series, separator: str) -> pl.Series:
    if isinstance(raw.dtype, pl.List) and not isinstance(raw.dtype.inner, pl.Struct):
        return raw.list.eval(pl.element().cast(pl.String)).list.join(separator)
    return texts(raw)


def _constant(value: str | int | float | bool | tuple[str, ...], n_rows: int) -> pl.Series:
    if isinstance(value, tuple):
        return pl.Series([list(value)], dtype=pl.List(pl.String)).new_from_index(0, n_rows)
    return pl.Series([value]).new_from_index(0, n_rows)


def _constant_text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise DataError(unknown_name("column", name, frame.columns), field=name)
    return frame[name]


def _holds(frame: pl.DataFrame, condition: Condition) -> pl.Series:
    raw = _column(frame, condition.column)
    held = pl.Series([True]).new_from_index(0, len(raw))
    for other in condition.also:
        held &= _holds(frame, other)
    if condition.equals is not None:
        held &= texts(raw).eq(_constant_text(condition.equals)).fill_null(False)
    if condition.is_not is not None:
        held &= texts(raw).ne(_constant_text(condition.is_not)).fill_null(True)
    if condition.one_of is not None:
        held &= texts(raw).is_in([str(value) for value in condition.one_of]).fill_null(False)
    if condition.matches is not None:
        held &= texts(raw).str.contains(condition.matches).fill_null(False)
    if condition.is_missing is not None:
        held &= raw.is_null() if condition.is_missing else raw.is_not_null()
    bounds = (condition.below, condition.above, condition.at_least, condition.at_most)
    if any(bound is not None for bound in bounds):
        held &= _within(numbers(raw), condition)
    return held


def _within(values: pl.Series, condition: Condition) -> pl.Series:
    held = values.is_not_null()
    if condition.below is not None:
        held &= (values < condition.below).fill_null(False)
    if condition.above is not None:
        held &= (values > condition.above).fill_null(False)
    if condition.at_least is not None:
        held &= (values >= condition.at_least).fill_null(False)
    if condition.at_most is not None:
        held &= (values <= condition.at_most).fill_null(False)
    return held


def _by_rules(frame: pl.DataFrame, field: Field) -> pl.Series:
    assert field.when is not None
    result = pl.lit(field.otherwise, dtype=pl.String)
    for rule in reversed(field.when):
        result = pl.when(pl.lit(_holds(frame, rule))).then(pl.lit(rule.value)).otherwise(result)
    return frame.select(result).to_series()


def _steps(frame: pl.DataFrame, field: Field) -> pl.Series:
    """Made-up times in order: ``start`` and one ``step`` for each position in the list or row of the source."""
    assert field.start is not None
    first = times(pl.Series([field.start]), field.time, field.timezone)[0]
    counted = _column(frame, "$position") if field.by == "position" else frame[ROW] - 1
    return counted.cast(pl.Int64) * step_ms(field.step) + first


def _bands(values: pl.Series, edges: tuple[int, ...]) -> pl.Series:
    between = [f"{low}-{high - 1}" for low, high in pairwise(edges)]
    labels = [f"under-{edges[0]}", *between, f"{edges[-1]}+"]
    places = pl.Series(edges, dtype=pl.Float64).search_sorted(values.fill_null(0.0), side="right")
    named = places.replace_strict(dict(enumerate(labels)), return_dtype=pl.String)
    return pl.select(pl.when(values.is_not_null()).then(named)).to_series()


def _hashes(columns: list[pl.Series]) -> pl.Series:
    """16 hexadecimal digits of BLAKE2b for each row; None when every column is missing."""
    joined = pl.DataFrame([column.alias(str(index)) for index, column in enumerate(columns)])
    unique = joined.unique()
    digests = [
        None
        if all(value is None for value in row)
        else hashlib.blake2b("\x1f".join(value or "" for value in row).encode(), digest_size=8).hexdigest()
        for row in unique.iter_rows()
    ]
    keyed = unique.with_columns(pl.Series("digest", digests, dtype=pl.String))
    return joined.join(keyed, on=joined.columns, how="left", nulls_equal=True, maintain_order="left")["digest"]
