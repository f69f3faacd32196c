"""The ranker's life in a real shop: too early, trained from the log, in service, damaged, rolled back, explained."""

import itertools
import shutil
import uuid
from dataclasses import replace

import numpy as np
import pytest

from aisle.cli.visiting import SimulatedClock, VisitedShop
from aisle.contracts import Manifest
from aisle.domain import OUTCOME_NAMES
from aisle.errors import ConfigError, DataError, NotReadyError
from aisle.flows.diagnose import Level
from aisle.flows.stages import RANKER, STATISTICS
from aisle.folder import init
from aisle.shop import Shop
from aisle.simulation import simulate

TOML = """
[ranker]
kind = "logistic"

[placement.recommended-for-you]
sources = ["linear", "popular"]
explore = { share = 0.3 }

[placement.search]
sources = ["lexical"]

[placement.similar-items]
sources = ["item_neighbours"]
"""


@pytest.fixture(scope="module")
def visited(tmp_path_factory) -> tuple:
    """A simulated shop's folder after visitors were there and the ranker was trained, and what was said of it."""
    folder = tmp_path_factory.mktemp("shops") / "visited"
    world = simulate("tiny", 3)
    clock = SimulatedClock(world.now_ms)
    numbers = itertools.count()
    with pytest.MonkeyPatch.context() as patch, Shop(init(folder, toml=TOML), clock=clock) as shop:
        # What chance fills follows from the ids of the lists: with these it is the same every time.
        patch.setattr("aisle.wiring.uuid.uuid4", lambda: uuid.UUID(int=next(numbers)))
        for table in (*world.items(),):
            shop.add_items(table)
        for table in world.events():
            shop.add_events(table)
        shop.train(["linear", "popular", "lexical", "item_neighbours", STATISTICS])
        VisitedShop(shop, world, clock).days(2, 1_500, np.random.default_rng(2))
        said: list[str] = []
        (manifest,) = shop.train([RANKER], told=said.append)
    return folder, clock, manifest, said


@pytest.fixture
def shop(visited, tmp_path):
    folder, clock, _, _ = visited
    shutil.copytree(folder, tmp_path / "shop")
    with Shop.open(tmp_path / "shop", clock=clock) as opened:
        yield opened


def test_a_trained_ranker_answers_with_calibrated_outcomes(shop, visited):
    _, _, manifest, said = visited

    response = shop.recommend(user_id="u-000001", size=5)

    assert manifest.metrics["passed"] == 1.0
    assert "passed its gate" in said[0]
    assert response.slate.versions[RANKER] == manifest.version
    assert set(response.slate.slots[0].outcomes) == set(OUTCOME_NAMES)
    assert response.degraded == ()


def test_it_keeps_to_the_placements_it_has_learned_from(shop):
    item_id = shop.recommend(user_id="u-000001").item_ids[0]

    assert shop.similar(item_id).slate.versions[RANKER] == "fused-score"


def test_too_few_lists_are_said_and_the_rest_is_trained(untrained):
    said: list[str] = []

    manifests = untrained.train(told=said.append)

    assert {STATISTICS, "linear"} <= {manifest.name for manifest in manifests}
    assert RANKER not in {manifest.name for manifest in manifests}
    assert "0 lists" in said[0]
    with pytest.raises(NotReadyError, match="needs 500"):
        untrained.train([RANKER])


def test_one_that_does_not_pass_is_written_and_does_not_answer(shop, monkeypatch):
    serving = shop.recommend(user_id="u-000001").slate.versions[RANKER]
    monkeypatch.setattr("aisle.ranking.gate.LARGEST_CALIBRATION_ERROR", 0.0)

    said: list[str] = []
    (manifest,) = shop.train([RANKER], told=said.append)

    assert manifest.metrics["passed"] == 0.0
    assert manifest.version != serving
    assert "does not answer: its calibration error" in said[0]
    assert shop.recommend(user_id="u-000001").slate.versions[RANKER] == serving
    assert [one.version for one in shop.ranker.artifacts.versions(RANKER)] == [serving, manifest.version]


def test_it_is_rolled_back(shop):
    before = shop.recommend(user_id="u-000001").slate.versions[RANKER]
    (newer,) = shop.train([RANKER])
    assert shop.recommend(user_id="u-000001").slate.versions[RANKER] == newer.version

    assert isinstance(shop.rollback(RANKER), Manifest)

    assert shop.recommend(user_id="u-000001").slate.versions[RANKER] == before


def test_a_damaged_ranker_is_named_and_lists_follow_the_fused_score(shop, visited):
    largest = max((shop.folder.models / RANKER).rglob("*.npz"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)

    with Shop.open(shop.folder.root, clock=visited[1]) as again:
        response = again.recommend(user_id="u-000001")
        assert response.item_ids
        assert response.slate.versions[RANKER] == "fused-score"
        assert RANKER in again.live.stages.lineup.failures
        assert any(finding.level is Level.PROBLEM and "ranker" in finding.what for finding in again.doctor())


def test_the_doctor_knows_the_ranker(shop, visited, monkeypatch):
    manifest = visited[2]
    assert f"ranker serves, version {manifest.version}" in [finding.what for finding in shop.doctor()]

    monkeypatch.setattr("aisle.ranking.gate.LARGEST_CALIBRATION_ERROR", 0.0)
    shop.train([RANKER])

    assert "ranker 000002, the newest, did not pass its gate and does not answer" in [
        finding.what for finding in shop.doctor()
    ]


def test_damaged_statistics_are_rebuilt(shop, visited):
    for path in (shop.folder.indexes / STATISTICS).rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])

    with Shop.open(shop.folder.root, clock=visited[1]) as again:
        assert again.recommend(user_id="u-000001").slate.features is not None
        assert STATISTICS not in again.live.stages.lineup.failures


def test_statistics_follow_the_names_of_the_sources(shop, visited):
    settings = shop.folder.settings
    settings.write_text(settings.read_text() + '\n[source.bestsellers]\nkind = "popular"\n')

    with Shop.open(shop.folder.root, clock=visited[1]) as again:
        features = again.recommend(user_id="u-000001").slate.features
        assert "source.bestsellers" in features.names
        assert again.recommend(user_id="u-000001").slate.versions[RANKER] != "fused-score"


@pytest.mark.parametrize("name", [STATISTICS, RANKER])
def test_a_source_may_not_take_their_names(tmp_path, name):
    made = init(tmp_path / "shop", toml=f'[source.{name}]\nkind = "popular"\n')

    with pytest.raises(ConfigError, match=f"may not be called '{name}'"):
        Shop(made)


def test_an_unknown_ranker_or_setting_is_named(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'logistic'"):
        Shop(init(tmp_path / "one", toml='[ranker]\nkind = "logistics"\n'))
    with pytest.raises(ConfigError, match=r"ranker\.ridge"):
        Shop(init(tmp_path / "two", toml='[ranker]\nkind = "logistic"\nridge = -1\n'))


def test_a_list_explains_itself_in_both_languages(shop):
    slate = shop.search("boots", user_id="u-000001", size=5).slate

    english, chinese = (shop.explain(slate.slate_id, language) for language in ("en", "zh-CN"))

    assert (english.language, chinese.language) == ("en", "zh")
    assert [slot.item_id for slot in english.slots] == list(slate.item_ids)
    first = english.slots[0]
    assert sum(first.sources.values()) == pytest.approx(1.0)
    assert set(first.outcomes) == set(OUTCOME_NAMES)
    assert "Matches the words you typed" in {reason.text for reason in first.reasons}
    assert "与您输入的词相符" in {reason.text for reason in chinese.slots[0].reasons}
    strengths = [reason.strength for reason in first.reasons]
    assert strengths == sorted(strengths, reverse=True)


def test_chance_is_told(shop):
    slates = [shop.recommend(user_id=f"u-{n:06d}").slate for n in range(5)]
    by_chance = [(slate, place) for slate in slates for place, slot in enumerate(slate.slots) if slot.propensity < 0.5]
    slate, place = by_chance[0]

    reasons = shop.explain(slate.slate_id).slots[place].reasons

    assert reasons[0].code == "chance"


def test_a_list_about_an_item_names_it(shop):
    item_id = shop.recommend(user_id="u-000001").item_ids[0]
    (item,) = shop.read_items([item_id])
    slate = shop.similar(item_id).slate

    texts = [reason.text for slot in shop.explain(slate.slate_id, "en").slots for reason in slot.reasons]

    assert f"People who viewed {item.text('en').title} also viewed this" in texts


def test_an_unknown_list_is_refused(shop):
    with pytest.raises(DataError, match="unknown slate 'nobody'"):
        shop.explain("nobody")


def test_a_list_that_another_ranker_made_is_explained_without_the_one_in_service(shop, monkeypatch):
    slate = shop.recommend("recommended-for-you", user_id="dora").slate
    asked = []
    monkeypatch.setattr(type(shop.live.stages.lineup.in_service.ranker), "attribute", lambda *given: asked.append(1))
    older = replace(slate, versions={**slate.versions, "ranker": "000000"})
    monkeypatch.setattr(shop, "read_slate", lambda slate_id: older)

    explained = shop.explain(slate.slate_id, "en")

    assert asked == []
    assert all(slot.sources for slot in explained.slots)
