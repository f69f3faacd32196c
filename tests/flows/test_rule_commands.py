"""`aisle rules` as a merchandiser uses it, in process."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aisle.cli import app

ITEMS = """item_id,title,brand,category,price,stock
k1,Enamel kettle red,Maple,Kitchen > Kettles,29.00,5
k2,Steel kettle,Steelo,Kitchen > Kettles,39.00,5
green-tea,Green tea,Hillside,Grocery > Tea,8.50,9
t2,Black tea,Hillside,Grocery > Tea,7.50,9
"""
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.csv").write_text(ITEMS)
    runner = CliRunner()

    def invoke(line: str, expect: int = 0):
        result = runner.invoke(app, shlex.split(line))
        assert result.exit_code == expect, result.output + result.stderr
        return result

    invoke("init shop")
    invoke("import shop items.csv")
    return invoke


def test_from_a_draft_to_a_list_and_back(run):
    said = run('rules add shop tea-week pin "t2@1" --contains tea --by ann --note "tea week"')
    assert "1 rules, 0 problems" in said.stdout
    run('rules add shop jug synonyms "jug|kettle"')

    tried = json.loads(run('rules try shop "green tea" --json').stdout)
    assert tried["draft"]["item_ids"][0] == "t2"
    assert tried["published"]["item_ids"][0] == "green-tea"
    assert "tea-week acted" in run('rules try shop "green tea"').stdout
    assert "t2@1" in run("rules list shop").stdout

    assert "version 1 counts now" in run('rules publish shop --note "first" --by ann').stdout
    found = json.loads(run("search shop tea --json").stdout)
    assert (found["items"][0]["item_id"], found["rules"]) == ("t2", ["tea-week"])
    assert "rules that acted: jug" in run("search shop jug").stdout

    run("rules remove shop tea-week")
    run("rules publish shop --by bob")
    assert json.loads(run('search shop "green tea" --json').stdout)["rules"] == []
    assert "rules of version 1" in run("rules rollback shop").stdout
    versions = json.loads(run("rules history shop --json").stdout)["versions"]
    assert [(one["version"], one["restores"]) for one in versions] == [(3, 1), (2, None), (1, None)]
    assert [one["published_by"] for one in versions][1:] == ["bob", "ann"]
    assert "as version 1" in run("rules history shop").stdout
    run("rules reset shop")
    assert [rule["id"] for rule in json.loads(run("rules list shop --json").stdout)["rules"]] == ["tea-week", "jug"]


@pytest.mark.parametrize("form", ["toml", "json", "csv"])
def test_rules_go_out_and_come_in_again(run, form):
    run('rules add shop a boost "brand:Maple|category:Kitchen" --factor 2 --from 2026-01-01')
    run('rules add shop b redirect "/sale" --equals sale --language en')
    before = json.loads(run("rules list shop --json").stdout)["rules"]

    run(f"rules export shop rules.{form}")
    run("rules remove shop a b")
    run(f"rules import shop rules.{form}")
    assert json.loads(run("rules list shop --json").stdout)["rules"] == before
    run(f"rules import shop rules.{form} --add")
    assert len(json.loads(run("rules list shop --json").stdout)["rules"]) == 2


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ('rules add shop a pin "ghost@1"', 0, "there is no item 'ghost'"),
        ('rules add shop a pinn "k1@1"', 2, "kind"),
        ('rules add shop a redirect "javascript:alert(1)"', 2, "url"),
        ('rules add shop a boost "brand:Maple"', 2, "factor"),
        ('rules add shop a boost "brand:Maple" --factor much', 2, "2.5"),
        ('rules add shop a boost "colour:red" --factor 2', 2, "colour"),
        ('rules add shop a pin "k1@1" --from soon', 2, "2026-05-01"),
        ('rules add shop a pin "k1@1" --placement serch', 0, "Did you mean 'search'"),
        ("rules remove shop ghost", 2, "no rule 'ghost'"),
        ("rules publish shop", 3, "nothing to publish"),
        ("rules rollback shop", 3, "no rules were published"),
        ("rules rollback shop --version 7", 2, "no version 7"),
        ("rules import shop absent.toml", 4, "absent.toml"),
        ("rules import shop items.csv", 2, "columns"),
        ("rules export shop rules.xml", 2, ".toml"),
        ("rules accept shop 12", 2, "no open proposal"),
        ("rules proposals shop --status maybe", 2, "rejected"),
    ],
)
def test_what_is_wrong_is_said(run, line, status, says):
    result = run(line, expect=status)

    assert says in " ".join((result.stdout + result.stderr).split())


def test_a_draft_with_problems_is_not_published(run):
    run('rules add shop a pin "ghost@1"')

    assert "rule 'a'" in run("rules publish shop", expect=2).stderr
    assert "nothing was published" in run("rules history shop").stdout


def test_mining_without_clicks_proposes_nothing(run):
    assert "0 new proposals" in run("rules mine shop").stdout
    assert "nothing is proposed" in run("rules proposals shop").stdout


@pytest.mark.parametrize("page", ["docs/rules.md", "docs/rules.zh-CN.md"])
def test_the_commands_of_the_guide_run_in_order(run, page, tmp_path):
    text = (PROJECT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M)
    for form in ("toml", "csv"):
        [shown] = [block for kind, block in blocks if kind == form]
        (tmp_path / f"rules.{form}").write_text(shown, encoding="utf-8")
    lines = [line for kind, block in blocks if not kind for line in block.splitlines() if line.startswith("aisle ")]

    for line in lines:
        run(re.sub(r"\s+#.*", "", line.removeprefix("aisle ")).replace("myshop", "shop"))

    assert len(lines) > 10
