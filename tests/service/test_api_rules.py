"""Query rules over HTTP: drafted, tried, published, rolled back, and who may do that."""

import pytest

from aisle import wire
from aisle.domain import Event, EventType
from aisle.serving.keys import Keys, add_key
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys
from aisle.testing import tiny_shop
from aisle.testing.tiny import NOW_MS
from tests.service.tiny_server import in_process, problem, wait_until

PIN = {
    "id": "tea-week",
    "when": {"contains": "tea"},
    "action": {"kind": "pin", "items": [{"item_id": "umbrella", "position": 1}]},
}
SYNONYMS = {"id": "brolly", "action": {"kind": "synonyms", "words": ["brolly", "umbrella"]}}


def told(answer, kind):
    assert answer.status_code == 200, answer.text
    return kind.model_validate_json(answer.content)


def test_from_a_draft_to_a_list_and_back(own_http):
    http = own_http
    empty = told(http.get("/v1/rules/draft"), wire.Rules)
    assert (empty.rules, empty.published, empty.is_published) == ((), 0, True)

    drafted = told(http.put("/v1/rules/draft", json={"rules": [PIN, SYNONYMS], "replaces": empty.digest}), wire.Rules)
    assert [rule.id for rule in drafted.rules] == ["tea-week", "brolly"]
    assert problem(http.put("/v1/rules/draft", json={"rules": [], "replaces": empty.digest}), 409)["command"]
    trial = told(http.post("/v1/rules/try", json={"query": "tea", "size": 3}), wire.Trial)
    assert trial.draft.item_ids[0] == "umbrella" != trial.published.item_ids[0]
    assert "rules" not in http.post("/v1/search", json={"query": "tea"}).json()

    made = told(http.post("/v1/rules/publish", json={"note": "week"}), wire.RulesVersion)
    assert (made.version, made.note, made.published_by) == (1, "week", "over HTTP")
    answer = told(http.post("/v1/search", json={"query": "tea", "explain": True}), wire.Answer)
    assert answer.rules == ("tea-week",)
    assert (answer.items[0].item_id, answer.items[0].placed_by, answer.items[0].propensity) == (
        "umbrella",
        "tea-week",
        1.0,
    )
    assert answer.items[0].reasons[0].code == "placed"
    assert http.get(f"/v1/slates/{answer.slate_id}").json()["items"][0]["placed_by"] == "tea-week"
    assert problem(http.post("/v1/rules/publish", json={}), 409)["command"]

    back = told(http.post("/v1/rules/rollback", json={}), wire.RulesVersion)
    assert (back.version, back.restores) == (2, 0)
    assert "rules" not in http.post("/v1/search", json={"query": "tea"}).json()
    assert [one.version for one in told(http.get("/v1/rules/versions"), wire.RulesVersions).versions] == [2, 1]
    assert len(told(http.get("/v1/rules/versions/1"), wire.RulesOfVersion).rules) == 2
    for missing in ("9", "x", "-1", "٣", "9" * 30):
        problem(http.get(f"/v1/rules/versions/{missing}"), 404)
    for missing in (9, 10**30):
        assert problem(http.post("/v1/rules/rollback", json={"version": missing}), 422)["field"] == "version"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({**PIN, "action": {"kind": "redirect", "url": "javascript:alert(1)"}}, "rules[0].action.redirect.url"),
        ({**PIN, "when": {"equals": "a", "contains": "b"}}, "rules[0].when"),
        ({**PIN, "action": {"kind": "nothing"}}, "rules[0].action"),
        ({**PIN, "more": 1}, "rules[0].more"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_field(http, rule, field):
    assert problem(http.put("/v1/rules/draft", json={"rules": [rule]}), 422)["field"] == field


def test_problems_of_a_draft_are_told_and_keep_it_from_being_published(own_http):
    ghost = {**PIN, "action": {"kind": "pin", "items": [{"item_id": "ghost", "position": 1}]}}

    drafted = told(own_http.put("/v1/rules/draft", json={"rules": [ghost]}), wire.Rules)
    assert [(one.level, one.rule) for one in drafted.findings] == [("problem", "tea-week")]
    assert "ghost" in problem(own_http.post("/v1/rules/publish", json={}), 422)["detail"]
    assert problem(own_http.put("/v1/rules/draft", json={"rules": [PIN, PIN]}), 422)["field"] == "id"


def test_a_redirect_is_told_and_the_shop_page_follows_it(own_http):
    to = {
        "id": "to",
        "when": {"equals": "returns"},
        "action": {"kind": "redirect", "url": "https://help.example/returns"},
    }
    own_http.put("/v1/rules/draft", json={"rules": [to]})
    own_http.post("/v1/rules/publish", json={})

    assert own_http.post("/v1/search", json={"query": "Returns"}).json()["redirect"] == "https://help.example/returns"
    page = own_http.get("/search?q=returns", follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, "https://help.example/returns")
    assert own_http.get("/search?q=kettle").status_code == 200


def test_only_admins_and_their_names_are_noted(trained_folder, tmp_path):
    import shutil

    shutil.copy(trained_folder / "shop.db", tmp_path / "keys.db")
    records = SqlKeys.open(tmp_path / "keys.db")
    tokens = {role: add_key(records, f"{role}-key", role, lambda: 0)[0] for role in ("read", "write", "admin")}
    with in_process(trained_folder, tmp_path / "shop", keys=Keys(records)) as client:
        for role, token in tokens.items():
            bearer = {"authorization": f"Bearer {token}"}
            answer = client.put("/v1/rules/draft", json={"rules": [SYNONYMS]}, headers=bearer)
            assert answer.status_code == (200 if role == "admin" else 403)
        assert client.post("/v1/rules/publish", json={}, headers=bearer).json()["published_by"] == "admin-key"


def test_proposals_are_decided_over_http(own_http):
    shop = own_http.app.state.serving.shop
    events, time_ms = [], NOW_MS - 86_400_000
    for query in ("brolly", "umbrella"):
        for n in range(6):
            user, time_ms = f"{query}-{n}", time_ms + 60_000
            events.append(Event(user, EventType.SEARCH, time_ms, query=query))
            events.append(Event(user, EventType.VIEW, time_ms + 5_000, item_id="umbrella"))
    shop.add_events(events)
    shop.rules.mine()

    [proposal] = told(own_http.get("/v1/rules/proposals"), wire.RuleProposals).proposals
    path = f"/v1/rules/proposals/{proposal.proposal_id}"
    assert told(own_http.post(path, json={"accept": True}), wire.RuleProposal).status == "accepted"
    assert own_http.get("/v1/rules/draft").json()["rules"][0]["id"] == proposal.rule.id
    problem(own_http.post(path, json={"accept": False}), 404)
    assert len(own_http.get("/v1/rules/proposals?status=accepted").json()["proposals"]) == 1
    problem(own_http.get("/v1/rules/proposals?status=maybe"), 422)


def test_what_another_process_publishes_counts_within_the_time_that_is_promised(own_http):
    shop = own_http.app.state.serving.shop
    shop.follow()
    before = own_http.post("/v1/search", json={"query": "tea"}).json()["items"][0]["item_id"]
    with Shop.open(shop.folder.root, clock=tiny_shop().clock) as other:
        other.rules.put([wire.QueryRule.model_validate(PIN, strict=False)])
        other.rules.publish()

    wait_until(lambda: "rules" in own_http.post("/v1/search", json={"query": "tea"}).json(), 20)
    assert own_http.post("/v1/search", json={"query": "tea"}).json()["items"][0]["item_id"] == "umbrella" != before


def test_ten_thousand_rules_go_in_and_a_body_that_is_too_large_does_not(own_http):
    many = [{"id": f"s{n}", "action": {"kind": "synonyms", "words": [f"word{n}", f"thing{n}"]}} for n in range(10_000)]

    drafted = told(own_http.put("/v1/rules/draft", json={"rules": many}), wire.Rules)
    assert len(drafted.rules) == 10_000
    assert told(own_http.post("/v1/rules/publish", json={}), wire.RulesVersion).n_rules == 10_000
    assert own_http.post("/v1/search", json={"query": "word77 umbrella"}).json()["rules"] == ["s77"]
    long = {"rules": [{**SYNONYMS, "note": "x" * 1_001}]}
    problem(own_http.put("/v1/rules/draft", json=long), 422)
