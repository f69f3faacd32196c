"""The command line as a newcomer uses it, in process."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from aisle.cli import app

ITEMS = """item_id,title,description,brand,category,price,stock
k1,Enamel kettle red,"Whistles <b>loudly</b>",Maple,Kitchen > Kettles,29.00,5
t1,Green tea,First harvest,Hillside,Grocery > Tea,€8.50,9
b1,Hiking boots,Waterproof,Northgate,Outdoors > Boots,119.00,2
b2,Broken row,,,,-5,1
"""
EVENTS = """user_id,type,time,item_id
ann,purchase,2026-03-01T10:00:00Z,k1
ann,purchase,2026-03-01T10:00:00Z,t1
bob,view_item,1772400000,k1
bob,purchase,1772400000000,t1
cat,view_item,2026-03-02,boots-from-elsewhere
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "events.csv").write_text(EVENTS)
    runner = CliRunner()

    def invoke(*arguments: str, expect: int = 0):
        result = runner.invoke(app, list(arguments))
        assert result.exit_code == expect, result.output + result.stderr
        return result

    return invoke


@pytest.fixture
def filled(run):
    run("init", "shop", "--currency", "EUR")
    run("import", "shop", "items.csv")
    run("import", "shop", "events.csv")
    return run


def test_from_files_to_lists(filled):
    assert "trained and in service" in filled("train", "shop").stdout
    found = json.loads(filled("search", "shop", "red kettle", "--json").stdout)
    assert found["items"][0]["item_id"] == "k1"
    assert found["degraded"] == []
    assert "Green tea" in filled("basket", "shop", "k1").stdout
    assert "29.00 EUR" in filled("recommend", "shop", "popular").stdout
    assert "green tea" in filled("suggest", "shop", "gre").stdout.casefold()
    assert json.loads(filled("similar", "shop", "k1", "--json").stdout)["placement"] == "similar-items"
    assert "3 items" in filled("doctor", "shop").stdout


def test_a_refused_row_is_shown_and_the_rest_goes_in(run):
    run("init", "shop")
    report = json.loads(run("import", "shop", "items.csv", "--json").stdout)

    assert (report["n_new"], report["n_refused"]) == (3, 1)
    assert (report["refusals"][0]["row"], report["refusals"][0]["field"]) == (4, "price")


def test_importing_again_loads_nothing_twice(filled):
    report = json.loads(filled("import", "shop", "events.csv", "--json").stdout)

    assert (report["n_new"], report["n_resumed"]) == (0, 5)


def test_common_column_names_are_understood_and_said(run, tmp_path):
    (tmp_path / "log.csv").write_text(
        "user,product_id,event,date\nann,k1,add-to-cart,2026-03-01\nbob,t1,buy,2026-03-02\n"
    )
    run("init", "shop")
    run("import", "shop", "items.csv")

    said = run("import", "shop", "log.csv").stdout
    again = json.loads(run("import", "shop", "log.csv", "--json").stdout)

    for line in ("read product_id as item_id", "read event as type", "read add-to-cart as add_to_cart"):
        assert line in said
    assert (again["n_resumed"], again["read_as"]["user"]) == (2, "user_id")


def test_an_interrupted_import_says_how_to_go_on(run, monkeypatch):
    from aisle.shop import Shop

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    run("init", "shop")
    monkeypatch.setattr(Shop, "import_files", interrupted)

    assert "run the same command again" in " ".join(run("import", "shop", "items.csv", expect=130).stderr.split())


def test_prices_filter_in_whole_units(filled):
    found = json.loads(filled("search", "shop", "tea kettle boots", "--max-price", "30", "--json").stdout)

    assert {item["item_id"] for item in found["items"]} == {"k1", "t1"}


def test_a_category_includes_what_lies_below_it(filled):
    found = json.loads(filled("search", "shop", "kettle", "--category", "Kitchen", "--json").stdout)

    assert [item["item_id"] for item in found["items"]] == ["k1"]


def test_a_guessed_mapping_is_a_mapping(run, tmp_path):
    (tmp_path / "odd.csv").write_text("CustomerID,StockCode,InvoiceDate\n7,k1,2026-03-01 10:00\n")
    run("init", "shop")

    guessed = run("import", "shop", "odd.csv", "--guess").stdout

    (tmp_path / "odd.toml").write_text(guessed)
    report = json.loads(run("import", "shop", "odd.csv", "--mapping", "odd.toml", "--json").stdout)
    assert (report["n_new"], report["n_refused"]) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["search", "nowhere", "tea"], 2, "aisle init"),
        (["init", "."], 2, "not an empty folder"),
        (["init", "other", "--currency", "euros"], 2, "currency"),
        (["import", "shop", "absent.csv"], 2, "absent.csv"),
        (["import", "shop", "items.csv", "--mapping", "gorse-item"], 2, "Did you mean"),
        (["recommend", "shop", "home"], 2, "unknown placement"),
        (["similar", "shop", "ghost"], 2, "unknown item"),
        (["train", "shop", "--source", "liner"], 2, "Did you mean 'linear'"),
        (["search", "shop", "tea", "--min-price", "9", "--max-price", "1"], 2, "above"),
    ],
)
def test_wrong_input_is_answered_with_what_is_allowed(filled, arguments, status, says):
    result = filled(*arguments, expect=status)

    assert says in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_training_an_empty_shop_says_what_to_run_first(run):
    run("init", "shop")

    assert "aisle import" in run("train", "shop", expect=3).stderr
    assert "no items" in run("doctor", "shop", expect=1).stdout


def test_rolling_back_names_the_version_and_needs_an_earlier_one(filled):
    filled("train", "shop", "--source", "popular")
    assert "no earlier version" in filled("rollback", "shop", "popular", expect=3).stderr
    filled("train", "shop", "--source", "popular")

    assert "version 000001 again" in filled("rollback", "shop", "popular").stdout
    assert "serves, version 000001" in filled("doctor", "shop").stdout
    assert "Did you mean 'popular'" in " ".join(filled("rollback", "shop", "populer", expect=2).stderr.split())


def test_erasing_asks_first(filled):
    filled("erase", "shop", "ann", expect=1)  # nobody answers

    assert "removed" in filled("erase", "shop", "ann", "--yes").stdout
    assert "nothing was recorded of ann" in filled("erase", "shop", "ann", "--yes").stdout


def test_evaluation_writes_a_page(filled, tmp_path):
    filled("evaluate", "shop", "--protocol", "last", "--html", "report.html", "--language", "zh")

    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_every_command_has_a_help_text_with_an_example_or_a_reason(run):
    top = run("--help").stdout
    for command in (
        "demo",
        "init",
        "import",
        "train",
        "evaluate",
        "doctor",
        "search",
        "suggest",
        "recommend",
        "rollback",
        "erase",
    ):
        assert command in top
        assert len(run(command, "--help").stdout.splitlines()) > 8


def test_the_help_of_serve_keeps_its_words_in_brackets(run):
    assert "[serving] in the shop's aisle.toml" in " ".join(run("serve", "--help").stdout.split())


REVIEWS = "text,opinion,topics\n" + "".join(
    f"{start} {thing},{opinion},{topic}\n"
    for start, opinion in (("I love this", "good"), ("I hate this", "bad"))
    for thing, topic in (
        ("kettle", "kitchen"),
        ("pan", "kitchen|steel"),
        ("boot", "outdoors"),
        ("tea", ""),
        ("cup", "kitchen"),
    )
    for _ in range(4)
)


def test_labels_are_taught_and_told(run, tmp_path):
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    run("init", "shop")
    quick = ("--trained", "heads", "--size", "tiny")
    tasks = ("--task", "opinion=binary:opinion", "--task", "topics=tags:topics")

    taught = json.loads(run("finetune", "shop", "says", "--table", "reviews.csv", *tasks, *quick, "--json").stdout)
    lines = run("classify", "shop", "says", "--say", "I love this pan", "--say", "I hate tea", "--json").stdout
    first, second = (json.loads(line) for line in lines.strip().splitlines())
    again = run(
        "finetune", "shop", "more", "--table", "reviews.csv", tasks[0], tasks[1], *quick, "--start-from", "says"
    )

    assert taught["version"] == "000001"
    assert taught["metrics"]["n_trained_parameters"] == 4 * 385
    assert first["labels"]["opinion"]["good"] > second["labels"]["opinion"]["good"]
    assert set(first["labels"]["topics"]) == {"kitchen", "outdoors", "steel"}
    assert "opinion: " in run("classify", "shop", "says", "reviews.csv").stdout
    assert "aisle classify shop more" in " ".join(again.stdout.split())


def test_a_model_is_made_from_texts_alone(run, tmp_path):
    texts = [
        f"{colour} {thing} for {who}"
        for colour in ("red", "blue", "green", "grey", "black")
        for thing in ("kettle", "boot", "lamp", "chair", "pan")
        for who in ("men", "women", "children", "dogs")
    ]
    (tmp_path / "texts.txt").write_text("\n".join(texts))

    made = json.loads(
        run("pretrain", "reader", "--texts", "texts.txt", "--size", "tiny", "--width", "32", "--json").stdout
    )

    assert json.loads((tmp_path / "reader" / "config.json").read_text())["hidden_size"] == 32
    assert made["metrics"]["loss"] < made["metrics"]["loss_before"]
    assert (tmp_path / "reader" / "model.safetensors").exists()
    assert "not an empty folder" in run("pretrain", "reader", "--texts", "texts.txt", expect=2).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["finetune", "shop", "x", "--table", "reviews.csv", "--task", "opinion"], 2, "NAME=KIND:COLUMN"),
        (["finetune", "shop", "x", "--table", "absent.csv", "--task", "a=binary:b"], 2, "absent.csv"),
        (["finetune", "shop", "x", "--table", "reviews.csv", "--task", "a=binary:b"], 2, "unknown column 'b'"),
        (["finetune", "shop", "x", "--table", "reviews.csv", "--task", "a=binary:topics"], 2, "binary takes two"),
        (["finetune", "shop", "x", "--task", "clicks"], 2, "without one there are click, conversion"),
        (["finetune", "shop", "x", "--task", "click"], 3, "no items"),
        (["classify", "shop", "ghost", "--say", "x"], 3, "aisle finetune"),
        (["classify", "shop", "ghost"], 2, "either FILE or --say"),
        (["pretrain", "folder"], 2, "--shop, --texts or both"),
        (["pretrain", "folder", "--from", "x", "--width", "32", "--texts", "reviews.csv"], 2, "of a new model"),
        (["tune", "shop", "adapt", "--vary", "scale"], 3, "no items"),
        (["compress", "shop"], 3, "no items"),
    ],
)
def test_mistakes_in_teaching_are_told(run, tmp_path, arguments, status, says):
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    run("init", "shop")
    assert says in " ".join(run(*arguments, expect=status).stderr.split())
