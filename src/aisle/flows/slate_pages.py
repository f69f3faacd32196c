"""The lists that a shop has shown, read a page at a time.

Enters: the records and a place in them. Leaves: slates. Knows nothing of what they are read for.
"""

from __future__ import annotations

from collections.abc import Iterator

from aisle.contracts import RecordStore
from aisle.domain import Slate

_SLATES_A_PAGE = 2_000


def slates_after(records: RecordStore, after_seq: int) -> Iterator[Slate]:
    """Every slate written after ``after_seq``, in order; those written meanwhile come last."""
    while True:
        after_seq, page = records.read_slates(after_seq, _SLATES_A_PAGE)
        if not page:
            return
        yield from page
