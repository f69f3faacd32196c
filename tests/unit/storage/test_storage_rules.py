"""The draft, the versions and the proposals of a shop's query rules."""

import sqlite3
from dataclasses import replace

import pytest

from aisle.errors import NotReadyError
from aisle.storage import SqlRecords, SqlRules
from aisle.storage.rules import ACCEPTED, DraftedRule, ProposedRule, digest_of


@pytest.fixture
def path(tmp_path):
    SqlRecords.open(tmp_path / "shop.db").close()
    return tmp_path / "shop.db"


@pytest.fixture
def rules(path):
    opened = SqlRules.open(path)
    yield opened
    opened.close()


def drafted(rule_id, body="{}", changed_ms=1, by="ann"):
    return DraftedRule(rule_id, body, changed_ms, by)


def test_a_draft_keeps_its_order_and_who_changed_what(rules):
    rules.replace_draft([drafted("b"), drafted("a")])
    rules.replace_draft([drafted("a", changed_ms=2, by="bob"), drafted("b", '{"x":1}', 2, "bob"), drafted("c")])

    assert rules.read_draft() == [drafted("a"), drafted("b", '{"x":1}', 2, "bob"), drafted("c")]


def test_a_draft_that_somebody_else_changed_is_not_overwritten(rules):
    rules.replace_draft([drafted("a")])
    read = digest_of([rule.body for rule in rules.read_draft()])
    rules.replace_draft([drafted("a", '{"x":1}', 2, "bob")], read)

    with pytest.raises(NotReadyError, match="changed by bob"):
        rules.replace_draft([], read)
    assert len(rules.read_draft()) == 1


def test_versions_are_numbered_and_never_change(rules, path):
    assert (rules.newest_version(), rules.read_version(0)) == (0, [])

    first = rules.publish(["1"], 10, "ann", "spring")
    second = rules.publish(["1", "2"], 20, "bob", "")
    with pytest.raises(NotReadyError, match="version 2"):
        rules.publish(["1", "2"], 30, "bob", "")
    third = rules.restore(1, 40, "ann")

    assert [made.version for made in (first, second, third)] == [1, 2, 3]
    assert third.restores == 1
    assert rules.read_versions() == [third, second, first]
    assert [rules.read_version(n) for n in (1, 2, 3)] == [["1"], ["1", "2"], ["1"]]
    other = SqlRules.open(path)
    assert other.newest_version() == 3
    other.close()
    for missing in (4, -1):
        with pytest.raises(KeyError):
            rules.read_version(missing)
        with pytest.raises(KeyError):
            rules.restore(missing, 1, "")


def test_a_proposal_is_decided_once_and_not_made_again(rules):
    weak, strong = (
        ProposedRule(name, "{}", "seen", strength, "proposed", 5) for name, strength in (("w", 1), ("s", 2))
    )

    assert rules.propose([weak, strong]) == 2
    assert [one.proposal_id for one in rules.read_proposals()] == ["s", "w"]
    decided = rules.decide("w", ACCEPTED, 9, "ann")
    assert decided == replace(weak, status=ACCEPTED, decided_ms=9, decided_by="ann")
    assert rules.decide("w", "rejected", 10, "bob") is None
    assert rules.decide("absent", "rejected", 10, "bob") is None

    again = [replace(one, evidence="again", strength=3.0) for one in (weak, strong)]
    assert rules.propose(again) == 0
    assert [(one.proposal_id, one.evidence) for one in rules.read_proposals()] == [("s", "again"), ("w", "seen")]
    assert [one.proposal_id for one in rules.read_proposals("proposed")] == ["s"]


def test_rules_stay_in_a_backup_and_when_a_user_is_erased(rules, path, tmp_path):
    rules.publish(["1"], 10, "ann", "")
    records = SqlRecords.open(path)
    records.erase_user("ann")
    records.close()
    source, copy = sqlite3.connect(path), sqlite3.connect(tmp_path / "copy.db")
    source.backup(copy)
    source.close()
    copy.close()

    restored = SqlRules.open(tmp_path / "copy.db")
    assert restored.read_version(1) == rules.read_version(1) == ["1"]
    restored.close()
