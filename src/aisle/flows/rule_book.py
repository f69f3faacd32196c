"""The shop's query rules: a draft that people edit, try and publish, numbered versions, and proposals to decide on.

Enters: rules. Leaves: the ``CompiledRules`` that questions are answered with, in this process and, within the time that
it follows the others, in every other. What a rule may say stands in ``wire.rules``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from aisle.contracts import Clock, RecordStore
from aisle.domain import Context, Filters
from aisle.errors import CorruptError, DataError, NotReadyError
from aisle.flows.asks import Ask
from aisle.flows.rule_mining import MiningConfig, mine_synonyms
from aisle.flows.rule_trials import try_rules
from aisle.flows.stages import Stages
from aisle.merchandising import NO_RULES, CompiledRules, check_rules
from aisle.merchandising.checking import Known
from aisle.storage.rules import ACCEPTED, REJECTED, DraftedRule, ProposedRule, PublishedRules, SqlRules, digest_of
from aisle.wire.rules import MOST_RULES, QueryRule, RuleProposal, Rules, RulesVersion, Trial

Status = Literal["proposed", "accepted", "rejected"]
_TRIES = 20
_LONGEST_NAME = 200

log = logging.getLogger("aisle.rules")


class RuleBook:
    """The rules of one shop. Safe to use from several threads and processes.

    ``by`` says who: a name, an id of a key. Every method that changes the draft answers with it and what is to be said
    of it.
    """

    def __init__(
        self,
        database: Path,
        records: RecordStore,
        clock: Clock,
        know: Callable[[], Known],
        stages: Callable[[], Stages],
    ) -> None:
        """Opens nothing yet; ``know`` says what rules may name, ``stages`` answers trials."""
        self._stored = SqlRules.open(database)
        self._records = records
        self._clock = clock
        self._know = know
        self._stages = stages
        self._published: CompiledRules | None = None
        self._lock = threading.Lock()

    # What counts.

    def published(self) -> CompiledRules:
        """The rules that count, read by the first call."""
        known = self._published
        return self.renew() if known is None else known

    def renew(self) -> CompiledRules:
        """Read the newest version, unless it is known; costs one small read."""
        with self._lock:
            version = self._stored.newest_version()
            if self._published is None or self._published.version != version:
                rules = _parsed(self._stored.read_version(version))
                self._published = CompiledRules(rules, version) if version else NO_RULES
                log.debug("query rules: version %d counts now (%d rules)", version, len(rules))
            return self._published

    # The draft.

    def draft(self) -> Rules:
        """The draft, and what is wrong with it."""
        return self._told([rule.body for rule in self._stored.read_draft()])

    def put(self, rules: Iterable[QueryRule], *, by: str = "", replaces: str | None = None) -> Rules:
        """Put ``rules`` in the place of the draft.

        Raises:
            DataError: an id is given twice, or there are more than ``MOST_RULES``.
            NotReadyError: ``replaces`` is not the digest of the draft any more: somebody changed it meanwhile.
        """
        wanted = list(rules)
        _require_ids(wanted)
        self._stored.replace_draft([self._drafted(rule, by) for rule in wanted], replaces)
        return self.draft()

    def add(self, rules: Iterable[QueryRule], *, by: str = "") -> Rules:
        """Put rules behind the others of the draft; one whose id is there takes that one's place. Raises as ``put``."""
        wanted = list(rules)
        _require_ids(wanted)
        new = {rule.id: self._drafted(rule, by) for rule in wanted}

        def with_new(before: Sequence[DraftedRule]) -> list[DraftedRule]:
            known = {rule.rule_id for rule in before}
            kept = [new.get(rule.rule_id, rule) for rule in before]
            return [*kept, *(rule for rule_id, rule in new.items() if rule_id not in known)]

        return self._edited(with_new)

    def remove(self, rule_ids: Iterable[str]) -> Rules:
        """Take rules out of the draft. Raises ``DataError`` for an id that is not there; nothing is removed then."""
        gone = set(rule_ids)

        def without(before: Sequence[DraftedRule]) -> list[DraftedRule]:
            unknown = gone - {rule.rule_id for rule in before}
            if unknown:
                raise DataError(f"the draft has no rule {min(unknown)!r}; `aisle rules list` shows them", field="id")
            return [rule for rule in before if rule.rule_id not in gone]

        return self._edited(without)

    def reset(self, *, by: str = "") -> Rules:
        """Make the draft what is published."""
        rules = _parsed(self._stored.read_version(self._stored.newest_version()))
        return self.put(rules, by=by)

    def trial(
        self, query: str, *, language: str | None = None, size: int | None = None, categories: Sequence[str] = ()
    ) -> Trial:
        """The list of a query as it is and with the draft. Raises ``DataError`` for a question that is wrong."""
        ask = Ask(
            text=query, size=size, context=Context(language=language), filters=Filters(categories=tuple(categories))
        )
        draft = CompiledRules(_parsed([rule.body for rule in self._stored.read_draft()]))
        return try_rules(ask, self._stages(), self.renew(), draft)

    # Versions.

    def publish(self, *, by: str = "", note: str = "") -> RulesVersion:
        """Let the draft count, as the next version.

        Raises:
            DataError: something is wrong with the draft; names the first rule, and how many there are.
            NotReadyError: the draft is what counts already.
        """
        bodies = [rule.body for rule in self._stored.read_draft()]
        problems = [one for one in self._told(bodies).findings if one.level == "problem"]
        if problems:
            more = f" (and {len(problems) - 1} more; `aisle rules list` shows them)" if len(problems) > 1 else ""
            first = problems[0]
            raise DataError(f"the draft is not published: rule {first.rule!r}: {first.what}{more}", field="rules")
        made = self._stored.publish(bodies, self._clock(), _named(by), note)
        self.renew()
        return _version(made)

    def versions(self) -> list[RulesVersion]:
        """Every version, newest first; the first counts."""
        return [_version(one) for one in self._stored.read_versions()]

    def read(self, version: int) -> list[QueryRule]:
        """The rules of a version; of version 0 there are none. Raises ``DataError`` for one that is not there."""
        self._require(version)
        return _parsed(self._stored.read_version(version))

    def rollback(self, version: int | None = None, *, by: str = "") -> RulesVersion:
        """Let an earlier version count again, as the next one; None is the one before the current. The draft stays.

        Raises:
            DataError: there is no such version.
            NotReadyError: nothing was published yet.
        """
        if version is None:
            newest = next(iter(self._stored.read_versions()), None)
            if newest is None:
                raise NotReadyError("no rules were published yet", command="aisle rules publish")
            version = max((newest.restores if newest.restores is not None else newest.version) - 1, 0)
        self._require(version)
        made = self._stored.restore(version, self._clock(), _named(by))
        self.renew()
        return _version(made)

    # Proposals.

    def mine(self, config: MiningConfig | None = None) -> int:
        """Propose synonyms that clicks speak for; how many are new. Seconds a million events."""
        now_ms = self._clock()
        mined = mine_synonyms(self._records.snapshot(), self._records, config or MiningConfig())
        return self._stored.propose(
            [
                ProposedRule(one.proposal_id, _body(one.rule), one.evidence, one.strength, "proposed", now_ms)
                for one in mined
            ]
        )

    def proposals(self, status: Status | None = "proposed") -> list[RuleProposal]:
        """Proposals, strongest first; None: of any status."""
        if status is not None and status not in get_args(Status):
            raise DataError(f"status is {status!r}; allowed are {', '.join(get_args(Status))}", field="status")
        return [_proposal(one) for one in self._stored.read_proposals(status)]

    def decide(self, proposal_id: str, *, accept: bool, by: str = "") -> RuleProposal:
        """Accept a proposal, which puts its rule into the draft, or reject it, so that it is not made again.

        Raises:
            DataError: there is no open proposal of that id.
        """
        open_ones = {one.proposal_id: one for one in self._stored.read_proposals("proposed")}
        if accept and proposal_id in open_ones:  # before it is noted: should this end here, it is simply still open
            self.add(_parsed([open_ones[proposal_id].body]), by=by)
        status = ACCEPTED if accept else REJECTED
        decided = self._stored.decide(proposal_id, status, self._clock(), _named(by))
        if decided is None:
            raise DataError(f"there is no open proposal {proposal_id[:100]!r}", field="proposal_id")
        return _proposal(decided)

    def close(self) -> None:
        """Let go of the file."""
        self._stored.close()

    def _told(self, bodies: Sequence[str]) -> Rules:
        rules = _parsed(bodies)
        version = self._stored.newest_version()
        return Rules(
            rules=tuple(rules),
            digest=digest_of(bodies),
            findings=tuple(check_rules(rules, self._know())) if rules else (),
            published=version,
            is_published=self._stored.read_version(version) == list(bodies),
        )

    def _edited(self, edit: Callable[[Sequence[DraftedRule]], list[DraftedRule]]) -> Rules:
        """Change the draft as it is; again, where somebody else changed it meanwhile."""
        for last in range(_TRIES - 1, -1, -1):
            before = self._stored.read_draft()
            after = edit(before)
            if len(after) > MOST_RULES:
                raise DataError(f"the draft would have {len(after):,} rules; at most {MOST_RULES:,} are kept")
            try:
                self._stored.replace_draft(after, digest_of([rule.body for rule in before]))
                break
            except NotReadyError:
                if not last:
                    raise
        return self.draft()

    def _drafted(self, rule: QueryRule, by: str) -> DraftedRule:
        return DraftedRule(rule.id, _body(rule), self._clock(), _named(by))

    def _require(self, version: int) -> None:
        """Raises ``DataError`` for a version that is not there; 0 stands for no rules."""
        newest = self._stored.newest_version()
        if not 0 <= version <= newest:
            known = f"versions go from 1 to {newest}" if newest else "nothing was published yet"
            raise DataError(f"there is no version {version} of the rules; {known}", field="version")


def _require_ids(rules: Sequence[QueryRule]) -> None:
    if len(rules) > MOST_RULES:
        raise DataError(f"there are {len(rules):,} rules; at most {MOST_RULES:,} are kept")
    seen: set[str] = set()
    for row, rule in enumerate(rules, 1):
        if rule.id in seen:
            raise DataError(f"rule {row} has the id {rule.id!r}, which is there already", row=row, field="id")
        seen.add(rule.id)


def _named(by: str) -> str:
    return by[:_LONGEST_NAME]


def _body(rule: QueryRule) -> str:
    return rule.model_dump_json(exclude_defaults=True)


def _parsed(bodies: Sequence[str]) -> list[QueryRule]:
    try:
        return [QueryRule.model_validate_json(body) for body in bodies]
    except ValidationError as error:
        raise CorruptError(
            "a stored query rule cannot be read; publish a version whose rules can, or restore the shop from a backup"
        ) from error


def _version(made: PublishedRules) -> RulesVersion:
    return RulesVersion(**{name: getattr(made, name) for name in RulesVersion.model_fields})


def _proposal(one: ProposedRule) -> RuleProposal:
    return RuleProposal.model_validate(
        {
            "proposal_id": one.proposal_id,
            "rule": _parsed([one.body])[0],
            "evidence": one.evidence,
            "status": one.status,
            "proposed_ms": one.proposed_ms,
            "decided_ms": one.decided_ms,
            "decided_by": one.decided_by,
        }
    )
