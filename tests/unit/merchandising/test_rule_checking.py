"""What is said of rules before they are published."""

import pytest

from aisle.merchandising import check_rules, parse_rules
from aisle.merchandising.checking import Known
from aisle.merchandising.compiled import MOST_ACTING
from aisle.testing import tiny_shop

TINY = tiny_shop()
KNOWN = Known(TINY.catalogue, ("search", "browse"), TINY.clock())


def found(*tables):
    return [(one.level, one.rule, one.what) for one in check_rules(parse_rules(tables), KNOWN)]


def pin(rule_id, item_id="kettle", position=1, **when):
    action = {"kind": "pin", "items": [{"item_id": item_id, "position": position}]}
    return {"id": rule_id, "when": when, "action": action}


def redirect(rule_id, url, **when):
    return {"id": rule_id, "when": when, "action": {"kind": "redirect", "url": url}}


def test_good_rules_have_no_findings():
    assert (
        found(
            pin("a", equals="tea"),
            pin("b", "boots", 2, equals="tea"),
            redirect("c", "/search?q=shoes", equals="boot"),
            {"id": "d", "action": {"kind": "synonyms", "words": ["sofa", "couch"]}},
        )
        == []
    )


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ([pin("a", equals="tea"), pin("a", "boots", 2, equals="tea")], "2 rules have the id"),
        ([pin("a", "ghost")], "no item 'ghost'"),
        ([pin("a", equals="?!")], "holds no word"),
        ([pin("a", contains="a " * 40)], "at most 30"),
        ([pin("a", placements=["serch"])], "Did you mean 'search'"),
        ([pin("a", equals="tea"), pin("b", "boots", equals="TEAS")], "pins position 1"),
        ([pin("a"), pin("b", "boots")], "pins position 1 for any query"),
        ([pin("a", contains="tea"), pin("b", "kettle", 2, contains="tea")], "pins item 'kettle'"),
        ([redirect("a", "/x", equals="tea"), redirect("b", "/y", equals="tea")], "redirects"),
        ([redirect("a", "/search?q=Tea+", equals="tea")], "redirected back"),
        ([redirect("a", "/search?q=b1", equals="a1"), redirect("b", "/search?q=a1", equals="b1")], "redirected back"),
        ([{"id": "a", "action": {"kind": "synonyms", "words": ["sofa", "Sofas"]}}], "two different ones"),
        ([{"id": "a", "action": {"kind": "synonyms", "words": ["sofa", "..."]}}], "holds no word"),
        ([{"id": "a", "action": {"kind": "one_way", "word": "-", "finds": ["tv"]}}], "holds no word"),
        ([{"id": "a", "action": {"kind": "stop_words", "words": [" "]}}], "holds no word"),
        ([{"id": "a", "action": {"kind": "replace", "text": "tea"}}], "every query"),
        ([pin("a"), {"id": "b", "action": {"kind": "hide", "target": {"item_ids": ["kettle"]}}}], "'b' hides"),
        ([{"id": "b", "action": {"kind": "hide", "target": {"item_ids": ["ghost"]}}}], "no item 'ghost'"),
        ([pin(f"p{n}", position=n + 1, equals="tea") for n in range(MOST_ACTING + 1)], "at most 100 act"),
    ],
)
def test_contradictions_and_unknown_names_are_problems(tables, says):
    problems = [what for level, _, what in found(*tables) if level == "problem"]

    assert any(says in what for what in problems), problems


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ([pin("a", equals="green tea"), pin("b", "boots", contains="tea")], "which goes first"),
        ([pin("a", category="Nowhere")], "it never acts"),
        ([pin("a", until="2026-01-01")], "its time is over"),
        ([{"id": "a", "action": {"kind": "boost", "factor": 2.0, "target": {"brands": ["Mapel"]}}}], "brand 'Mapel'"),
        ([{"id": "a", "action": {"kind": "filter", "categories": ["Nowhere"]}}], "category 'Nowhere'"),
        ([{"id": "a", "when": {"equals": "tea"}, "action": {"kind": "replace", "text": "TEA"}}], "same words"),
        ([{"id": "a", "action": {"kind": "synonyms", "words": ["sofa", "Sofas", "couch"]}}], "one is enough"),
        (
            [
                {"id": "a", "action": {"kind": "synonyms", "words": ["cheap", "low cost"]}},
                {"id": "b", "action": {"kind": "stop_words", "words": ["cheap"]}},
            ],
            "stop word by rule 'b'",
        ),
    ],
)
def test_what_only_changes_nothing_is_advice(tables, says):
    told = found(*tables)

    assert [level for level, *_ in told] == ["advice"], told
    assert says in told[0][2]


def test_rules_that_never_meet_do_not_contradict():
    assert (
        found(
            pin("a", equals="tea", language="en"),
            pin("b", "boots", equals="tea", language="zh"),
            pin("c", "boots", equals="jug", until="2027-01-01"),
            pin("d", equals="jug", **{"from": "2027-01-01"}),
            pin("e", equals="cup", placements=["search"]),
            pin("f", "boots", equals="cup", placements=["browse"]),
        )
        == []
    )
