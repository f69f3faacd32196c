"""Slates on their way into the database and out of it.

Enters: ``Slate``. Leaves: a compact body (JSON, deflated) without the user, whose id stands in a column of its own so
that it can be erased, and beside it the features; and an equal ``Slate`` again. A slate written before slots had
outcomes or features reads as one without. Few slots are pinned by a rule, so only these name it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, Row, Select, bindparam, delete, select, update

from aisle.contracts import Appended
from aisle.domain import Slate, Slot
from aisle.storage.ledger import Ledger
from aisle.storage.schema import feature_names, slates
from aisle.storage.slate_features import decode_features, decode_names, encode_features, encode_names
from aisle.storage.sqlite import insert_rows, rows_where_in

_FASTEST = 1


@dataclass(frozen=True)
class PreparedSlates:
    """Slates as columns of their table; of slates with one id the first stays. ``names`` are those of features."""

    columns: dict[str, list[Any]]
    names: dict[bytes, str]
    n_repeated: int

    @classmethod
    def of(cls, given: Sequence[Slate]) -> PreparedSlates:
        """Encode slates."""
        first: dict[str, Slate] = {}
        for slate in given:
            first.setdefault(slate.slate_id, slate)
        names: dict[bytes, str] = {}
        hashes: list[bytes | None] = []
        features: list[bytes | None] = []
        for slate in first.values():
            if slate.features is None:
                hashes.append(None)
                features.append(None)
                continue
            names_hash, text = encode_names(slate.features.names)
            names[names_hash] = text
            hashes.append(names_hash)
            features.append(encode_features(slate.features))
        columns: dict[str, list[Any]] = {
            "slate_id": list(first),
            "user_id": [slate.user_id for slate in first.values()],
            "body": [_body(slate) for slate in first.values()],
            "names_hash": hashes,
            "features": features,
        }
        return cls(columns, names, len(given) - len(first))


def append_slates(connection: Connection, ledger: Ledger, prepared: PreparedSlates) -> Appended:
    """Store slates whose id is new; ``ledger`` is moved on, not written."""
    ids = prepared.columns["slate_id"]
    known = {row[0] for row in rows_where_in(connection, [slates.c.slate_id], slates.c.slate_id, ids)}
    new = [position for position, slate_id in enumerate(ids) if slate_id not in known]
    _keep_names(connection, prepared.names)
    chosen = {name: [values[position] for position in new] for name, values in prepared.columns.items()}
    insert_rows(connection, slates, {"seq": ledger.take(len(new)), **chosen})
    return Appended(ledger.seq, len(new), n_duplicate=len(known) + prepared.n_repeated)


def read_slate(connection: Connection, slate_id: str) -> Slate | None:
    """The slate, or None."""
    row = connection.execute(_ONE, {"slate_id": slate_id}).first()
    return None if row is None else _slate(row)


def read_slates(connection: Connection, after_seq: int, limit: int) -> tuple[int, list[Slate]]:
    """Slates after a sequence number, at most ``limit``, in order, and the number of the last."""
    rows = connection.execute(_PAGE, {"after_seq": after_seq, "n_rows": limit}).fetchall()
    return (rows[-1].seq if rows else after_seq), [_slate(row) for row in rows]


def seq_before(connection: Connection, n: int) -> int:
    """Where the newest ``n`` slates begin. Cost O(n), a second for a hundred thousand; no body is unpacked."""
    return connection.execute(_NEWEST, {"n": n}).scalar() or 0


def find_old(connection: Connection, before_ms: int, limit: int) -> list[int]:
    """Sequence numbers of those among the first ``limit`` slates that were made before a moment."""
    rows = connection.execute(_FIRST, {"n_rows": limit}).fetchall()
    return [row.seq for row in rows if _content(row.body)["time_ms"] < before_ms]


def delete_slates(connection: Connection, seqs: Sequence[int]) -> int:
    """Delete slates; returns how many there still were."""
    return connection.execute(delete(slates).where(slates.c.seq.in_(seqs))).rowcount


def clear_slates(connection: Connection, user_id: str) -> int:
    """Take a user out of his slates (see ``without_user``); returns how many they were."""
    mine = connection.execute(_SLATES.where(slates.c.user_id == user_id)).fetchall()
    for row in mine:
        nothing: dict[str, Any] = {"user_id": None, "names_hash": None, "features": None}
        cleared = {**nothing, "body": _body(without_user(_slate(row)))}
        connection.execute(update(slates).where(slates.c.seq == row.seq).values(cleared))
    return len(mine)


def without_user(slate: Slate) -> Slate:
    """An erased user's slate: who he was, what he typed and the numbers about him go; what was shown stays."""
    return replace(slate, user_id=None, query=None, anchor_item_ids=(), features=None)


def _keep_names(connection: Connection, names: dict[bytes, str]) -> None:
    key = feature_names.c.names_hash
    known = {row[0] for row in rows_where_in(connection, [key], key, list(names))}
    new = {names_hash: text for names_hash, text in names.items() if names_hash not in known}
    if new:
        insert_rows(connection, feature_names, {"names_hash": list(new), "names": list(new.values())})


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


def _numbers(slot: Slot) -> tuple[Any, ...]:
    """A slot as plain numbers: a numpy float32 would be written with too few digits to be read back equal."""
    scores = {name: float(score) for name, score in slot.scores.items()}
    outcomes = {name: float(value) for name, value in slot.outcomes.items()}
    numbers = slot.item_id, float(slot.utility), float(slot.propensity), scores, outcomes
    return numbers if slot.placed_by is None else (*numbers, slot.placed_by)


def _content(body: bytes) -> dict[str, Any]:
    return orjson.loads(zlib.decompress(body))


def _slate(row: Row[Any]) -> Slate:
    content = _content(row.body)
    slots = tuple(Slot(*slot) for slot in content["slots"])
    features = None
    if row.features is not None:
        features = decode_features(decode_names(row.names), len(slots), row.features)
    return Slate(
        row.slate_id,
        content["placement"],
        content["time_ms"],
        slots,
        row.user_id,
        content["query"],
        tuple(content["anchors"]),
        content["versions"],
        features,
    )


_SLATES: Select[*tuple[Any, ...]] = select(
    slates.c.seq, slates.c.slate_id, slates.c.user_id, slates.c.body, slates.c.features, feature_names.c.names
).outerjoin(feature_names, feature_names.c.names_hash == slates.c.names_hash)
_ONE = _SLATES.where(slates.c.slate_id == bindparam("slate_id"))
_FIRST = select(slates.c.seq, slates.c.body).order_by(slates.c.seq).limit(bindparam("n_rows", type_=Integer))
_NEWEST = select(slates.c.seq).order_by(slates.c.seq.desc()).limit(1).offset(bindparam("n", type_=Integer))
_PAGE = (
    _SLATES.where(slates.c.seq > bindparam("after_seq"))
    .order_by(slates.c.seq)
    .limit(bindparam("n_rows", type_=Integer))
)
