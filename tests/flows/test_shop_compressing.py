"""A shop makes its encoder smaller: a version that answers as it was measured if it lost little, and the way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
import torch
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

from aisle.cli import app
from aisle.cli.visiting import SimulatedClock
from aisle.contracts import Parts
from aisle.errors import ConfigError, NotReadyError
from aisle.flows import train
from aisle.flows.compress import IS_GOOD_ENOUGH, LARGE, PRECISION
from aisle.folder import init
from aisle.language import compressing
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.language.model_folder import packaged_folder
from aisle.settings import DEFAULT_PLACEMENTS, Settings
from aisle.shop import Shop
from aisle.simulation import simulate
from aisle.testing import tiny_shop
from aisle.wiring import placements_for

TRAINING = {"trackers": [], "max_steps": 40, "batch_size": 64, "learning_rate": 3e-3}
LENIENT = CompressConfig(size="tiny", layers=1, most_lost=1.0, training=TRAINING)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the packaged vocabulary and a network of two thin layers, untrained."""
    folder = tmp_path_factory.mktemp("models") / "thin"
    shutil.copytree(packaged_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> tuple[Path, SimulatedClock]:
    folder = tmp_path_factory.mktemp("shops") / "shop"
    toml = f'[encoder]\nmodel = "{small_model}"\nquery_precision = "fp32"\n[compress.training]\ntrackers = []\n'
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


def test_a_small_model_answers_as_it_was_measured_and_others_follow_and_there_is_a_way_back(shop) -> None:
    query = next(iter(shop.records.read_query_counts()))
    assert shop.search(query).degraded == ()
    adapted = shop.adapt(
        AdaptConfig(size="tiny", objectives=("contrast",), training={**TRAINING, "max_steps": 60}), force=True
    )
    with Shop.open(shop.folder.root, clock=shop.clock) as other:
        assert other.live.parts.encoder_version == adapted.version

        manifest = shop.compress(LENIENT)

        other._live.renew()  # what its following thread does every second
        assert other.live.parts.encoder_version == manifest.version
        assert other.search(query).degraded == ()
    assert manifest.metrics[IS_GOOD_ENOUGH] == 1.0
    assert (manifest.config[PRECISION], manifest.config[LARGE]) == ("int8", adapted.version)
    assert {"megabytes.as it is", "ndcg@10.1 layers", "agreement.int8", "query_ms.int8"} <= set(manifest.metrics)
    parts = shop.live.parts
    assert parts.encoder_version == manifest.version
    assert ":int8:" in parts.encoder.fingerprint
    assert ":int8:" in parts.query_encoder.fingerprint
    assert shop.search(query).degraded == ()
    assert not list((shop.folder.models / "encoder" / ".compressing").glob("*"))
    # the floor of meaning is the version's own
    assert parts.near_enough == manifest.metrics["near_enough"] != Parts.near_enough
    assert shop.live.stages.placements["search"].fusion.floors["semantic"].least == parts.near_enough

    # made smaller again, it learns from the large one, not from the small one
    again = shop.compress(LENIENT.model_copy(update={"precision": "fp32", "layers": 2}))
    assert again.config[LARGE] == adapted.version
    assert again.metrics["lost"] == pytest.approx(0.0)
    assert ":fp32:" in shop.live.parts.encoder.fingerprint

    assert shop.rollback("encoder").version == manifest.version
    assert ":int8:" in shop.live.parts.encoder.fingerprint
    assert shop.rollback("encoder").version == adapted.version
    assert ":fp32:" in shop.live.parts.encoder.fingerprint
    assert shop.live.parts.near_enough == adapted.metrics["near_enough"]
    assert shop.search(query).degraded == ()


def test_one_that_lost_too_much_is_written_and_does_not_answer_unless_forced(shop) -> None:
    before = shop.live.parts.encoder.fingerprint
    config = ["--layers", "1", "--size", "tiny", "--json"]
    toml = shop.folder.root / "aisle.toml"
    toml.write_text(
        toml.read_text().replace(
            "[compress.training]", "[compress]\nmost_lost = 0.0\n[compress.training]\nlearning_rate = 9.0"
        )
    )

    refused = CliRunner().invoke(app, ["compress", str(shop.folder.root), *config])
    assert refused.exit_code == 0, refused.output
    told = orjson.loads(refused.output)

    assert told["metrics"]["lost"] > 0.0
    assert told["metrics"][IS_GOOD_ENOUGH] == 0.0
    assert told["is_answering"] is False
    assert [one.version for one in shop.versions_of["encoder"].versions("encoder")] == [told["version"]]
    assert shop.versions_of["encoder"].promoted("encoder") is None
    assert shop.live.parts.encoder.fingerprint == before

    forced = CliRunner().invoke(app, ["compress", str(shop.folder.root), *config[:-1], "--neurons", "0.5", "--force"])

    assert forced.exit_code == 0, forced.output
    assert "50% of neurons" in forced.output
    assert "it answers all the same" in forced.output
    assert shop.versions_of["encoder"].promoted("encoder") == "000002"


def test_a_run_stopped_while_indexes_are_made_goes_on_there_without_learning_again(
    shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(train, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            shop.compress(LENIENT)
    assert shop.versions_of["encoder"].promoted("encoder") is None

    with monkeypatch.context() as learning:
        learning.setattr(compressing, "compress", stopped)
        manifest = shop.compress(LENIENT)

    assert [one.version for one in shop.versions_of["encoder"].versions("encoder")] == [manifest.version]
    assert shop.live.parts.encoder_version == manifest.version
    assert not (shop.folder.models / "encoder" / ".compressing").exists()


def test_what_cannot_be_compressed_is_refused(tmp_path: Path, shop) -> None:
    with pytest.raises(ConfigError, match=r"layers = 7: the model has 2"):
        shop.compress(LENIENT.model_copy(update={"layers": 7}))
    with Shop(init(tmp_path / "empty")) as empty, pytest.raises(NotReadyError, match="no items"):
        empty.compress(LENIENT)
    served = '[encoder]\nkind = "openai"\naddress = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    with Shop(init(tmp_path / "served", toml=served)) as other:
        other.add_items(tiny_shop().items)
        with pytest.raises(ConfigError, match="cannot be compressed"):
            other.compress(LENIENT)


def test_a_floor_that_is_set_stays_whatever_the_encoder_says(shop) -> None:
    parts = shop.live.parts
    assert DEFAULT_PLACEMENTS["search"].fusion.floors["semantic"].least is None
    assert shop.live.stages.placements["search"].fusion.floors["semantic"].least == 0.45
    assert shop.live.stages.placements["search"].fusion.floors["lexical"].least is None
    table = {"fusion": {"floors": {"semantic": {"least": 0.1}}}}
    given = Settings.parse({"placement": {"search": table}}, "")

    floors = placements_for(given, shop.specs, parts)["search"].fusion.floors

    assert floors["semantic"].least == 0.1
