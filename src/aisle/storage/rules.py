"""Query rules in a shop's database: the draft that people edit, the versions that were published, and proposals.

Enters and leaves: rules as JSON texts. Knows nothing of what a rule says. A version never changes; the newest counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from aisle.errors import NotReadyError
from aisle.storage.schema import rule_drafts, rule_proposals, rule_versions
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database, insert_rows

PROPOSED, ACCEPTED, REJECTED = "proposed", "accepted", "rejected"


@dataclass(frozen=True, slots=True)
class DraftedRule:
    """One rule of the draft: its id, its JSON, and who changed it last and when."""

    rule_id: str
    body: str
    changed_ms: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class PublishedRules:
    """A version without its rules; ``restores`` is the version whose rules it brought back."""

    version: int
    n_rules: int
    published_ms: int
    published_by: str
    note: str
    restores: int | None = None


@dataclass(frozen=True, slots=True)
class ProposedRule:
    """A rule that somebody is to look at: ``status`` is ``proposed``, ``accepted`` or ``rejected``."""

    proposal_id: str
    body: str
    evidence: str
    strength: float
    status: str
    proposed_ms: int
    decided_ms: int | None = None
    decided_by: str = ""


class SqlRules:
    """The rules of a database that ``SqlRecords.open`` made or upgraded. For several threads and processes."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database. Raises as ``SqlRecords.open`` does."""
        return cls(Database(path, BUSY_TIMEOUT_SECONDS))

    def __init__(self, database: Database) -> None:
        self._database = database

    # The draft.

    def read_draft(self) -> list[DraftedRule]:
        """The rules of the draft, in order."""
        with self._database.reading() as connection:
            return _draft(connection)

    def replace_draft(self, rules: Sequence[DraftedRule], read: str | None = None) -> None:
        """Put ``rules`` in the place of the whole draft; a rule that stays as it is keeps who changed it, and when.

        Raises:
            NotReadyError: ``read`` is given and is not the ``digest_of`` the draft as it is now.
        """
        with self._database.writing() as connection:
            before = _draft(connection)
            if read is not None and digest_of([rule.body for rule in before]) != read:
                newest = max(before, key=lambda rule: rule.changed_ms, default=None)
                by = f" by {newest.changed_by}" if newest and newest.changed_by else ""
                raise NotReadyError(
                    f"the draft was changed{by} since it was read; read it again", command="aisle rules"
                )
            known = {rule.rule_id: rule for rule in before}
            kept = [
                known[rule.rule_id] if rule.rule_id in known and known[rule.rule_id].body == rule.body else rule
                for rule in rules
            ]
            connection.execute(delete(rule_drafts))
            insert_rows(
                connection,
                rule_drafts,
                {
                    "place": range(len(kept)),
                    "rule_id": [rule.rule_id for rule in kept],
                    "body": [rule.body for rule in kept],
                    "changed_ms": [rule.changed_ms for rule in kept],
                    "changed_by": [rule.changed_by for rule in kept],
                },
            )

    # Versions.

    def newest_version(self) -> int:
        """The version that counts; 0 where nothing was published. Costs one small read."""
        with self._database.reading() as connection:
            return _newest(connection)

    def read_versions(self) -> list[PublishedRules]:
        """Every version, newest first."""
        columns = [rule_versions.c[name] for name in PublishedRules.__dataclass_fields__]
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).order_by(rule_versions.c.version.desc())).all()
        return [PublishedRules(*row) for row in rows]

    def read_version(self, version: int) -> list[str]:
        """The rules of a version, in order; of version 0 there are none. Raises ``KeyError`` for one that is not."""
        with self._database.reading() as connection:
            return _bodies(connection, version)

    def publish(self, bodies: Sequence[str], now_ms: int, by: str, note: str) -> PublishedRules:
        """Make ``bodies`` the newest version, unless they are what counts already.

        Raises:
            NotReadyError: they are.
        """
        with self._database.writing() as connection:
            newest = _newest(connection)
            if _bodies(connection, newest) == list(bodies):
                raise NotReadyError(
                    f"nothing to publish: the draft is what counts already (version {newest})",
                    command="aisle rules add",
                )
            return _append(connection, bodies, now_ms, by, note, None)

    def restore(self, version: int, now_ms: int, by: str) -> PublishedRules:
        """Make a new version with the rules of an earlier one. Raises ``KeyError`` for one that is not there."""
        with self._database.writing() as connection:
            return _append(connection, _bodies(connection, version), now_ms, by, "", version)

    # Proposals.

    def propose(self, proposals: Sequence[ProposedRule]) -> int:
        """Keep those that are new; what was decided stays so. Those still open get their evidence renewed."""
        n_new = 0
        with self._database.writing() as connection:
            known = dict(connection.execute(select(rule_proposals.c.proposal_id, rule_proposals.c.status)).all())  # type: ignore[arg-type]
            for one in proposals:
                values = {name: getattr(one, name) for name in ProposedRule.__dataclass_fields__}
                if one.proposal_id not in known:
                    connection.execute(insert(rule_proposals).values(values))
                    known[one.proposal_id] = one.status
                    n_new += 1
                elif known[one.proposal_id] == PROPOSED:
                    same = rule_proposals.c.proposal_id == one.proposal_id
                    renewed = {"evidence": one.evidence, "strength": one.strength}
                    connection.execute(update(rule_proposals).where(same).values(renewed))
        return n_new

    def read_proposals(self, status: str | None = None) -> list[ProposedRule]:
        """Proposals, strongest first; of one status, where it is given."""
        columns = [rule_proposals.c[name] for name in ProposedRule.__dataclass_fields__]
        asked = select(*columns).order_by(rule_proposals.c.strength.desc(), rule_proposals.c.proposal_id)
        if status is not None:
            asked = asked.where(rule_proposals.c.status == status)
        with self._database.reading() as connection:
            return [ProposedRule(*row) for row in connection.execute(asked)]

    def decide(self, proposal_id: str, status: str, now_ms: int, by: str) -> ProposedRule | None:
        """Note what became of a proposal that is open; None when there is no open one of that id."""
        with self._database.writing() as connection:
            mine = (rule_proposals.c.proposal_id == proposal_id) & (rule_proposals.c.status == PROPOSED)
            values = {"status": status, "decided_ms": now_ms, "decided_by": by}
            if not connection.execute(update(rule_proposals).where(mine).values(values)).rowcount:
                return None
            columns = [rule_proposals.c[name] for name in ProposedRule.__dataclass_fields__]
            row = connection.execute(select(*columns).where(rule_proposals.c.proposal_id == proposal_id)).one()
            return ProposedRule(*row)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def digest_of(bodies: Sequence[str]) -> str:
    """Names the content of some rules in their order."""
    return blake2b(orjson.dumps(list(bodies)), digest_size=12).hexdigest()


def _draft(connection: Connection) -> list[DraftedRule]:
    columns = [rule_drafts.c[name] for name in DraftedRule.__dataclass_fields__]
    return [DraftedRule(*row) for row in connection.execute(select(*columns).order_by(rule_drafts.c.place))]


def _newest(connection: Connection) -> int:
    return connection.execute(select(func.max(rule_versions.c.version))).scalar() or 0


def _bodies(connection: Connection, version: int) -> list[str]:
    if version == 0:
        return []
    body = connection.execute(select(rule_versions.c.body).where(rule_versions.c.version == version)).scalar()
    if body is None:
        raise KeyError(version)
    return orjson.loads(zlib.decompress(body))


def _append(
    connection: Connection, bodies: Sequence[str], now_ms: int, by: str, note: str, restores: int | None
) -> PublishedRules:
    made = PublishedRules(_newest(connection) + 1, len(bodies), now_ms, by, note, restores)
    values = {name: getattr(made, name) for name in PublishedRules.__dataclass_fields__}
    connection.execute(insert(rule_versions).values({**values, "body": zlib.compress(orjson.dumps(list(bodies)))}))
    return made
