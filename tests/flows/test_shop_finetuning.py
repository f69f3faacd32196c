"""Fine-tuned models of a shop: from tables and from its own lists, by the command, kept as versions and asked."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

from aisle.cli import app
from aisle.cli.visiting import SimulatedClock, VisitedShop
from aisle.domain import INTEREST_TYPES
from aisle.errors import NotReadyError
from aisle.flows.click_texts import click_texts
from aisle.folder import init
from aisle.language.model_folder import packaged_folder
from aisle.shop import Shop
from aisle.simulation import simulate

SETTINGS = """
[encoder]
model = "{model}"
query_precision = "fp32"

[finetune]
size = "tiny"
validation_share = 0.2

[finetune.training]
trackers = []
learning_rate = 5e-3
epochs = 12
"""
COLOURS = ("red", "blue", "green", "black", "white", "grey")
WORDS = {"kitchen": ("kettle", "pan", "spoon", "cup"), "desk": ("lamp", "pencil", "paper", "ink")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulatedClock]:
    """A simulated shop that was visited, with a network of one thin layer as its model."""
    folder = tmp_path_factory.mktemp("shops")
    shutil.copytree(packaged_folder(), folder / "thin", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder / "thin")
    world = simulate("tiny", 3)
    clock = SimulatedClock(world.now_ms)
    settings = SETTINGS.format(model=folder / "thin")
    with Shop(init(folder / "shop", toml=settings), clock=clock) as shop:
        for items in world.items():
            shop.add_items(items)
        for events in world.events():
            shop.add_events(events)
        shop.train(["semantic", "lexical", "popular"])
        VisitedShop(shop, world, clock, size=10).days(2, 30, np.random.default_rng(0))
    return folder / "shop", clock


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(f"{colour} {word}", use) for use, words in WORDS.items() for word in words for colour in COLOURS]
    file = tmp_path_factory.mktemp("tables") / "uses.csv"
    pl.DataFrame(rows, schema=["text", "use"], orient="row").write_csv(file)
    return file


@pytest.fixture
def shop(made, tmp_path: Path) -> str:
    shutil.copytree(made[0], tmp_path / "shop")
    return str(tmp_path / "shop")


def ran(*arguments: str) -> str:
    """What a command that succeeds prints."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    """What a command that fails says, on one line."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code in (2, 3), result.output
    return " ".join(result.output.split())


def test_a_table_becomes_a_model_that_is_asked_and_begun_from(shop, table, tmp_path) -> None:
    task = ("--table", str(table), "--task", "kitchen=binary:use=kitchen")
    told = json.loads(ran("finetune", shop, "uses", *task, "--json"))

    assert told["version"] == "000001"
    assert told["yes"] == {"kitchen": "kitchen"}
    assert told["rows"] == {"kitchen": {"desk": 24, "kitchen": 24}}
    assert told["metrics"]["kitchen/accuracy"] >= 0.8
    assert told["metrics"]["n_learned"] + told["metrics"]["n_checked"] == 48
    said = json.loads(ran("classify", shop, "uses", "--say", "grey pan", "--json"))
    assert said["text"] == "grey pan"
    assert said["labels"]["kitchen"]["kitchen"] > 0.5
    assert sum(said["labels"]["kitchen"].values()) == pytest.approx(1.0, abs=2e-4)
    lines = ran("classify", shop, "uses", str(table)).splitlines()
    assert len(lines) == 48
    assert lines[0].startswith("red kettle\tkitchen: kitchen ")
    assert ran("classify", shop, "uses", "--say", "red\nkettle", "--csv").startswith(
        'text,kitchen,kitchen_probability\n"red\nkettle",kitchen,0.'
    )

    begun = ("finetune", shop, "more", *task, "--start-from", "uses", "--trained", "heads")
    assert "'kitchen' means yes, 'desk' no" in ran(*begun)
    with Shop.open(shop) as opened:
        manifest = opened.teacher.artifacts.versions("text.more")[0]
        assert manifest.config["start_from"] == "uses"
        assert manifest.metrics["n_trained_parameters"] == 33
        assert not list(opened.folder.models.glob(".finetuning-*"))

    ran("finetune", shop, "more", *task, "--trained", "heads")
    assert "text.more answers from version 000001 again" in ran("rollback", shop, "text.more")
    assert "text.nothing" in refused("rollback", shop, "text.nothing")


@pytest.mark.parametrize("trained", ["heads", "lora", "prefix"])
def test_what_learns_is_an_option(shop, table, trained) -> None:
    told = ran(
        "finetune", shop, "uses", "--table", str(table), "--task", "use=classes:use", "--trained", trained, "--json"
    )

    assert json.loads(told)["metrics"]["n_trained_parameters"] < 15_000
    assert "kitchen" in json.loads(ran("classify", shop, "uses", "--say", "grey pan", "--json"))["labels"]["use"]


def test_clicks_of_the_shops_own_lists_are_learned(shop) -> None:
    told = json.loads(ran("finetune", shop, "clicks", "--task", "click", "--json"))

    assert 0.0 <= told["metrics"]["click/auc"] <= 1.0
    assert set(json.loads(ran("classify", shop, "clicks", "--say", "a mug", "--json"))["labels"]["click"]) == {
        "no",
        "yes",
    }


def test_rows_of_lists_know_what_was_before_them_only(made) -> None:
    folder, clock = made
    with Shop.open(folder, clock=clock) as shop:
        snapshot = shop.records.snapshot()
        texts = [f"item {row}" for row in range(snapshot.n_items)]
        found = click_texts(snapshot, shop.records, texts, 10**6)
        slates = {one.slate_id: one for one in shop.records.read_slates(0, 10_000)[1]}
        events = pl.concat([one.frame for one in shop.records.read_slate_events(0)])
        rows = {item_id: row for row, item_id in enumerate(snapshot.items.frame["item_id"])}
        interest = events.filter(pl.col("type").is_in([kind.value for kind in INTEREST_TYPES]))
        answered = set(interest["slate_id"].drop_nulls()) & set(slates)

        lists = [slate for slate in slates.values() if slate.slate_id in answered]
        assert len(found.texts) == sum(len(slate.item_ids) for slate in lists)
        place = 0
        looked = snapshot.interactions.filter(pl.col("type").is_in([kind.value for kind in INTEREST_TYPES]))
        users = {user_id: row for row, user_id in enumerate(snapshot.user_ids)}
        n_histories = 0
        for slate in lists:
            clicked = set(interest.filter(pl.col("slate_id") == slate.slate_id)["item_id"])
            for item_id in slate.item_ids:
                assert found.texts[place] == texts[rows[item_id]]
                assert (found.labels["click"][place] == "yes") == (item_id in clicked)
                beside = found.second[place] if found.second else None
                if slate.query:
                    assert beside == slate.query
                elif beside is not None:
                    before = looked.filter(
                        pl.col("user_row") == users[slate.user_id or ""], pl.col("time_ms") < slate.time_ms
                    )
                    assert {*beside.split(" | ")} <= {texts[row] for row in before["item_row"]}
                    n_histories += 1
                place += 1
        assert n_histories > 0


def test_what_cannot_be_is_said_before_anything_is_learned(shop, table) -> None:
    task = ("--task", "use=classes:use")
    assert "cannot name a fine-tuned model" in refused("finetune", shop, "../uses", "--table", str(table), *task)
    assert "models of another shop lie in its folder" in refused(
        "finetune", shop, "uses", "--table", str(table), *task, "--start-from", "nowhere"
    )
    assert "needs --table; without one there are click, conversion" in refused("finetune", shop, "uses", *task)
    assert "no model 'uses' was fine-tuned in this shop" in refused("classify", shop, "uses", "--say", "x")
    assert "give either FILE or --say" in refused("classify", shop, "uses")


def test_options_that_would_change_nothing_are_refused(shop, table) -> None:
    task = ("--table", str(table), "--task", "use=classes:use")
    ran("finetune", shop, "uses", *task, "--trained", "heads")

    said = refused("finetune", shop, "more", *task, "--start-from", "uses", "--model", "thin")
    assert "--start-from uses is a fine-tuned model" in said
    assert "--model thin would change nothing" in said
    assert "--text 'title' names a column of --table" in refused(
        "finetune", shop, "c", "--task", "click", "--text", "title"
    )
    assert "--second 'q' names a column of --table" in refused(
        "finetune", shop, "c", "--task", "click", "--second", "q"
    )
    twice = refused("finetune", shop, "c", "--task", "click", "--task", "click")
    assert "2 tasks are named 'click': --task click and --task click" in twice
    asked = ("classify", shop, "uses")
    assert "--text 'title' names a column of FILE" in refused(*asked, "--say", "a pan", "--text", "title")
    assert "--second 'q' names a column of FILE" in refused(*asked, "--say", "a pan", "--second", "q")
    assert "--csv and --json are two ways" in refused(*asked, "--say", "a pan", "--csv", "--json")
    assert "no UTF-8" in refused(*asked, "--say", "a \udcff pan")
    tune = ("tune", shop, "adapt", "--vary", "seed=1|2", "--table", str(table), "--text", "t")
    assert "--table, --text change nothing for adapt" in refused(*tune)
    tune = ("tune", shop, "pretrain", "--vary", "model.layers=1|2")
    assert "--text, --task change nothing for pretrain" in refused(*tune, "--text", "t", "--task", "a=binary:b")
    assert "losses of trials cannot be compared" in refused(*tune, "--vary", "model.vocabulary=200..300")
    with Shop.open(shop) as opened:
        assert [one.version for one in opened.teacher.artifacts.versions("text.more")] == []


def test_shapes_of_a_new_model_are_tried_and_a_search_goes_on(shop, tmp_path) -> None:
    things, places = ("kettle", "boot", "lamp", "chair", "pan", "rope"), ("home", "work", "camp", "sea", "snow")
    texts = [
        f"{size} {thing} for {place}"
        for size in ("small", "wide", "red", "old")
        for thing in things
        for place in places
    ]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    settings = (
        "\n[pretrain]\nsize = 'tiny'\nmodel = {width = 16, heads = 2, vocabulary = 300}\ntraining = {max_steps = 4}\n"
    )
    config = Path(shop) / "aisle.toml"
    config.write_text(config.read_text() + settings)
    asked = ("tune", shop, "pretrain", "--vary", "model.layers=1|2", "--table", str(tmp_path / "texts.txt"), "--json")

    first = json.loads(ran(*asked, "--trials", "1"))
    second = json.loads(ran(*asked, "--trials", "2"))

    assert first["metric"] == second["metric"] == "-loss"
    assert first["trials"][0] in second["trials"]
    assert len(second["trials"]) == 2
    losses = [one["value"] for one in second["trials"] if one["value"] is not None]
    assert losses == sorted(losses)
    assert 0 < losses[0] < 10


def test_a_model_labels_for_itself_and_what_it_took_is_recorded(shop, table, tmp_path) -> None:
    rows = pl.read_csv(table)
    few = tmp_path / "few.csv"
    rows.sample(30, seed=0, shuffle=True).write_csv(few)
    asked = ("--table", str(few), "--task", "use=classes:use", "--unlabelled", str(table), "--confident-above", "0.6")

    told = json.loads(ran("finetune", shop, "uses", *asked, "--rounds", "3", "--json"))["metrics"]

    n_kept = int(told["self_training/rounds_kept"])
    losses = [told[f"self_training/round_{n}/log_loss"] for n in range(n_kept + 1)]
    assert n_kept >= 1
    assert losses == sorted(losses, reverse=True)
    assert told["log_loss"] == losses[-1]
    first = {what: [told[f"self_training/round_1/{what}/{label}"] for label in WORDS] for what in ("sure", "taken")}
    assert sum(first["sure"]) <= 18  # the other 30 have people's labels
    assert 0 < first["taken"][0] == first["taken"][1] <= 4  # at most half of the texts
    assert told["n_checked"] + told["n_learned"] == 30 + sum(
        told[f"self_training/round_{n_kept}/taken/{label}"] for label in WORDS
    )
    with Shop.open(shop) as opened:
        manifest = opened.teacher.artifacts.versions("text.uses")[0]
        assert manifest.metrics == told
        assert manifest.config["self_training"] == {"rounds": 3, "least_sure": 0.6, "most_share": 0.5}
        assert manifest.config["unlabelled"] == [str(table)]
        assert not list(opened.folder.models.glob(".finetuning-*"))

    shown = ran("finetune", shop, "uses", *asked)
    assert "self-training" in shown
    assert "kitchen 4" in " ".join(shown.split())


def test_what_is_without_labels_goes_with_one_task_of_a_table(shop, table) -> None:
    asked = ("finetune", shop, "uses", "--table", str(table))
    more = ("--unlabelled", str(table))
    task = ("--task", "use=classes:use")
    assert "--rounds 2 says how --unlabelled is read" in refused(*asked, *task, "--rounds", "2")
    said = refused(*asked, *task, "--confident-above", "0.8")
    assert "--confident-above 0.8 says how --unlabelled is read" in said
    assert "above 0.5 and below 1" in refused(*asked, *task, *more, "--confident-above", "1")
    assert "has tags" in refused(*asked, "--task", "use=tags:use", *more)
    assert "takes one task, not use, other" in refused(*asked, *task, "--task", "other=classes:use", *more)
    assert "--unlabelled goes with --table" in refused("finetune", shop, "uses", "--task", "click", *more)
    assert "there are no texts without a label" in refused(*asked, *task, *more)
    assert "unknown column" in refused(*asked, *task, *more, "--second", "query")
    assert not list((Path(shop) / "models").glob(".finetuning-*"))


def test_a_model_is_taught_by_one_process_at_a_time(shop, table) -> None:
    asked = ("finetune", shop, "uses", "--table", str(table), "--task", "use=classes:use", "--trained", "heads")
    work = Path(shop) / "models" / ".finetuning-uses"
    work.mkdir(parents=True)
    held = os.open(work, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    result = CliRunner().invoke(app, list(asked))
    assert result.exit_code == 4
    assert "another process teaches 'uses' now" in " ".join(result.output.split())
    os.close(held)

    ran(*asked)
    assert not work.exists()


def test_a_full_disk_behind_the_output_is_told(shop, table) -> None:
    ran("finetune", shop, "uses", "--table", str(table), "--task", "use=classes:use", "--trained", "heads")
    command = [sys.executable, "-m", "aisle", "classify", shop, "uses", "--say", "grey pan", "--json"]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert told.returncode == 4, told.stderr
    assert "the output cannot be written: No space left on device" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_shop_without_lists_says_what_to_do(untrained) -> None:
    with pytest.raises(NotReadyError, match="no list was shown and clicked"):
        untrained.teacher.lists()
