"""Records that are parsed already (the body of a request) to a table and refusals, by the same mappings as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aisle.contracts import Clock
from aisle.domain import Refusal
from aisle.ingest.cleaning import AnyTable, CleaningConfig, clean
from aisle.ingest.drawing import draw
from aisle.ingest.json_rows import record_batch
from aisle.ingest.known import adapter, check_required, mapping_by_names
from aisle.ingest.mapping import TableMapping
from aisle.ingest.refused import as_refusals


@dataclass(frozen=True)
class Accepted:
    """What became of some records: a table ready to be appended and what was refused, rows counting from 1."""

    table: AnyTable
    refusals: tuple[Refusal, ...]
    n_left_out: int = 0
    n_duplicate: int = 0
    """Rows that say again what another row says."""


def accept_records(
    records: Sequence[Mapping[str, Any]],
    mapping: TableMapping | str | None,
    *,
    clock: Clock,
    config: CleaningConfig = CleaningConfig(),  # noqa: B008 - frozen
    source: str = "request",
) -> Accepted:
    """Clean ``records`` by ``mapping`` (or an adapter's name, or None when the keys have our names).

    Raises:
        ConfigError: the mapping cannot be used.
        DataError: no mapping, and the keys fit no table.
    """
    if mapping is None:
        mapping = mapping_by_names(list(dict.fromkeys(key for record in records for key in record)), source)
    elif isinstance(mapping, str):
        mapping = adapter(mapping)
    check_required(mapping)
    raw = record_batch(records, mapping)
    drawn, n_left_out = draw(raw.frame, mapping)
    cleaned = clean(drawn, mapping, config, clock())
    refused = pl.concat([raw.refused, cleaned.refused])
    return Accepted(cleaned.table, tuple(as_refusals(source, refused)), n_left_out, cleaned.n_duplicate)
