"""Bringing data in: files of any usual kind become checked tables, and what does not fit is refused with a reason.

Enters: files and a mapping. Leaves: rows in a ``RecordStore`` and an ``ImportReport``. Knows storage as a Protocol.
"""

from aisle.ingest.bodies import Accepted, accept_records
from aisle.ingest.guessing import guess_mapping
from aisle.ingest.importing import ImportConfig, import_files
from aisle.ingest.known import adapter, find_mapping, known_adapters
from aisle.ingest.mapping import TableMapping, parse_mapping, read_mapping
from aisle.ingest.report import Failure, ImportReport

__all__ = [
    "Accepted",
    "Failure",
    "ImportConfig",
    "ImportReport",
    "TableMapping",
    "accept_records",
    "adapter",
    "find_mapping",
    "guess_mapping",
    "import_files",
    "known_adapters",
    "parse_mapping",
    "read_mapping",
]
