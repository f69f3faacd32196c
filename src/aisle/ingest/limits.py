"""What a source may ask of this machine: the bounds that keep hostile files from exhausting it.

Enters and leaves nothing but numbers; every reader takes them as a parameter.
"""

from __future__ import annotations

from pydantic import Field

from aisle.settings import Config

MIB = 1024 * 1024


class LimitsConfig(Config):
    """Bounds on what one source may contain. Memory while reading is a small multiple of ``max_record_bytes``."""

    batch_rows: int = Field(default=50_000, ge=1)
    """Rows cleaned and committed together; raising it is slightly faster and costs memory."""
    max_field_bytes: int = Field(default=MIB, ge=16)
    """Longest value of one field; a longer one refuses its row."""
    max_record_bytes: int = Field(default=8 * MIB, ge=1024)
    """Longest row (CSV) or object (JSON); a longer JSON object refuses its row, a longer CSV row ends the file."""
    max_document_bytes: int = Field(default=256 * MIB, ge=1024)
    """Largest JSON file that must be held whole because its records lie inside one object (``records``)."""
    max_depth: int = Field(default=32, ge=1, le=512)
    """Deepest nesting of a JSON record; real exports stay below ten."""
    max_columns: int = Field(default=4096, ge=1)
    """Most columns of a table."""
    max_decompressed_bytes: int = Field(default=256 * 1024 * MIB, ge=MIB)
    """Most bytes one compressed file may unpack to."""
    max_expansion: float = Field(default=300.0, ge=1)
    """Most bytes out for each byte in, once ``expansion_grace_bytes`` have come out. Shop data packs 5 to 50 times."""
    expansion_grace_bytes: int = Field(default=32 * MIB, ge=0)
    """Bytes that may come out before the expansion is judged; raising it lets small, very regular files pass."""
