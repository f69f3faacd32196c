"""JSON to batches: lines, arrays and documents whose records lie deeper.

Each record is parsed on its own (orjson), so one bad record is refused alone and memory stays bounded by
``max_record_bytes``; only a document with ``records`` is held whole, up to ``max_document_bytes``. The columns of the
frame are the paths that the mapping asks for; scalars become text, lists become lists of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import orjson
import polars as pl

from aisle.errors import DataError
from aisle.ingest.limits import MIB, LimitsConfig
from aisle.ingest.mapping import TableMapping
from aisle.ingest.paths import Getter, compile_path
from aisle.ingest.raw import RawBatch
from aisle.ingest.refused import ROW, no_refusals, refuse
from aisle.ingest.streams import refuse_foreign_text

PAIRS = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))
"""Type of a column that holds an object: its keys and values as text."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def jsonl_batches(stream: BinaryIO, name: str, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """Batches of a stream with one JSON object a line. Rows count lines from 1, empty ones too."""
    yield from _batches(_lines(stream, name, limits), mapping, limits)


def json_batches(stream: BinaryIO, name: str, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """Batches of a JSON document: an array of objects, one object, or what ``mapping.records`` says. Rows count from 1.

    Raises:
        DataError: not JSON, or larger than ``max_document_bytes`` where it must be held whole.
    """
    if mapping.records is None:
        head = _first_byte(stream, name)
        records = _elements(stream, name, limits) if head == b"[" else _whole(stream, head, name, limits)
        yield from _batches(records, mapping, limits)
        return
    document = _parse_whole(stream, b"", name, limits)
    found = (
        ({**row, "$value": value} if not isinstance(value, dict) else {**value, **row, "$value": value}, None)
        for row, value in _walk(document, mapping.records.split("."), 1)
    )
    yield from _batches(found, mapping, limits)


def json_records(stream: BinaryIO, name: str, *, is_lines: bool, limits: LimitsConfig) -> Iterator[dict[str, Any]]:
    """The good records of a stream of lines, of an array, or of an object whose values are objects."""
    if is_lines:
        parsed: Iterable[Parsed] = _lines(stream, name, limits)
    else:
        head = _first_byte(stream, name)
        parsed = _elements(stream, name, limits) if head == b"[" else _whole(stream, head, name, limits)
    for record, _ in parsed:
        if isinstance(record, dict):
            yield record


def record_batch(records: Sequence[Mapping[str, Any]], mapping: TableMapping, first_row: int = 1) -> RawBatch:
    """One batch of records that are parsed already, numbered from ``first_row``."""
    frame = records_frame([dict(record) for record in records], range(first_row, first_row + len(records)), mapping)
    return RawBatch(frame, no_refusals(), first_row + len(records) - 1)


Parsed = tuple[Any, tuple[str, str, str] | None]
"""A record, or why there is none: field, value, allowed."""


def _batches(records: Iterable[Parsed], mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    rows: list[int] = []
    good: list[dict[str, Any]] = []
    bad: list[tuple[int, str, str, str]] = []
    row = 0
    for row, (record, wrong) in enumerate(records, start=1):
        if wrong is not None:
            bad.append((row, *wrong))
        elif isinstance(record, dict):
            rows.append(row)
            good.append(record)
        elif record is not None:
            bad.append((row, "", str(record), "a JSON object"))
        if len(good) + len(bad) >= limits.batch_rows:
            yield RawBatch(records_frame(good, rows, mapping), refuse(bad), row)
            rows, good, bad = [], [], []
    if good or bad:
        yield RawBatch(records_frame(good, rows, mapping), refuse(bad), row)


def _parse(data: bytes, limits: LimitsConfig) -> Parsed:
    """One record; None and no reason for an empty one."""
    if len(data) > limits.max_record_bytes:
        return None, ("", data[:200].decode(errors="replace"), f"a record of at most {limits.max_record_bytes} bytes")
    data = data.strip()
    if not data:
        return None, None
    if data.count(b"[") + data.count(b"{") > limits.max_depth and _is_deeper(data, limits.max_depth):
        return None, ("", data[:200].decode(errors="replace"), f"JSON nested at most {limits.max_depth} deep")
    try:
        return orjson.loads(data), None
    except orjson.JSONDecodeError as error:
        return None, ("", data[:200].decode(errors="replace"), f"JSON ({error.msg})")


def _is_deeper(data: bytes, limit: int) -> bool:
    depth = 0
    for match in _BRACKET.finditer(data):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth > limit:
                return True
        elif token in (b"]", b"}"):
            depth -= 1
    return False


def _lines(stream: BinaryIO, name: str, limits: LimitsConfig) -> Iterator[Parsed]:
    left = b""
    is_first = True
    overlong = b""
    while data := stream.read(MIB):
        if is_first:
            refuse_foreign_text(data[:4096], name)
            data = data.removeprefix(b"\xef\xbb\xbf")
            is_first = False
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            yield _parse(overlong + line if overlong else line, limits)
            overlong = b""
        if overlong or len(left) > limits.max_record_bytes:
            # Too long already: keep only enough to show and to be refused, and drop the rest as it comes.
            overlong = overlong or left[: limits.max_record_bytes + 1]
            left = b""
    if overlong or left:
        yield _parse(overlong or left, limits)


def _first_byte(stream: BinaryIO, name: str) -> bytes:
    skipped = 0
    while True:
        data = stream.read(1)
        if not data:
            raise DataError(f"{name} is empty; wanted a JSON array or object", source=name)
        skipped += 1
        if data.strip() and data not in (b"\xef", b"\xbb", b"\xbf"):
            if data not in (b"[", b"{"):
                raise DataError(f"{name} is not JSON: it starts with {data!r}", source=name)
            return data
        if skipped > MIB:
            raise DataError(f"{name} is not JSON: a megabyte of blanks", source=name)


def _elements(stream: BinaryIO, name: str, limits: LimitsConfig) -> Iterator[Parsed]:
    """Elements of a top-level array whose ``[`` was read, found by following brackets outside strings."""
    buffer = b""
    depth = position = start = 0
    is_over = False
    while not is_over:
        data = stream.read(MIB)
        if not data:
            raise DataError(f"{name} ends inside its array; is it cut short?", source=name)
        buffer = buffer[start:] + data
        position, start = position - start, 0
        while (token := _TOKEN.search(buffer, position)) is not None:
            quote = buffer.find(b'"', position, token.start())
            if quote >= 0:  # a string that this chunk cuts: wait for its end
                break
            mark = token.group()
            position = token.end()
            if mark in (b"[", b"{"):
                depth += 1
            elif mark in (b"]", b"}"):
                depth -= 1
            if depth < 0 or (depth == 0 and mark == b","):
                yield _parse(buffer[start : token.start()], limits)
                start = position
            if depth < 0:
                is_over = True
                break
        if len(buffer) - start > limits.max_record_bytes + MIB:
            raise DataError(
                f"{name}: an element of the array is longer than {limits.max_record_bytes} bytes, or a quote is open",
                source=name,
            )


def _whole(stream: BinaryIO, head: bytes, name: str, limits: LimitsConfig) -> Iterator[Parsed]:
    yield _parse_whole(stream, head, name, limits), None


def _parse_whole(stream: BinaryIO, head: bytes, name: str, limits: LimitsConfig) -> Any:
    parts = [head]
    n_bytes = 0
    while data := stream.read(MIB):
        parts.append(data)
        n_bytes += len(data)
        if n_bytes > limits.max_document_bytes:
            raise DataError(
                f"{name} is one JSON document of more than {limits.max_document_bytes} bytes; write its records one a "
                "line (JSONL)",
                source=name,
            )
    document = b"".join(parts).removeprefix(b"\xef\xbb\xbf")
    if _is_deeper(document, limits.max_depth):
        raise DataError(f"{name} is nested more than {limits.max_depth} deep", source=name)
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{name} is not JSON: {error}; is it JSONL?", source=name) from error


def _walk(value: Any, steps: list[str], star: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """What lies at ``steps``, with the keys and objects met at each ``*``."""
    if not steps:
        yield {}, value
        return
    step, rest = steps[0], steps[1:]
    if step != "*":
        inner = value.get(step) if isinstance(value, dict) else None
        if inner is not None:
            yield from _walk(inner, rest, star)
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for key, inner in pairs:
        for row, found in _walk(inner, rest, star + 1):
            yield {f"$key{star}": str(key), f"${star}": inner, **row}, found


def records_frame(records: list[dict[str, Any]], rows: Iterable[int], mapping: TableMapping) -> pl.DataFrame:
    """The paths that ``mapping`` reads as columns, with ``$row`` from ``rows``, exploded where it says so."""
    numbers = list(rows)
    if mapping.explode is not None:
        records, numbers = _explode(records, numbers, mapping.explode)
    wanted = mapping.wanted()
    columns = [as_series(path, [get(record) for record in records]) for path, get in _getters(wanted)]
    frame = pl.DataFrame([*columns, pl.Series(ROW, numbers, dtype=pl.Int64)])
    if mapping.explode is not None:
        made = {made: [record[made] for record in records] for made in ("$position", "$length")}
        frame = frame.with_columns(pl.DataFrame(made, schema=dict.fromkeys(made, pl.Int64)))
    return frame


def _getters(paths: list[str]) -> list[tuple[str, Getter]]:
    return [(path, compile_path(path)) for path in paths]


def _explode(records: list[dict[str, Any]], rows: list[int], path: str) -> tuple[list[dict[str, Any]], list[int]]:
    get = compile_path(path)
    exploded: list[dict[str, Any]] = []
    numbers: list[int] = []
    for record, row in zip(records, rows, strict=True):
        elements = get(record)
        elements = elements if isinstance(elements, list) and elements else [None]
        for position, element in enumerate(elements):
            exploded.append({**record, path: element, "$position": position, "$length": len(elements)})
            numbers.append(row)
    return exploded, numbers


def as_series(name: str, values: list[Any]) -> pl.Series:
    """Values of one path as a column: whole numbers, text, lists of text, or pairs of an object."""
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if kinds <= {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if dict in kinds:
        return pl.Series(name, [_pairs(value) for value in values], dtype=PAIRS)
    if list in kinds:
        return pl.Series(name, [_texts(value) for value in values], dtype=pl.List(pl.String))
    return pl.Series(name, [None if value is None else as_text(value) for value in values], dtype=pl.String)


def _texts(value: Any) -> list[str] | None:
    if value is None:
        return None
    elements = value if isinstance(value, list) else [value]
    return [as_text(element) for element in elements if element is not None]


def _pairs(value: Any) -> list[dict[str, str]] | None:
    if not isinstance(value, dict):
        return None
    return [{"name": str(key), "value": text} for key, inner in value.items() for text in _texts(_plain(inner)) or ()]


def _plain(value: Any) -> Any:
    """The texts of Google Retail's ``{"text": [...], "numbers": [...]}``, other values as they are."""
    if isinstance(value, dict) and value.keys() <= {"text", "numbers", "searchable", "indexable"}:
        return [*value.get("text", ()), *value.get("numbers", ())]
    return value


def as_text(value: Any) -> str:
    """A JSON value as text: whole floats without their ``.0``, truth as ``true`` and ``false``, objects as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return str(value)
