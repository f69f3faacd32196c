"""The search report of a real shop: figures known by hand, versions side by side, privacy, the page, the command."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from aisle.cli import app
from aisle.domain import Event, EventType
from aisle.errors import ConfigError, DataError, NotReadyError
from aisle.evaluation.search_report_page import search_page
from aisle.evaluation.search_report_words import WORDS
from aisle.flows.query_classes import kind_of
from aisle.flows.search_changes import read_changes
from aisle.flows.search_judged import read_judgments
from aisle.flows.search_log import read_log
from aisle.flows.search_report import SearchReportPlan
from aisle.merchandising import parse_rules
from aisle.testing.tiny import NOW_MS

MINUTE = 60_000
DAY = 86_400_000


def silent(task, done, total=None):
    del task, done, total


def searched(user, query, minutes_ago, **more):
    return Event(user, EventType.SEARCH, NOW_MS - minutes_ago * MINUTE, query=query, **more)


def clicked(user, item, minutes_ago, kind=EventType.CLICK, **more):
    return Event(user, kind, NOW_MS - minutes_ago * MINUTE, item, **more)


def log_of(shop, days=30):
    shop.outbox.drain()
    return read_log(shop.records, shop.records.snapshot(), NOW_MS - days * DAY, NOW_MS, silent)


def row(shop, key):
    return log_of(shop).searches.filter(log_of(shop).searches["key"] == key).row(0, named=True)


def test_what_came_of_a_list_is_laid_to_its_search(shop):
    answer = shop.search("kettle", user_id="ann")
    slate_id, place = answer.slate.slate_id, answer.item_ids.index("kettle")
    shop.add_events(
        [
            searched("ann", "Kettle", 0, slate_id=slate_id),
            clicked("ann", "kettle", 0, slate_id=slate_id, slot=place),
            clicked("ann", "kettle", -5, EventType.PURCHASE),
        ]
    )
    found = row(shop, "kettle")

    assert log_of(shop).searches.filter(log_of(shop).searches["key"] == "kettle").height == 1, "told twice, asked once"
    assert (found["n_clicks"], found["first_rank"], found["n_purchases"]) == (1, place + 1, 1)
    assert (found["is_nothing"], found["who"]) == (False, "ann")


def test_without_lists_what_follows_soon_belongs_to_the_search(shop):
    shop.add_events(
        [
            searched("eve", "warm socks", 100),
            clicked("eve", "socks", 95),
            clicked("eve", "boots", 94, slate_id="some-other-list", placement="home"),
            clicked("eve", "umbrella", 20),
        ]
    )
    found = row(shop, "warm socks")

    assert found["n_clicks"] == 1, "not the other list's, nor an hour later's"
    assert found["is_nothing"] is None, "what was shown is not known"


def test_nothing_found_is_counted_whether_or_not_it_was_relaxed(shop):
    answer = shop.search("zzqxv", user_id="ann")
    report = shop_report(shop)
    by_class = {group.group: group for group in report.log.groups["query_class"]}

    assert answer.relaxed is not None or not answer.item_ids
    assert by_class["nonsense"].values["nothing"].value == 1.0
    assert [one.text for one in report.log.zero_results] == ["zzqxv"]


def shop_report(shop, **plan):
    compare = plan.pop("compare", ())
    shop.outbox.drain()
    return shop.search_report(SearchReportPlan(**plan), compare=compare)


def test_rewordings_that_were_clicked_propose_a_rule(shop):
    people = [f"p{n}" for n in range(4)]
    events = []
    for n, person in enumerate(people):
        events += [
            searched(person, "red teapot", 60 + n),
            searched(person, "red kettle", 58 + n),
            clicked(person, "kettle", 57 + n),
        ]
    shop.add_events(events)
    report = shop_report(shop)
    (one,) = report.log.reworded

    assert (one.text, one.became, one.n_became, one.n_people) == ("red teapot", "red kettle", 4, 4)
    assert one.advice.words == "kettle = teapot"
    shop.rules.add(parse_rules([one.advice.rule]))
    assert [rule.id for rule in shop.rules.draft().rules] == [one.advice.rule["id"]]


def test_the_erased_are_gone_and_rare_queries_can_be_hidden(shop):
    shop.search("secretzzq zzqxv", user_id="ann")
    shop.add_events([searched("ann", "another secret", 3), searched("bob", "kettle", 3)])
    hidden = shop_report(shop, least_people=2)
    assert hidden.log.n_hidden >= 2
    assert "secret" not in hidden.as_json()
    assert "secret" in shop_report(shop).as_json()

    shop.outbox.drain()
    shop.records.erase_user("ann")

    assert "secret" not in shop_report(shop).as_json()


def test_a_report_writes_nothing_down(shop, tmp_path):
    path = judged_file(tmp_path, "kettle,kettle,3", "boots,boots,3")
    shop.outbox.drain()
    before = shop.counts()
    shop_report(shop, judgments=read_judgments(path))
    shop.outbox.drain()

    assert shop.counts() == before


def judged_file(tmp_path, *lines, header="query,item,grade"):
    path = tmp_path / "judged.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_judged_queries_stand_beside_their_ideal_lists(shop, tmp_path):
    path = judged_file(tmp_path, "kettle,kettle,3", "zzqxv,camera,2", "boots,boots,3", "boots,no-such-item,1")
    judged = shop_report(shop, judgments=read_judgments(path)).judged

    assert (judged.n_queries, judged.n_unknown_items) == (3, 1)
    assert judged.overall.values["ndcg@10"].value == pytest.approx(2 / 3)
    assert judged.overall.values["recall@100"].value == pytest.approx(2 / 3)
    (worst,) = judged.worst
    assert (worst.text, [item.item_id for item in worst.right]) == ("zzqxv", ["camera"])
    assert worst.right[0].grade == 2.0
    assert {group.group: group.n_queries for group in judged.groups["query_class"]}["nonsense"] == 1


@pytest.mark.parametrize(
    ("lines", "header", "said"),
    [
        (["kettle,kettle,3", "kettle,socks,good"], "query,item,grade", "row 2, column grade: is good"),
        (["kettle,kettle,-1"], "query,item,grade", "row 1, column grade: is -1"),
        (["kettle,,1"], "query,item,grade", "row 1, column item: is empty"),
        (["kettle,kettle,"], "query,item,grade", "row 1, column grade: is empty"),
        (["a,b,1", "a,b,2"], "query,item,grade", "row 2, column item: b is judged twice for the query a"),
        (["a,b,1"], "query,item_id,grade", "no column 'item'"),
        ([], "query,item,grade", "no rows"),
    ],
)
def test_judgments_that_are_wrong_are_refused_with_row_and_column(tmp_path, lines, header, said):
    with pytest.raises(DataError, match=re.escape(said)):
        read_judgments(judged_file(tmp_path, *lines, header=header))


def test_judgments_of_another_shop_are_refused(shop, tmp_path):
    judgments = read_judgments(judged_file(tmp_path, "kettle,nothing-here,3"))
    with pytest.raises(DataError, match="none of the 1 judged items"):
        shop_report(shop, judgments=judgments)


def test_a_version_is_held_beside_the_one_in_service_and_not_promoted(shop, tmp_path):
    judgments = read_judgments(judged_file(tmp_path, "kettle,kettle,3", "boots,boots,3"))
    before = shop.versions_of["lexical"].promoted("lexical")
    shop.train(["lexical"])
    newest = shop.versions_of["lexical"].promoted("lexical")
    change = shop_report(shop, judgments=judgments, compare=["lexical"]).change

    assert (change.before, change.after) == (before, newest)
    assert (change.n_queries, change.n_unchanged) == (2, 2)
    assert change.values["rbo"].value == 1.0
    assert change.values["ndcg@10_change"].value == 0.0
    assert change.moved == ()
    assert shop.versions_of["lexical"].promoted("lexical") == newest
    assert shop.live.stages.lineup.versions["lexical"] == newest


def test_what_another_version_moves_is_shown(shop, tmp_path):
    """Held beside a lineup without any source, every list that finds something has moved."""
    judgments = read_judgments(judged_file(tmp_path, "waterproof boots,boots,3", "zzqxv,socks,1"))
    change = shop._live.change(["encoder=configured"], shop.versions_of)
    assert change.after is shop.live.stages
    assert change.before.lineup is not shop.live.stages.lineup
    lineup = change.before.lineup
    for name in list(lineup.sources):
        lineup.withdraw(name, "as if there had been nothing then")
    found = read_changes(change, shop.live.stages, judgments, {}, lambda text: kind(shop, text), 5, 0, silent)

    first = found.moved[0]
    assert first.left != first.right
    assert first.values["rbo"] < 1.0
    assert found.values["ndcg@10_change"].value > 0.0


def kind(shop, text):
    stages = shop.live.stages
    return kind_of(text, stages.lineup.in_service, stages.catalogue)


def test_the_configured_encoder_changes_nothing_where_it_serves(shop, tmp_path):
    judgments = read_judgments(judged_file(tmp_path, "kettle,kettle,3"))
    change = shop.search_report(SearchReportPlan(judgments=judgments), compare=["encoder=configured"]).change

    assert change.values["overlap@10"].value == 1.0


def test_a_version_that_is_not_there_is_named(shop):
    with pytest.raises(ConfigError, match="lexikal"):
        shop.search_report(compare=["lexikal=1"])
    with pytest.raises(NotReadyError, match="'999999'"):
        shop.search_report(compare=["lexical=999999"])
    with pytest.raises(ConfigError, match="one or two versions"):
        shop.search_report(compare=["lexical=000001", "ranker=000001"])


@pytest.mark.parametrize(
    ("text", "query_class", "language"),
    [
        ("kettle", "category", "english"),
        ("green-tea", "code", "english"),
        ("AB-12345", "code", "english"),
        ("where is my order", "service", "english"),
        ("boots under 50", "price", "english"),
        ("zzqxv", "nonsense", "english"),
        ("龙井", None, "chinese"),
        ("龙井 tea", None, "mixed"),
        ("warm dry boots for long walks in the rain", "long", "english"),
    ],
)
def test_kinds_of_queries(shop, text, query_class, language):
    stages = shop.live.stages
    kind = kind_of(text, stages.lineup.in_service, stages.catalogue)

    assert kind.language == language
    if query_class == "category":
        assert kind.query_class in ("category", "product", "attribute", "code")
    elif query_class:
        assert kind.query_class == query_class


def test_the_page_is_one_file_in_both_languages_and_escapes(shop):
    assert set(WORDS["en"]) == set(WORDS["zh"])
    shop.search("<script>alert(1)</script> zzqxv", user_id="ann")
    report = shop_report(shop)
    for language, title in (("en", "Search report"), ("zh", "搜索质量报告")):
        html = search_page(report, language)
        assert title in html
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_the_command(trained_folder, tmp_path):
    folder, page = tmp_path / "shop", tmp_path / "report.html"
    shutil.copytree(trained_folder, folder)
    runner = CliRunner()
    told = runner.invoke(app, ["search-report", str(folder), "--days", "3650", "--json", "--page", str(page)])
    assert told.exit_code == 0, told.output + told.stderr
    found = json.loads(told.stdout)
    assert found["judged"] is None
    assert "Search report" in page.read_text("utf-8")
    shown = runner.invoke(app, ["search-report", str(folder), "--days", "3650", "--language", "zh"])
    assert "搜索质量报告" in shown.stdout
    refused = runner.invoke(app, ["search-report", str(folder), "--page", str(tmp_path / "no" / "x.html")])
    assert refused.exit_code == 2
