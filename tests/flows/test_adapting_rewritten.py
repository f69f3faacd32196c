"""A shop has its titles rewritten by a chat model behind a real server, and its encoder learns the other words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from aisle.cli.teaching import compared
from aisle.cli.visiting import SimulatedClock
from aisle.domain import Event, EventType, Item, ItemText
from aisle.errors import ConfigError, NotReadyError, UnavailableError
from aisle.flows.text_pairs import gather_pairs
from aisle.folder import init
from aisle.language import adapting
from aisle.language.adapt_config import AdaptConfig
from aisle.language.model_folder import packaged_folder
from aisle.language.rewriting import RewritingConfig
from aisle.language.views import ViewConfig
from aisle.retrieval.semantic import item_texts
from aisle.shop import Shop
from aisle.simulation import simulate
from tests.unit.language.chat_server import ChatServer, Fault, chat_server

OTHER_WORDS = {
    "plastic": "polymer",
    "cotton": "fabric",
    "leather": "hide",
    "stainless steel": "metal",
    "wood": "timber",
}
SHORT = AdaptConfig(
    size="tiny",
    objectives=("pieces", "contrast"),
    training={"trackers": [], "learning_rate": 3e-3, "epochs": 6, "max_steps": 100, "batch_size": 64},
    rewriting=RewritingConfig(ways=("synonyms",)),
)
REWRITTEN = SHORT.model_copy(update={"views": ViewConfig(rewritten_chance=0.5)})
BRIEF = REWRITTEN.model_copy(update={"training": {"trackers": [], "max_steps": 2, "batch_size": 64}})
"""Where only what is asked of the chat model matters."""


def in_other_words(messages: list[dict[str, str]]) -> str:
    given = json.loads(messages[1]["content"])
    for one, other in OTHER_WORDS.items():
        given = {name: text.replace(one, other) for name, text in given.items()}
    return json.dumps(given)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chat_server(in_other_words) as running:
        yield running


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, server: ChatServer) -> tuple[Path, SimulatedClock]:
    model = tmp_path_factory.mktemp("models") / "thin"
    shutil.copytree(packaged_folder(), model, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    BertModel(
        BertConfig(vocab_size=30_522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    ).save_pretrained(model)
    folder = tmp_path_factory.mktemp("shops") / "shop"
    toml = (
        f'[encoder]\nmodel = "{model}"\nquery_precision = "fp32"\n'
        f'[chat]\nkind = "openai"\nmodel = "able"\naddress = "{server.address}"\nn_retries = 0\n'
    )
    world = simulate("tiny", 3)
    clock = SimulatedClock(world.now_ms)
    with Shop(init(folder, toml=toml), clock=clock) as shop:
        for items in world.items():
            shop.add_items(items)
        for events in world.events():
            shop.add_events(events)
    return folder, clock


@pytest.fixture
def shop(filled: tuple[Path, SimulatedClock], server: ChatServer, tmp_path: Path) -> Iterator[Shop]:
    folder, clock = filled
    shutil.copytree(folder, tmp_path / "shop")
    server.asked.clear()
    server.faults.clear()
    with Shop.open(tmp_path / "shop", clock=clock) as opened:
        yield opened


def sent(server: ChatServer) -> list[str]:
    return [text for asked in server.asked for text in json.loads(asked["messages"][1]["content"]).values()]


def mean_rank(shop: Shop, query: str, word: str) -> float:
    """Where items with ``word`` stand among all by the cosine of ``query``, 0 to 1 from the first to the last."""
    texts = item_texts(shop.records.snapshot().items, shop.teacher._source())
    encoder: Any = shop.live.parts.encoder
    order = np.argsort(-(encoder.encode(texts) @ encoder.encode([query])[0]))
    ranks = np.empty(len(texts))
    ranks[order] = np.linspace(0.0, 1.0, len(texts))
    return float(ranks[[word in text for text in texts]].mean())


def test_the_encoder_learns_words_that_only_the_chat_model_knows(shop: Shop, server: ChatServer) -> None:
    plain = shop.adapt(SHORT, force=True)
    without = {other: mean_rank(shop, other, one) for one, other in OTHER_WORDS.items()}
    assert not server.asked
    assert "n_rewritings" not in plain.metrics

    manifest = shop.adapt(REWRITTEN, force=True)

    with_words = {other: mean_rank(shop, other, one) for one, other in OTHER_WORDS.items()}
    assert np.mean(list(with_words.values())) < np.mean(list(without.values())) - 0.1, (without, with_words)
    titles = {rows[0]["title"] for rows in shop.records.snapshot().items.frame["texts"].to_list()}
    assert set(sent(server)) == titles
    n_changed = sum(any(word in title for word in OTHER_WORDS) for title in titles)
    assert manifest.metrics["n_texts_to_rewrite"] == len(titles)
    assert manifest.metrics["n_dropped.the same text"] == len(titles) - n_changed
    assert manifest.metrics["n_rewritings"] == manifest.metrics["n_rewritten_texts"] == n_changed

    assert ("texts rewritten", "", f"{n_changed:,}") in compared(manifest)
    server.asked.clear()
    again = shop.adapt(BRIEF)
    assert not server.asked
    for name in ("n_rewritings", "n_dropped.the same text"):
        assert again.metrics[name] == manifest.metrics[name]


def test_only_as_many_as_the_settings_say_those_in_most_pairs_first(shop: Shop, server: ChatServer) -> None:
    few = RewritingConfig(ways=("synonyms",), rewritten_texts=25, texts_a_request=5)
    manifest = shop.adapt(BRIEF.model_copy(update={"rewriting": few, "objectives": ("contrast",)}))

    assert len(sent(server)) == 25
    assert len(server.asked) == 5
    assert manifest.metrics["n_texts_to_rewrite"] == 25
    snapshot = shop.records.snapshot()
    texts = item_texts(snapshot.items, shop.teacher._source())
    learned, _ = gather_pairs(snapshot, shop.records, texts).parted(SHORT.validation_share)
    n_pairs = dict(zip(learned.rights, np.bincount(learned.right).tolist(), strict=True))
    of_sent = [n for text, n in n_pairs.items() if any(text.startswith(one) for one in sent(server))]
    assert np.mean(of_sent) > 2 * np.mean(list(n_pairs.values()))


def test_queries_are_sent_only_if_enough_people_typed_them_and_none_that_looks_personal(
    shop: Shop, server: ChatServer
) -> None:
    item_id = shop.records.snapshot().items.frame["item_id"][0]
    typed = [(f"u{number}", "ann@example.org shoes") for number in range(9)]
    typed += [(f"u{number}", "call +86 138-0013-8000") for number in range(9)]
    typed += [("u1", "rare wish")] * 9 + [(f"u{number}", "Wanted By Six") for number in range(6)]
    now = shop.clock() - 100_000
    for user_id, query in typed:
        now += 3
        shop.add_events([Event(user_id=user_id, type=EventType.SEARCH, time_ms=now, query=query)])
        shop.add_events([Event(user_id=user_id, type=EventType.CLICK, time_ms=now + 1, item_id=item_id)])
    config = BRIEF.model_copy(update={"rewriting": RewritingConfig(ways=("synonyms",), query_people=6)})

    shop.adapt(config)

    titles = {rows[0]["title"] for rows in shop.records.snapshot().items.frame["texts"].to_list()}
    queries = set(sent(server)) - titles
    assert "wanted by six" in queries
    assert queries <= {"wanted by six", "面霜", "indoor shoes", "slippers"}


def test_a_stopped_run_goes_on_with_the_rewritings_it_began_with(
    shop: Shop, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(adapting, "learn", stopped)
        with pytest.raises(KeyboardInterrupt):
            shop.adapt(BRIEF)
    n_sent = len(sent(server))
    assert n_sent > 100
    shop.folder.rewritings.unlink()
    shop.add_items([Item("new", (ItemText("en", "Another plastic thing"),))])

    manifest = shop.adapt(BRIEF)

    assert len(sent(server)) == n_sent
    assert manifest.metrics["n_texts_to_rewrite"] == n_sent


def test_without_a_chat_model_rewriting_is_refused_at_once(tmp_path: Path, shop: Shop) -> None:
    toml = shop.folder.settings.read_text("utf-8").partition("[chat]")[0]
    shutil.copytree(shop.folder.root, tmp_path / "mute")
    (tmp_path / "mute" / "aisle.toml").write_text(toml, encoding="utf-8")
    heard: list[str] = []
    with Shop.open(tmp_path / "mute", progress=lambda task, done, total=None: heard.append(task)) as mute:
        with pytest.raises(ConfigError, match=r"rewritten_chance above 0 needs a chat model.*\[chat\]"):
            mute.adapt(REWRITTEN)
        assert not heard
        with pytest.raises(ConfigError, match="needs a chat model"):
            Shop.adapt(mute, REWRITTEN.model_copy(update={"least_pairs": 100_000}))


def test_nothing_is_asked_where_there_is_too_little_to_learn_from(shop: Shop, server: ChatServer) -> None:
    with pytest.raises(NotReadyError, match="pairs of texts"):
        shop.adapt(REWRITTEN.model_copy(update={"least_pairs": 100_000}))
    assert not server.asked


def test_a_server_that_breaks_down_stops_the_run_before_training(shop: Shop, server: ChatServer) -> None:
    server.faults += [Fault(503)] * 50
    with pytest.raises(UnavailableError, match="try again later"):
        shop.adapt(REWRITTEN)
    assert shop.versions_of["encoder"].versions("encoder") == []


def test_trials_of_a_search_read_rewritten_texts_too(shop: Shop, server: ChatServer) -> None:
    shop.settings = shop.settings.model_copy(
        update={"adapt": {**BRIEF.model_dump(mode="json"), "objectives": ["contrast"]}}
    )
    tuned = shop.teacher.tune_adapt(["views.rewritten_chance=0.25|0.75"], 2)
    assert len(tuned.trials) == 2
    assert len(sent(server)) == len(set(sent(server))) > 100  # the second trial asks nothing again
