"""Rules in files: what is written is read, and what is wrong is said where."""

import pytest

from aisle.errors import ConfigError, DataError, UnavailableError
from aisle.merchandising import parse_rules, read_rules, write_rules

EVERY_KIND = (
    {"id": "two", "action": {"kind": "synonyms", "words": ["sofa", "couch"]}, "note": 'said "so", twice\n'},
    {"id": "one", "action": {"kind": "one_way", "word": "tv", "finds": ["television", "flat screen"]}},
    {"id": "stop", "action": {"kind": "stop_words", "words": ["cheap", "的"]}, "when": {"language": "zh"}},
    {"id": "whole", "when": {"equals": "telly"}, "action": {"kind": "replace", "text": "television"}},
    {"id": "part", "when": {"contains": "tel"}, "action": {"kind": "replace", "text": "phone", "part": "match"}},
    {"id": "pin", "when": {"from": "2026-05-01", "until": "2026-06-01T08:00:00.250Z"},
     "action": {"kind": "pin", "items": [{"item_id": "a@b", "position": 2}, {"item_id": "c", "position": 1}]}},
    {"id": "up", "when": {"placements": ["search", "browse"]},
     "action": {"kind": "boost", "factor": 2.5, "target": {"brands": ["A & B"], "item_ids": ["k1"]}}},
    {"id": "down", "action": {"kind": "bury", "factor": 3.0, "target": {"attributes": [{"name": "c", "value": "="}]}}},
    {"id": "gone", "when": {"category": "A > B"}, "action": {"kind": "hide", "target": {"categories": ["A > B > C"]}}},
    {"id": "to", "when": {"item_kind": "article"}, "action": {"kind": "redirect", "url": "https://shop.example/s?q=a"}},
    {"id": "few", "action": {"kind": "filter", "brands": ["M"], "max_price_minor": 3000, "min_price_minor": 5}},
)  # fmt: skip


@pytest.mark.parametrize("form", ["toml", "json", "csv"])
def test_every_rule_is_read_as_it_was_written(form, tmp_path):
    rules = tuple(rule.model_copy(update={"note": rule.note.strip()}) for rule in parse_rules(EVERY_KIND))
    path = tmp_path / f"rules.{form}"
    path.write_text(write_rules(rules, form), encoding="utf-8")

    assert read_rules(path) == rules


def test_what_csv_cannot_say_is_refused():
    rules = parse_rules([{"id": "pipe", "action": {"kind": "synonyms", "words": ["a|b", "c"]}}])

    with pytest.raises(DataError, match="write TOML or JSON"):
        write_rules(rules, "csv")
    assert "a|b" in write_rules(rules, "toml")


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "//evil.example", "data:text/html,x", "sale", "http:///x", "/a b",
     "\\\\evil", "/\\evil.example", "https://a.example/\"><script>", "\tjavascript:alert(1)", "https://[x", "/a\n"],
)  # fmt: skip
def test_an_address_that_could_lead_astray_is_refused(url):
    with pytest.raises(DataError) as refused:
        parse_rules([{"id": "r", "action": {"kind": "redirect", "url": url}}])

    assert "url" in (refused.value.field or "")


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ({"action": {"kind": "hide", "target": {"brands": ["x"]}}}, "id"),
        ({"id": "a b", "action": {"kind": "hide", "target": {"brands": ["x"]}}}, "id"),
        ({"id": "a", "action": {"kind": "hide", "target": {}}}, "action.hide.target"),
        ({"id": "a", "action": {"kind": "synonyms", "words": ["one"]}}, "action.synonyms.words"),
        ({"id": "a", "action": {"kind": "synonyms", "words": ["one", ""]}}, "action.synonyms.words.1"),
        ({"id": "a", "action": {"kind": "boost", "factor": 0.5, "target": {"brands": ["x"]}}}, "action.boost.factor"),
        ({"id": "a", "action": {"kind": "boost", "factor": float("nan"), "target": {"brands": ["x"]}}}, "factor"),
        ({"id": "a", "action": {"kind": "pinn"}}, "action"),
        ({"id": "a", "when": {"equal": "x"}, "action": {"kind": "redirect", "url": "/"}}, "when.equal"),
        ({"id": "a", "when": {"equals": "x", "contains": "y"}, "action": {"kind": "redirect", "url": "/"}}, "when"),
        ({"id": "a", "when": {"from": "soon"}, "action": {"kind": "redirect", "url": "/"}}, ""),
        ({"id": "a", "action": {"kind": "pin", "items": [{"item_id": "x", "position": 1}] * 2}}, "action.pin"),
        ("a", ""),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(table, field):
    good = {"id": "good", "action": {"kind": "redirect", "url": "/"}}

    with pytest.raises(DataError, match="rule 2") as refused:
        parse_rules([good, table])

    assert refused.value.row == 2
    assert field in (refused.value.field or "")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("r.txt", "", ConfigError),
        ("r.toml", "[[rules]\n", DataError),
        ("r.toml", "other = 1\n", DataError),
        ("r.json", '{"rules": "all"}', DataError),
        ("r.json", "[" * 100_000, DataError),
        ("r.csv", "id,what\n1,2\n", DataError),
        ("r.csv", "id,action,value\na,pin,k1\n", DataError),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, name, text, kind):
    (tmp_path / name).write_text(text)

    with pytest.raises(kind):
        read_rules(tmp_path / name)
    with pytest.raises((UnavailableError, ConfigError)):
        read_rules(tmp_path / f"absent-{name}")
