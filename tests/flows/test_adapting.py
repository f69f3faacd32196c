"""A shop teaches its encoder: pairs from its own records, a version that answers if it is better, and the way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from aisle.cli.visiting import SimulatedClock
from aisle.domain import EventType
from aisle.errors import ConfigError, NotReadyError
from aisle.flows import train
from aisle.flows.adapt import IS_BETTER
from aisle.flows.text_pairs import BOUGHT, DESCRIPTION, QUERY, VIEWED, gather_pairs
from aisle.folder import init
from aisle.language import adapting
from aisle.language.adapt_config import AdaptConfig
from aisle.language.adapter_config import AdapterConfig
from aisle.language.model_folder import packaged_folder
from aisle.shop import Shop
from aisle.simulation import simulate
from aisle.testing import tiny_shop

SHORT = AdaptConfig(
    size="tiny", training={"trackers": [], "learning_rate": 3e-3, "epochs": 6, "max_steps": 150, "batch_size": 64}
)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the packaged vocabulary and a network of one thin layer, untrained."""
    folder = tmp_path_factory.mktemp("models") / "thin"
    shutil.copytree(packaged_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> tuple[Path, SimulatedClock]:
    folder = tmp_path_factory.mktemp("shops") / "shop"
    toml = f'[encoder]\nmodel = "{small_model}"\nquery_precision = "fp32"\n'
    world = simulate("tiny", 3)
    clock = SimulatedClock(world.now_ms)
    with Shop(init(folder, toml=toml), clock=clock) as shop:
        for items in world.items():
            shop.add_items(items)
        for events in world.events():
            shop.add_events(events)
        shop.train(["semantic", "lexical", "popular"])
    return folder, clock


@pytest.fixture
def shop(filled, tmp_path: Path):
    folder, clock = filled
    shutil.copytree(folder, tmp_path / "shop")
    with Shop.open(tmp_path / "shop", clock=clock) as opened:
        yield opened


def test_a_better_model_answers_at_once_and_after_opening_again(shop) -> None:
    query = next(iter(shop.records.read_query_counts()))
    before = shop.live.parts.encoder.fingerprint
    assert shop.search(query).degraded == ()

    manifest = shop.adapt(SHORT)

    assert manifest.metrics[IS_BETTER] == 1.0
    assert manifest.metrics["ndcg@10_after"] > manifest.metrics["ndcg@10_before"] + 0.05
    assert shop.live.parts.encoder_version == manifest.version
    assert shop.live.parts.encoder.fingerprint != before
    answer = shop.search(query)
    assert answer.degraded == ()
    assert answer.slate.versions["semantic"] == "000002"
    assert not list((shop.folder.models / "encoder").glob(".*/step*"))
    with Shop.open(shop.folder.root, clock=shop.clock) as again:
        assert again.live.parts.encoder_version == manifest.version
        assert again.search(query).degraded == ()


def test_another_process_follows(shop) -> None:
    with Shop.open(shop.folder.root, clock=shop.clock) as other:
        assert other.search("shoes").degraded == ()
        manifest = shop.adapt(SHORT, force=True)
        assert other.live.parts.encoder_version is None

        other._live.renew()  # what its following thread does every second

        assert other.live.parts.encoder_version == manifest.version
        assert other.search("shoes").degraded == ()


def test_one_that_is_not_better_is_written_and_does_not_answer(shop) -> None:
    lazy = SHORT.model_copy(update={"training": {"trackers": [], "max_steps": 1, "learning_rate": 1e-9}})

    manifest = shop.adapt(lazy)

    assert manifest.metrics[IS_BETTER] == 0.0
    assert manifest.metrics["gain"] == pytest.approx(0.0, abs=0.01)
    assert shop.live.parts.encoder_version is None
    assert [one.version for one in shop.versions_of["encoder"].versions("encoder")] == [manifest.version]


def test_the_way_back(shop) -> None:
    first = shop.adapt(SHORT, force=True)
    second = shop.adapt(SHORT.model_copy(update={"objectives": ("masked", "contrast")}), force=True)
    assert shop.live.parts.encoder_version == second.version

    assert shop.rollback("encoder").version == first.version

    assert shop.live.parts.encoder_version == first.version
    assert shop.search("shoes").degraded == ()
    with pytest.raises(NotReadyError, match="no earlier version"):
        shop.rollback("encoder")


def test_a_run_stopped_while_indexes_are_made_goes_on_there_without_learning_again(
    shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    brief = SHORT.model_copy(update={"training": {"trackers": [], "max_steps": 5}})
    with monkeypatch.context() as stopping:
        stopping.setattr(train, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            shop.adapt(brief, force=True)
    assert shop.versions_of["encoder"].promoted("encoder") is None

    with monkeypatch.context() as learning:
        learning.setattr(adapting, "adapt", stopped)
        manifest = shop.adapt(brief, force=True)

    assert [one.version for one in shop.versions_of["encoder"].versions("encoder")] == [manifest.version]
    assert shop.live.parts.encoder_version == manifest.version
    assert shop.search("shoes").degraded == ()
    assert not (shop.folder.models / "encoder" / ".adapting").exists()


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_an_adapter_learns_and_becomes_part_of_the_model(shop, method) -> None:
    short = SHORT.model_copy(update={"adapter": AdapterConfig(method=method), "objectives": ("pieces", "contrast")})

    manifest = shop.adapt(short, force=True)

    assert 0 < manifest.metrics["n_trained_parameters"] < 20_000
    assert manifest.metrics["gain"] != 0.0
    kept = {file.name for file in (shop.folder.models / "encoder" / manifest.version).iterdir()}
    assert "model.safetensors" in kept
    assert "adapter_config.json" not in kept
    assert shop.search("shoes").degraded == ()


def test_what_cannot_be_adapted_is_refused(tmp_path: Path, shop) -> None:
    with pytest.raises(ConfigError, match=r"adapt.*batchsize"):
        shop.adapt(AdaptConfig.parse({"size": "tiny", "training": {"batchsize": 3}}, "adapt"))
    with Shop(init(tmp_path / "empty")) as empty, pytest.raises(NotReadyError, match="no items"):
        empty.adapt(SHORT)
    with pytest.raises(ConfigError, match="cannot be merged"):
        shop.adapt(SHORT.model_copy(update={"adapter": AdapterConfig(method="prefix")}))
    with pytest.raises(NotReadyError, match="pairs of texts"):
        shop.adapt(SHORT.model_copy(update={"least_pairs": 100_000}))
    served = '[encoder]\nkind = "openai"\naddress = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    with Shop(init(tmp_path / "served", toml=served)) as other:
        other.add_items(tiny_shop().items)
        with pytest.raises(ConfigError, match="cannot be adapted"):
            other.adapt(SHORT)


def test_pairs_come_from_searches_lists_texts_and_behaviour(shop) -> None:
    snapshot = shop.records.snapshot()
    texts = [f"text of {item_id}" for item_id in snapshot.items.frame["item_id"]]

    pairs = gather_pairs(snapshot, shop.records, texts)
    learned, held_out = pairs.parted(0.2)

    assert {f"n_pairs.{kind}" for kind in (QUERY, DESCRIPTION, VIEWED, BOUGHT)} == set(pairs.counts())
    assert not set(learned.lefts) & set(held_out.lefts)
    assert 0.1 < len(held_out.lefts) / len(pairs.frame.filter(kind=QUERY)["left"].unique()) < 0.35
    viewed = pairs.frame.filter(kind=VIEWED)
    assert (viewed["left"] != viewed["item_row"].map_elements(lambda row: texts[row], return_dtype=str)).all()
    assert viewed.group_by("left").len()["len"].max() <= 5


def test_a_click_soon_after_a_search_answers_it_and_a_later_one_does_not(tmp_path: Path) -> None:
    tiny = tiny_shop()
    item_ids = [item.item_id for item in tiny.items]
    from aisle import Event

    now = tiny.clock()
    minute = 60_000

    def event(kind: EventType, minutes: int, **more: str) -> Event:
        return Event(user_id="zoe", type=kind, time_ms=now + minutes * minute - 1_000 * minute, **more)

    with Shop(init(tmp_path / "s"), clock=tiny.clock) as shop:
        shop.add_items(tiny.items)
        shop.add_events(
            [
                event(EventType.SEARCH, 0, query="Warm Drink"),
                event(EventType.VIEW, 2, item_id=item_ids[0]),
                event(EventType.SEARCH, 3, query="light"),
                event(EventType.VIEW, 5, item_id=item_ids[1]),
                event(EventType.VIEW, 60, item_id=item_ids[2]),
            ]
        )
        pairs = gather_pairs(shop.records.snapshot(), shop.records, item_ids)

    found = pairs.frame.filter(kind=QUERY).select("left", "item_row").rows()
    assert sorted(found) == [("light", 1), ("warm drink", 0)]
