"""The one row that numbers everything: read at the start of a write transaction, written at its end.

Holding it inside the write transaction is what makes sequence numbers ascend in the order of commits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, bindparam, insert, select, update

from aisle.storage.schema import ledger
from aisle.storage.sqlite import Compiled

_LEDGER_ID = 1


@dataclass
class Ledger:
    """How far each numbering has come; see ``schema.ledger``."""

    seq: int = 0
    n_items: int = 0
    n_events: int = 0
    n_suspect: int = 0
    n_user_codes: int = 0
    n_item_codes: int = 0
    indexed_seq: int = 0
    n_erasures: int = 0

    def take(self, n: int) -> range:
        """The next ``n`` sequence numbers, for anything but events: with no tail of events there is none after it."""
        taken = range(self.seq + 1, self.seq + 1 + n)
        if self.indexed_seq == self.seq:
            self.indexed_seq += n
        self.seq += n
        return taken

    @classmethod
    def read(cls, connection: Connection) -> Ledger:
        """The row as the transaction sees it."""
        return cls(*_READ.run(connection).fetchone())

    def write(self, connection: Connection) -> None:
        """Put the numbers back; only inside the write transaction they were read in."""
        _WRITE.run(connection, **vars(self))

    def create(self, connection: Connection) -> None:
        """Write the row for the first time."""
        connection.execute(insert(ledger).values(ledger_id=_LEDGER_ID, **asdict(self)))


_NUMBERS = [field.name for field in fields(Ledger)]
_READ = Compiled(select(*(ledger.c[name] for name in _NUMBERS)).where(ledger.c.ledger_id == _LEDGER_ID))
_WRITE = Compiled(
    update(ledger).where(ledger.c.ledger_id == _LEDGER_ID).values({name: bindparam(name) for name in _NUMBERS})
)
