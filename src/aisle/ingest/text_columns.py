"""What the columns of a table say: one text a row, one label a row, or several labels a row.

Enters: a table of ``text_tables`` and names of columns. Leaves: lists, one entry a row. A column that holds something
else is refused with the first row that does.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from aisle.errors import ConfigError, DataError, unknown_name
from aisle.ingest.limits import LimitsConfig

_SEPARATOR = ". "
_LONGEST = LimitsConfig().max_field_bytes
_LONGEST_SHOWN = 60
_NOT_A_NUMBER = "nan"


def columns_named(option: str, value: str) -> list[str]:
    """The columns in ``value``, with commas between.

    Raises:
        ConfigError: one has no name.
    """
    names = [one.strip() for one in value.split(",")]
    if "" in names:
        raise ConfigError(f"{option} {value!r} names no column, or an empty one; give names with commas between")
    return names


def texts_in(frame: pl.DataFrame, columns: Sequence[str], source: str) -> list[str]:
    """The columns of each row as one text; empty where all are.

    Raises:
        DataError: there is no such column, it does not hold texts, or one is too long to be a text.
    """
    parts = [_texts(frame, column, source, "text") for column in columns]
    joined = pl.select(pl.concat_str(parts, separator=_SEPARATOR, ignore_nulls=True).fill_null("")).to_series()
    lengths = joined.str.len_bytes()
    if len(joined) and (longest := int(lengths.max() or 0)) > _LONGEST:  # pyright: ignore[reportArgumentType]
        row = int(lengths.arg_max() or 0) + 1
        raise DataError(
            f"{source}, row {row}: the text has {longest:,} bytes; {_LONGEST:,} are allowed: cut it, or mend the quote "
            "that was opened and not closed",
            source=source,
            row=row,
            field=columns[0],
        )
    return joined.to_list()


def seconds_in(frame: pl.DataFrame, column: str | None, source: str) -> list[str | None] | None:
    """What each text is looked at together with, None where it is empty; None without a column.

    Raises:
        DataError: as ``texts_in``.
    """
    return None if column is None else [one or None for one in texts_in(frame, [column], source)]


def labels_in(frame: pl.DataFrame, column: str, source: str) -> list[str | None]:
    """The one label of each row; None where it is empty.

    Raises:
        DataError: there is no such column, or it does not hold one label a row.
    """
    labels = _texts(frame, column, source, "label").to_list()
    _refuse_not_a_number(labels, column, source)
    return labels


def tags_in(frame: pl.DataFrame, column: str, separator: str, source: str) -> list[list[str] | None]:
    """The labels of each row, in a list or with a separator between; None where nothing is known.

    Raises:
        DataError: there is no such column, or it holds neither.
    """
    values = _known(frame, column, source)
    if isinstance(values.dtype, pl.List | pl.Array):
        if isinstance(values.dtype.inner, pl.List | pl.Array | pl.Struct | pl.Object | pl.Binary):
            raise _wrong(column, values, source, "lists of labels")
        found = _named_lists(values)
    else:
        # An empty cell says nothing; an empty list, or nothing but separators, says that there is none.
        found = [
            None if one is None else one.split(separator) for one in _texts(frame, column, source, "label").to_list()
        ]
    tags = [None if one is None else [tag.strip() for tag in one if tag and tag.strip()] for one in found]
    for row, one in enumerate(tags, 1):
        _refuse_not_a_number(one or (), column, source, row)
    return tags


def labels_that_occur(columns: Sequence[Sequence[str | list[str] | None]]) -> tuple[str, ...]:
    """Of a task's columns, sorted."""
    found: set[str] = set()
    for labels in columns:
        for label in labels:
            found.update([label] if isinstance(label, str) else label or ())
    return tuple(sorted(found))


def _known(frame: pl.DataFrame, column: str, source: str) -> pl.Series:
    if column not in frame.columns:
        raise DataError(f"{source}: {unknown_name('column', column, frame.columns)}", source=source, field=column)
    return frame[column]


def _texts(frame: pl.DataFrame, column: str, source: str, wanted: str) -> pl.Series:
    """Values as stripped text; None where they are empty."""
    values = _known(frame, column, source)
    if values.dtype.is_nested() or values.dtype in (pl.Object, pl.Binary):
        raise _wrong(column, values, source, f"one {wanted} a row")
    named = _named(values).str.strip_chars()
    return pl.select(pl.when(named.str.len_bytes() > 0).then(named)).to_series().alias(column)


def _named(values: pl.Series) -> pl.Series:
    """As text: no number as None, and whole numbers without a point, as they were before an empty cell beside them."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
        if (values.drop_nulls() == values.drop_nulls().round()).all():
            values = values.cast(pl.Int64, strict=False)
    return values.cast(pl.String)


def _named_lists(values: pl.Series) -> list[list[str | None] | None]:
    lists = values.to_list()
    flat = iter(_named(pl.Series([one for of_row in lists for one in of_row or ()])).to_list() if any(lists) else [])
    return [None if of_row is None else [next(flat) for _ in of_row] for of_row in lists]


def _refuse_not_a_number(labels: Sequence[str | None], column: str, source: str, row: int | None = None) -> None:
    for number, label in enumerate(labels, 1):
        if label is not None and label.casefold() == _NOT_A_NUMBER:
            at = row or number
            raise DataError(
                f"{source}, row {at}: column {column!r} has the label {label!r}, which programs write for a cell that "
                "nothing is known of; leave the cell empty",
                source=source,
                row=at,
                field=column,
            )


def _wrong(column: str, values: pl.Series, source: str, wanted: str) -> DataError:
    first = next((row for row, one in enumerate(values.to_list(), 1) if isinstance(one, list | dict | bytes)), 1)
    one = values[first - 1] if len(values) else None
    what = "an object" if isinstance(one, dict) else "bytes" if isinstance(one, bytes) else "a list"
    shown = str(one.to_list() if isinstance(one, pl.Series) else one)[:_LONGEST_SHOWN]
    more = "; several labels a row are of the kind tags" if what == "a list" and "label a row" in wanted else ""
    return DataError(
        f"{source}, row {first}: column {column!r} holds {what}, {shown}; {wanted} is taken: write it as such{more}",
        source=source,
        row=first,
        field=column,
    )
