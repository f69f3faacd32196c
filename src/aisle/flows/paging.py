"""Pages of one list: a cursor holds the order that the first page began, so that none later repeats or skips an item.

Enters: what is left of a list. Leaves: a text that a caller sends back, from which any process of the shop goes on,
whatever was recorded or trained meanwhile. Nothing is kept on the server; what may not be shown any more is passed over
by whoever reads the rows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.errors import DataError
from aisle.flows.asks import Ask

MOST_DEEP = 1_000
"""Items of one list, all pages together."""
KEPT_MINUTES = 30
"""How old the first page of a list may be when a further one is asked for."""
_HEAD = struct.Struct("<BIHI8s")
"""Form, second of the first page, items shown so far, items found, digest of the question."""
_FORM = 1
_MOST_CHARACTERS = 8_000
_ASK_AGAIN = "leave `cursor` out to begin again"


@dataclass(frozen=True)
class Page:
    """Where a list goes on: ``rows`` (n,) int64 are left, in order; ``n_before`` were shown, ``n_found`` found."""

    rows: NDArray[np.int64]
    n_before: int
    n_found: int
    began_s: int
    """When the first page was made, in seconds."""


def write_cursor(placement: str, ask: Ask, page: Page) -> str | None:
    """The text that ``read_cursor`` reads; None where the list ends, because of ``MOST_DEEP`` too."""
    left = page.rows[: max(MOST_DEEP - page.n_before, 0)].astype("<u4")
    if not len(left):
        return None
    head = _HEAD.pack(_FORM, page.began_s, page.n_before, page.n_found, _digest(placement, ask))
    columns = left.view(np.uint8).reshape(-1, 4).T.tobytes()  # bytes of one weight together: the upper ones are equal
    return base64.urlsafe_b64encode(head + zlib.compress(columns, 1)).decode().rstrip("=")


def read_cursor(placement: str, ask: Ask, now_ms: int) -> Page | DataError | None:
    """Where ``ask`` goes on; None where it begins, an error where its cursor cannot be used."""
    if ask.cursor is None:
        return None
    try:
        raw = base64.b64decode(ask.cursor[:_MOST_CHARACTERS] + "==", altchars=b"-_", validate=False)
        form, began_s, n_before, n_found, digest = _HEAD.unpack_from(raw)
        columns = zlib.decompressobj().decompress(raw[_HEAD.size :], 4 * MOST_DEEP)
        rows = np.frombuffer(columns, np.uint8).reshape(4, -1).T.copy().view("<u4").reshape(-1).astype(np.int64)
    except (ValueError, binascii.Error, struct.error, zlib.error):
        return _refused("is none that an answer gave; send `cursor` of the page before as it was")
    if form != _FORM:
        return _refused(f"is none that an answer gave; {_ASK_AGAIN}")
    if now_ms // 1_000 > began_s + KEPT_MINUTES * 60:
        return _refused(f"has expired: its list began more than {KEPT_MINUTES} minutes ago; {_ASK_AGAIN}")
    if digest != _digest(placement, ask):
        return _refused(
            "belongs to another question; a further page is asked for with the same query, user, filters and sort; "
            + _ASK_AGAIN
        )
    return Page(rows, n_before, n_found, began_s)


def _refused(why: str) -> DataError:
    return DataError(f"the cursor {why}", field="cursor")


def _digest(placement: str, ask: Ask) -> bytes:
    question = repr((placement, ask.user_id, ask.text, ask.item_ids, ask.filters, ask.sort, ask.is_as_typed))
    return hashlib.blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()
