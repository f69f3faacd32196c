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


def test_two_trainings_at_once_promote_each_what_it_wrote(shop, tiny, monkeypatch):
    artifacts = shop.specs["popular"].artifacts
    promote, seq = artifacts.promote, shop.records.counts()["seq"]

    def promote_after_another_process(name, version=None):
        with Shop.open(shop.folder.root, clock=tiny.clock) as other:
            other.add_events([Event("newcomer", EventType.PURCHASE, NOW_MS, "headphones")])
            other.train(["popular"])
        return promote(name, version)

    monkeypatch.setattr(artifacts, "promote", promote_after_another_process)

    (manifest,) = shop.train(["popular"])

    assert manifest.data_seq == seq
    assert artifacts.current("popular")[1] == manifest
    assert [version.version for version in artifacts.versions("popular")][-2:] == [manifest.version, "000003"]


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


@pytest.mark.parametrize("placement", ["similar-items", "frequently-bought-together"])
def test_a_placement_about_items_is_asked_about_the_last_item_of_the_history(shop, monkeypatch, placement):
    asked = []
    implementation = shop.specs["item_neighbours"].implementation
    retrieve = implementation.retrieve

    def noted(self, requests, n):
        asked.extend(requests)
        return retrieve(self, requests, n)

    monkeypatch.setattr(implementation, "retrieve", noted)
    report = shop.evaluate(EvaluationPlan(placement=placement, cutoffs=(3,), is_history_removed=False))

    assert "about the last item" in " ".join(report.notes)
    assert asked
    for request in asked:
        assert request.anchor_rows.tolist() == request.excluded_rows.tolist() == request.state.item_rows[-1:].tolist()


def test_evaluation_shows_only_the_placement_s_kinds(shop, monkeypatch):
    asked = []
    implementation = shop.specs["popular"].implementation
    retrieve = implementation.retrieve
    monkeypatch.setattr(
        implementation, "retrieve", lambda self, requests, n: asked.extend(requests) or retrieve(self, requests, n)
    )

    shop.evaluate(EvaluationPlan(cutoffs=(3,)))

    items = shop.read_items(shop.live.parts.catalogue.item_ids)
    assert asked[0].allowed.tolist() == [item.kind == "product" for item in items]
    assert not asked[0].allowed.all()


def test_a_placement_named_like_a_source_keeps_its_own_line(shop):
    report = shop.evaluate(EvaluationPlan(placement="popular", cutoffs=(3,)))

    assert {"popular", "placement popular"} <= {system.name for system in report.systems}


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (EvaluationPlan(placement="search"), "judged queries"),
        (EvaluationPlan(protocol="tempral"), "Did you mean 'temporal'"),  # type: ignore[arg-type]
    ],
)
def test_what_evaluation_cannot_measure_is_refused(shop, plan, says):
    with pytest.raises(ConfigError, match=says):
        shop.evaluate(plan)


def test_evaluation_leaves_the_shop_as_it_was(shop):
    before = {name: spec.artifacts.current(name)[1].version for name, spec in shop.specs.items()}

    shop.evaluate(EvaluationPlan(protocol="temporal"))

    assert {name: spec.artifacts.current(name)[1].version for name, spec in shop.specs.items()} == before


def test_asking_questions_makes_no_model_stale(shop):
    for _ in range(20):
        shop.search_many(["tea", "kettle", "boots", "camera"])

    assert not [finding.what for finding in shop.doctor() if "trained before more than" in finding.what]


def test_many_new_events_make_models_stale(shop, tiny):
    n_rows = len(tiny.items) + len(tiny.events)
    shop.add_events(
        [Event(user_id=f"new{i}", type=EventType.VIEW, time_ms=NOW_MS, item_id="kettle") for i in range(n_rows)]
    )

    stale = [finding.command for finding in shop.doctor() if "trained before more than" in finding.what]

    assert stale == [f"aisle train {shop.folder.root}"]


def test_the_doctor_names_the_version_that_serves(shop):
    shop.train(["linear"])
    shop.specs["linear"].artifacts.rollback("linear")

    assert "source linear serves, version 000001" in [finding.what for finding in shop.doctor()]


def test_a_rolled_back_source_answers_at_once(shop):
    before = shop.recommend("popular").slate.versions["popular"]
    shop.train(["popular"])
    assert shop.recommend("popular").slate.versions["popular"] != before

    assert shop.rollback("popular").version == before

    response = shop.recommend("popular")
    assert response.slate.versions["popular"] == before
    assert response.item_ids
    assert response.degraded == ()


def test_what_to_run_names_the_shop(shop, trained_folder):
    (shop.folder.settings).write_text("[source.linear]\nridge = 77.0\n")
    with Shop(shop.folder) as changed:
        (problem,) = problems(changed)

    assert f"run `aisle train {shop.folder.root} --source linear`" in problem
