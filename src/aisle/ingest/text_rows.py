"""A plain text or Markdown file as one row: its name and its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from aisle.errors import DataError
from aisle.ingest.json_rows import record_batch
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import TableMapping
from aisle.ingest.raw import RawBatch
from aisle.ingest.streams import Recoded, refuse_foreign_text


def text_batches(stream: BinaryIO, name: str, mapping: TableMapping, limits: LimitsConfig) -> Iterator[RawBatch]:
    """One row with the columns ``name`` (the file's, without its ending) and ``text``.

    Raises:
        DataError: longer than ``max_field_bytes`` or not text in the stated encoding.
    """
    recoded = Recoded(stream, mapping.csv.encoding, name)
    parts: list[bytes] = []
    n_bytes = 0
    while data := recoded.read():
        parts.append(data)
        n_bytes += len(data)
        if n_bytes > limits.max_field_bytes:
            raise DataError(f"{name} has more than {limits.max_field_bytes} bytes of text; split it", source=name)
    content = b"".join(parts)
    refuse_foreign_text(content[:4096], name)
    yield record_batch([{"name": Path(name).name.split(".")[0], "text": content.decode()}], mapping)
