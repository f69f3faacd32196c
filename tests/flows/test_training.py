import pytest

from aisle.domain import Event, EventType
from aisle.errors import ConfigError, NotReadyError
from aisle.evaluation.report_table import table_text
from aisle.flows.diagnose import Level
from aisle.flows.evaluate import EvaluationPlan
from aisle.folder import init
from aisle.shop import Shop
from aisle.testing.tiny import NOW_MS


def problems(shop: Shop) -> list[str]:
    return [finding.what for finding in shop.doctor() if finding.level is Level.PROBLEM]


def damage(shop: Shop, root: str, name: str) -> None:
    """Turn the bits of the largest file of a source's current version."""
    files = [path for path in (shop.folder.root / root / name).rglob("*") if path.is_file() and path.suffix != ".json"]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)


def test_training_makes_a_version_of_every_source(shop):
    manifests = shop.train(["popular", "linear"])

    assert [manifest.name for manifest in manifests] == ["popular", "linear"]
    assert all(manifest.metrics["n_items"] == 12 for manifest in manifests)
    assert shop.live.stages.lineup.versions["linear"] == manifests[1].version


def test_a_model_is_rolled_back(shop):
    old = shop.specs["linear"].artifacts.current("linear")[1].version
    shop.train(["linear"])

    shop.specs["linear"].artifacts.rollback("linear")

    with Shop.open(shop.folder.root, clock=shop.clock) as again:
        assert again.live.stages.lineup.versions["linear"] == old


def test_training_while_serving_swaps_without_a_gap(shop):
    before = shop.recommend(user_id="dora")

    shop.train(["linear"])
    after = shop.recommend(user_id="dora")

    assert after.item_ids == before.item_ids
    assert after.slate.versions["linear"] != before.slate.versions["linear"]


def test_events_after_training_are_caught_up_with(shop, tiny):
    shop.add_events([Event(f"u{n}", EventType.PURCHASE, NOW_MS, "headphones") for n in range(20)])

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        assert again.recommend("popular").item_ids[0] == "headphones"


def test_a_damaged_index_is_rebuilt(shop, tiny):
    damage(shop, "indexes", "lexical")

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        assert again.search("雨伞").item_ids[0] == "umbrella"
        assert again.search("雨伞").degraded == ()


def test_a_damaged_model_is_left_out_and_the_doctor_says_what_to_run(shop, tiny):
    damage(shop, "models", "linear")

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        response = again.recommend(user_id="dora")
        assert response.degraded == ("linear",)
        assert response.item_ids
        assert any("linear" in what for what in problems(again))

        again.train(["linear"])
        assert again.recommend(user_id="dora").degraded == ()
        assert problems(again) == []


def test_other_settings_than_those_trained_with_are_noticed(shop, tiny):
    settings = shop.folder.settings
    settings.write_text(settings.read_text() + "\n[source.linear]\nridge = 7.0\n")

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        assert again.recommend(user_id="dora").degraded == ("linear",)
        assert any("other settings" in what for what in problems(again))


def test_nothing_to_learn_from_is_said(tmp_path, tiny):
    with Shop(init(tmp_path / "empty"), clock=tiny.clock) as empty:
        with pytest.raises(NotReadyError, match="aisle import"):
            empty.train()
        assert any("no items" in what for what in problems(empty))
        with pytest.raises(ConfigError, match="unknown source 'liner'. Did you mean 'linear'"):
            empty.train(["liner"])


def test_an_unknown_source_in_the_settings_stops_the_shop(tmp_path):
    made = init(tmp_path / "shop", toml='[placement.home]\nsources = ["populer"]\n')

    with pytest.raises(ConfigError, match="Did you mean 'popular'"):
        Shop(made)


def test_a_wrong_setting_of_a_source_is_named(tmp_path):
    made = init(tmp_path / "shop", toml="[source.linear]\nridge = -1\n")

    with pytest.raises(ConfigError, match="source.linear.ridge"):
        Shop(made)


def test_evaluation_compares_the_placement_with_baselines(shop):
    report = shop.evaluate(EvaluationPlan(cutoffs=(3,)))

    names = [system.name for system in report.systems]
    assert names[0] == "popular"
    assert "recommended-for-you" in names
    assert report.n_cases > 0
    assert "ndcg@3" in table_text(report)


def test_evaluation_leaves_the_shop_as_it_was(shop):
    before = {name: spec.artifacts.current(name)[1].version for name, spec in shop.specs.items()}

    shop.evaluate(EvaluationPlan(protocol="temporal"))

    assert {name: spec.artifacts.current(name)[1].version for name, spec in shop.specs.items()} == before
