"""Slates on their way into the database and out of it.

Enters: ``Slate``. Leaves: a compact body (JSON, deflated) without the user, whose id stands in a
column of its own so that it can be erased; and an equal ``Slate`` again.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, select

from aisle.contracts import Appended
from aisle.domain import Slate, Slot
from aisle.storage.ledger import Ledger
from aisle.storage.schema import slates
from aisle.storage.sqlite import insert_rows, rows_where_in

_FASTEST = 1


@dataclass(frozen=True)
class PreparedSlates:
    """Slates with their bodies; of slates with one id the first stays."""

    ids: list[str]
    user_ids: list[str | None]
    bodies: list[bytes]
    n_repeated: int

    @classmethod
    def of(cls, given: Sequence[Slate]) -> PreparedSlates:
        """Encode slates."""
        first: dict[str, Slate] = {}
        for slate in given:
            first.setdefault(slate.slate_id, slate)
        bodies = [_body(slate) for slate in first.values()]
        return cls(list(first), [slate.user_id for slate in first.values()], bodies, len(given) - len(first))


def append_slates(connection: Connection, ledger: Ledger, prepared: PreparedSlates) -> Appended:
    """Store slates whose id is new; ``ledger`` is moved on, not written."""
    known = {row[0] for row in rows_where_in(connection, [slates.c.slate_id], slates.c.slate_id, prepared.ids)}
    new = [position for position, slate_id in enumerate(prepared.ids) if slate_id not in known]
    columns = {"slate_id": prepared.ids, "user_id": prepared.user_ids, "body": prepared.bodies}
    chosen = {name: [values[position] for position in new] for name, values in columns.items()}
    insert_rows(connection, slates, {"seq": ledger.take(len(new)), **chosen})
    return Appended(ledger.seq, len(new), n_duplicate=len(known) + prepared.n_repeated)


def read_slate(connection: Connection, slate_id: str) -> Slate | None:
    """The slate, or None."""
    row = connection.execute(select(slates.c.user_id, slates.c.body).where(slates.c.slate_id == slate_id)).first()
    return None if row is None else _slate(slate_id, row.user_id, row.body)


def without_query(slate_id: str, body: bytes) -> bytes:
    """The body of an erased user's slate: what he typed goes, what was shown stays for evaluation."""
    slate = _slate(slate_id, None, body)
    return _body(Slate(slate_id, slate.placement, slate.time_ms, slate.slots, None, None, (), slate.versions))


def _body(slate: Slate) -> bytes:
    content = {
        "placement": slate.placement,
        "time_ms": slate.time_ms,
        "query": slate.query,
        "anchors": slate.anchor_item_ids,
        "versions": dict(slate.versions),
        "slots": [_numbers(slot) for slot in slate.slots],
    }
    return zlib.compress(orjson.dumps(content), _FASTEST)


def _numbers(slot: Slot) -> tuple[str, float, float, dict[str, float]]:
    """A slot as plain numbers: a numpy float32 would be written with too few digits to be read back equal."""
    scores = {name: float(score) for name, score in slot.scores.items()}
    return slot.item_id, float(slot.utility), float(slot.propensity), scores


def _slate(slate_id: str, user_id: str | None, body: bytes) -> Slate:
    content = orjson.loads(zlib.decompress(body))
    return Slate(
        slate_id,
        content["placement"],
        content["time_ms"],
        tuple(Slot(*slot) for slot in content["slots"]),
        user_id,
        content["query"],
        tuple(content["anchors"]),
        content["versions"],
    )
