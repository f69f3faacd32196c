"""Query rules through the whole shop: drafted, tried, published, acting on lists, rolled back."""

import threading
from dataclasses import replace

import pytest

from aisle.domain import Context, Event, EventType, Filters, Item, ItemText
from aisle.errors import DataError, NotReadyError
from aisle.flows.asks import Ask
from aisle.flows.rule_mining import MiningConfig
from aisle.merchandising import parse_rules
from aisle.shop import Shop
from aisle.testing.tiny import NOW_MS


def rule(rule_id, kind, when=None, **action):
    return {"id": rule_id, "action": {"kind": kind, **action}, **({"when": when} if when else {})}


def pin(rule_id, when=None, **position_of):
    items = [{"item_id": name.replace("_", "-"), "position": position} for name, position in position_of.items()]
    return rule(rule_id, "pin", when, items=items)


def publish(shop, *tables):
    shop.rules.put(parse_rules(tables), by="ann")
    return shop.rules.publish(by="ann", note="test")


def test_a_draft_changes_nothing_until_it_is_published(shop):
    before = shop.search("tea")
    shop.rules.add(parse_rules([pin("first", {"contains": "tea"}, umbrella=1)]), by="ann")

    trial = shop.rules.trial("tea")
    assert trial.published.item_ids == before.item_ids
    assert trial.draft.item_ids[0] == "umbrella"
    assert trial.draft.rules == ("first",)
    assert {move.item_id: (move.before, move.after) for move in trial.moves}["umbrella"][1] == 1
    assert shop.search("tea").item_ids == before.item_ids

    made = shop.rules.publish(by="bob", note="tea week")
    after = shop.search("tea")
    assert after.item_ids[0] == "umbrella"
    assert after.rules == ("first",)
    assert (made.version, made.published_by, made.note, made.published_ms) == (1, "bob", "tea week", NOW_MS)
    assert shop.rules.draft().is_published
    with pytest.raises(NotReadyError, match="version 1"):
        shop.rules.publish()
    shop.outbox.drain()
    assert shop.counts()["slates"] == 3, "a trial is shown to nobody"


def test_versions_go_back_and_forth_and_stay(shop):
    plain = shop.search("tea").item_ids
    publish(shop, pin("a", {"contains": "tea"}, umbrella=1))
    publish(shop, pin("a", {"contains": "tea"}, boots=1))

    assert shop.rules.rollback(by="bob").restores == 1
    assert shop.search("tea").item_ids[0] == "umbrella"
    assert shop.rules.rollback().restores == 0
    assert shop.search("tea").item_ids == plain
    assert shop.rules.rollback(2).version == 5
    assert shop.search("tea").item_ids[0] == "boots"
    assert [one.version for one in shop.rules.versions()] == [5, 4, 3, 2, 1]
    assert shop.rules.read(3) == shop.rules.read(1)
    assert shop.rules.read(0) == []
    with pytest.raises(DataError, match="versions go from 1 to 5"):
        shop.rules.rollback(9)
    shop.rules.reset()
    assert shop.rules.draft().is_published


def test_a_pinned_item_stands_in_its_slot_for_certain_and_says_who_put_it_there(shop):
    publish(
        shop, pin("third", {"equals": "kettle"}, umbrella=3, headphones=50), pin("none", {"equals": "kettle"}, camera=1)
    )

    response = shop.search("kettle", size=3)
    slots = response.slate.slots
    stored = shop.read_slate(response.slate.slate_id)

    assert slots[0].item_id == "kettle"
    place = min(2, len(slots) - 1)
    assert (slots[place].item_id, slots[place].propensity, slots[place].placed_by) == ("umbrella", 1.0, "third")
    assert all(slot.placed_by is None for slot in slots if slot.item_id != "umbrella")
    assert "camera" not in response.item_ids, "it is out of stock"
    assert response.rules == ("third",), "what placed nothing did not act"
    assert stored.versions["query-rules"] == "1"
    shop.outbox.drain()
    assert shop.records.read_slate(response.slate.slate_id) == response.slate
    told = shop.explain(response.slate.slate_id)
    assert told.slots[place].reasons[0].code == "placed"
    assert shop.explain(response.slate.slate_id, "zh").slots[place].reasons[0].text == "由商店安排在此"


def test_pins_keep_to_the_filters_and_to_what_may_be_shown(shop):
    publish(shop, pin("a", None, umbrella=1, kettle=2))

    assert "umbrella" not in shop.search("tea", filters=Filters(categories=("Grocery",))).item_ids
    assert "umbrella" not in shop.search("tea", filters=Filters(excluded_item_ids=("umbrella",))).item_ids
    assert shop.search("tea").item_ids[:2] == ("umbrella", "kettle")
    assert shop.search("xqzwv").item_ids == ("umbrella", "kettle"), "pins stand where nothing else is found"
    assert shop.search("boots", size=1).item_ids == ("umbrella",)


def test_an_item_whose_id_is_typed_is_first_unless_another_is_pinned_there(shop):
    publish(shop, pin("a", {"equals": "boots"}, umbrella=1))

    assert shop.search("boots").item_ids[:2] == ("umbrella", "boots")


def test_propensities_of_the_other_slots_stay_exact_beside_a_pin(shop):
    publish(shop, pin("a", None, umbrella=2))
    stages = shop.live.stages
    placements = {
        name: config.model_copy(update={"explore": config.explore.model_copy(update={"share": 0.5, "pool": 3})})
        for name, config in stages.placements.items()
    }
    from aisle.flows.search import search

    n, firsts = 400, {}
    responses = search([Ask(text="tea kettle boots", size=3)] * n, replace(stages, placements=placements))
    for response in responses:
        pinned = response.slate.slots[1]
        assert (pinned.item_id, pinned.propensity) == ("umbrella", 1.0)
        first = response.slate.slots[0]
        firsts.setdefault(first.item_id, []).append(first.propensity)
    for propensities in firsts.values():
        assert len(set(propensities)) == 1
        expected = n * propensities[0]
        assert abs(len(propensities) - expected) < 5 * (expected * (1 - propensities[0])) ** 0.5 + 1


@pytest.mark.parametrize(
    "target",
    [
        {"item_ids": ["black-tea"]},
        {"brands": ["Hillside"]},
        {"categories": ["Grocery"]},
        {"attributes": [{"name": "weight", "value": "200 g"}]},
    ],
)
def test_items_come_up_go_down_and_are_hidden_by_what_they_are(shop, target):
    query = "tea kettle"
    plain = shop.search(query).item_ids
    members = {
        item.item_id
        for item in shop.read_items(plain)
        if item.item_id in target.get("item_ids", ())
        or item.brand in target.get("brands", ())
        or (item.category and item.category[0] in target.get("categories", ()))
        or any(one["value"] in item.attributes.get(one["name"], ()) for one in target.get("attributes", ()))
    }
    assert members, "the test needs some"

    publish(shop, rule("up", "boost", target=target, factor=900.0))
    assert set(shop.search(query).item_ids[: len(members)]) == members
    publish(shop, rule("down", "bury", target=target, factor=900.0))
    assert set(shop.search(query).item_ids[-len(members) :]) == members
    publish(shop, rule("gone", "hide", target=target))
    response = shop.ask_search([Ask(text=query, with_facets=True)])[0]
    assert response.item_ids == tuple(item_id for item_id in plain if item_id not in members)
    assert response.rules == ("gone",)


def test_what_is_hidden_is_hidden_where_facets_look_further_too(shop):
    publish(shop, rule("gone", "hide", target={"brands": ["Hillside"]}))

    facets = shop.ask_search([Ask(text="tea", filters=Filters(brands=("Maple",)), with_facets=True)])[0].facets

    assert "Hillside" not in {facet.value for facet in facets.brands}


def test_what_is_hidden_by_an_attribute_is_not_counted_under_wider_filters(shop):
    asked = Ask(text="tea", filters=Filters(max_price_minor=2_000), with_facets=True)
    [before] = shop.ask_search([asked])
    publish(shop, rule("gone", "hide", target={"attributes": [{"name": "weight", "value": "200 g"}]}))

    [after] = shop.ask_search([asked])

    hidden = set(before.item_ids) - set(after.item_ids)
    assert hidden, "the test needs some"
    counted = [sum(bucket.n_items for bucket in one.facets.prices) for one in (before, after)]
    assert counted[0] - counted[1] >= len(hidden)


def test_a_replaced_query_is_understood_as_what_stands_in_its_place(shop):
    meant = shop.search("black tea").query
    publish(shop, rule("to", "replace", {"equals": "umbrella"}, text="black tea"))

    told = shop.search("umbrella").query

    assert meant.categories, "the test needs some"
    assert (told.categories, told.brands, told.intents) == (meant.categories, meant.brands, meant.intents)
    assert (told.text, told.effective) == ("umbrella", "black tea")


def test_synonyms_stop_words_and_replacements(shop):
    assert "umbrella" not in shop.search("parapluie").item_ids[:1]
    publish(
        shop,
        rule("syn", "synonyms", words=["parapluie", "umbrella"]),
        rule("stop", "stop_words", words=["cheap"]),
        rule("to", "replace", {"equals": "telly"}, text="headphones"),
    )

    found = shop.search("Parapluies")
    assert (found.item_ids[0], found.rules, found.searched) == ("umbrella", ("syn",), None)
    dropped = shop.search("cheap boots")
    assert (dropped.searched, dropped.rules) == ("boots", ("stop",))
    assert dropped.slate.query == "cheap boots"
    assert shop.search("cheap").searched is None
    replaced = shop.search("TELLY")
    assert (replaced.item_ids[0], replaced.searched, replaced.rules) == ("headphones", "headphones", ("to",))


def test_limits_count_where_the_caller_sets_none(shop):
    publish(shop, rule("few", "filter", brands=["Hillside", "Nobody"], max_price_minor=100_000))

    assert {item.brand for item in shop.read_items(shop.search("tea kettle").item_ids)} == {"Hillside"}
    asked = shop.search("tea kettle", filters=Filters(brands=("Maple",)))
    assert {item.brand for item in shop.read_items(asked.item_ids)} == {"Maple"}


def test_redirects_languages_and_other_lists(shop):
    publish(
        shop,
        rule("to", "redirect", {"contains": "return", "language": "en"}, url="/help?topic=returns"),
        pin("home", {"placements": ["popular"]}, umbrella=1),
    )

    assert shop.search("returns", context=Context(language="en")).redirect == "/help?topic=returns"
    assert shop.search("returns", context=Context(language="zh")).redirect is None
    assert shop.recommend("popular").item_ids[0] == "umbrella"
    assert shop.recommend("popular").rules == ("home",)
    assert shop.search("boots").rules == ()


def test_what_is_wrong_with_a_draft_keeps_it_from_being_published(shop):
    drafted = shop.rules.put(parse_rules([pin("a", None, ghost=1), pin("b", None, boots=1)]))

    assert {finding.level for finding in drafted.findings} == {"problem"}
    with pytest.raises(DataError, match="rule 'a'.*and 1 more"):
        shop.rules.publish()
    assert shop.rules.versions() == []
    assert shop.rules.remove(["a"]).findings == ()
    with pytest.raises(DataError, match="no rule 'a'"):
        shop.rules.remove(["a", "b"])
    assert [one.id for one in shop.rules.draft().rules] == ["b"]
    with pytest.raises(DataError, match="there already"):
        shop.rules.put(parse_rules([pin("b", None, boots=1)] * 2))


def test_people_who_work_at_a_draft_at_once_lose_nothing(shop):
    def add(n):
        shop.rules.add(parse_rules([rule(f"r{n}", "stop_words", words=[f"word{n}"])]), by=f"p{n}")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {one.id for one in shop.rules.draft().rules} == {f"r{n}" for n in range(6)}
    read = shop.rules.draft().digest
    shop.rules.remove(["r0"])
    with pytest.raises(NotReadyError, match="read it again"):
        shop.rules.put([], replaces=read)


def test_a_version_of_another_process_counts_once_it_is_looked_for(shop, tiny):
    before = shop.search("tea").item_ids
    with Shop.open(shop.folder.root, clock=tiny.clock) as other:
        publish(other, pin("a", {"contains": "tea"}, umbrella=1))

        assert shop.search("tea").item_ids == before
        shop.refresh()
        assert shop.search("tea").item_ids[0] == "umbrella"
        shop.follow(0.02)
        other.rules.rollback(0)
        for _ in range(500):
            if shop.search("tea").item_ids == before:
                break
            threading.Event().wait(0.02)
        assert shop.search("tea").item_ids == before


def test_rules_that_cannot_be_read_leave_the_list_as_it_is(shop, monkeypatch):
    before = shop.search("tea").item_ids

    def broken():
        raise RuntimeError("no rules")

    stages = replace(shop.live.stages, published_rules=broken)
    from aisle.flows.search import search

    [response] = search([Ask(text="tea")], stages)
    assert response.item_ids == before
    assert response.degraded == ("query-rules",)


def test_clicks_propose_synonyms_that_count_once_they_are_accepted(shop):
    shop.add_items([Item("loveseat", (ItemText("en", "Two-seat loveseat"),), price_minor=100, currency="USD", stock=3)])
    events, time_ms = [], NOW_MS - 86_400_000
    searches = {"brolly": "umbrella", "umbrella": "umbrella", "parasol": "boots", "parapluie": "umbrella"}
    for query, item_id in searches.items():
        for n in range(4 if query == "parapluie" else 8):
            user = f"{query}-{n}"
            events += [
                Event(user, EventType.SEARCH, time_ms, query=query.upper() if n % 2 else query),
                Event(user, EventType.VIEW, time_ms + 5_000, item_id=item_id),
            ]
            time_ms += 60_000
    shop.add_events(events)

    assert shop.rules.mine() == 1
    assert shop.rules.mine() == 0
    [proposal] = shop.rules.proposals()
    assert set(proposal.rule.action.words) == {"brolly", "umbrella"}
    assert "8 people" in proposal.evidence
    assert shop.search("brolly").rules == ()

    shop.rules.decide(proposal.proposal_id, accept=True, by="ann")
    assert shop.rules.proposals() == []
    assert [(one.status, one.decided_by) for one in shop.rules.proposals(None)] == [("accepted", "ann")]
    assert shop.search("brolly").rules == ()
    shop.rules.publish(by="ann")
    assert shop.search("brolly").item_ids[0] == "umbrella"
    assert shop.search("brolly").rules == (proposal.rule.id,)

    assert shop.rules.mine(MiningConfig(least_people=4)) > 0
    for other in shop.rules.proposals():
        shop.rules.decide(other.proposal_id, accept=False)
    assert shop.rules.mine(MiningConfig(least_people=4)) == 0
    with pytest.raises(DataError, match="no open proposal"):
        shop.rules.decide(proposal.proposal_id, accept=False)


def test_a_list_in_another_order_keeps_to_it_whatever_is_pinned_or_boosted(shop):
    publish(
        shop,
        pin("first", {"contains": "tea"}, kettle=1),
        rule("up", "boost", target={"item_ids": ["teapot"]}, factor=900.0),
        rule("gone", "hide", target={"item_ids": ["black-tea"]}),
    )

    response = shop.ask_search([Ask(text="tea", sort="price-up")])[0]

    prices = [item.price_minor or 10**9 for item in shop.read_items(response.item_ids)]  # those without come last
    assert prices == sorted(prices)
    assert "black-tea" not in response.item_ids
    assert response.rules == ("gone",)
    assert shop.search("tea").rules == ("first", "up", "gone")
