"""A search proposes, prunes, keeps what it tried, goes on after a kill, and refuses what it does not understand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aisle.cli.teaching import as_toml
from aisle.errors import ConfigError, DataError
from aisle.training.tuning import nested, parse_space, tune
from aisle.training.watching import is_watched, tell

SPACE = ("training.learning_rate=1e-4..1e-1:log", "layers=1..4", 'size=tiny|small|"large"')


def quality(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
    """Best at 4 layers and size large; told half-way."""
    del work
    value = settings["layers"] + (settings["size"] == "large")
    tell(1, {"ndcg": value})
    return {"ndcg": value, "loss": -value}


def test_a_space_is_read_with_its_kinds() -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert parse_space(SPACE) == {
        "training.learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
        "layers": IntDistribution(1, 4),
        "size": CategoricalDistribution(["tiny", "small", '"large"']),
    }


@pytest.mark.parametrize(
    "wrong", ["", "layers", "layers=", "=1..2", "layers=4..1", "rate=0..1:log", "rate=1..x", "rate=1..2:cube"]
)
def test_what_is_no_space_is_refused_with_the_way_to_write_it(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"KEY=LOW\.\.HIGH"):
        parse_space([wrong])
    with pytest.raises(ConfigError, match="twice"):
        parse_space(["a=1..2", "a=1..3"])
    with pytest.raises(ConfigError, match="nothing varies"):
        parse_space([])


def test_settings_are_nested_and_read_as_toml() -> None:
    settings = {"training.learning_rate": 0.1, "training.trackers": "[]", "size": "tiny", "flag": "true"}
    assert nested(settings) == {"training": {"learning_rate": 0.1, "trackers": []}, "size": "tiny", "flag": True}


def test_what_was_found_is_told_as_the_toml_that_means_it() -> None:
    found = {
        "training.learning_rate": 3e-5,
        "training.trackers": "[]",
        "training.batch_size": "16",
        "contrast.both_ways": "true",
        "layers": 3,
        "size": "tiny",
        "said": '"16"',
    }
    told = "\n".join(as_toml("adapt", found))
    assert "batch_size = 16" in told
    assert "both_ways = true" in told
    assert tomllib.loads(told) == {"adapt": nested(found)}


def test_a_setting_that_cannot_be_met_is_told_at_once_and_later_counts_as_tried(tmp_path: Path) -> None:
    tried = []

    def picky(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
        tried.append(settings)
        if len(tried) <= 2:
            raise ConfigError("layers: 2 are allowed")
        return quality({"size": "tiny", **settings}, work)

    space = parse_space(["layers=1|2|3"])
    with pytest.raises(ConfigError, match="2 are allowed"):
        tune(picky, space, tmp_path, metric="ndcg", n_trials=4)
    tuned = tune(picky, space, tmp_path, metric="ndcg", n_trials=4)

    assert len(tried) == len(tuned.trials) == 4
    assert [one.state for one in tuned.trials].count("failed") == 2
    assert "2 are allowed" in tuned.trials[-1].why


def test_it_finds_the_best_and_tells_all(tmp_path: Path) -> None:
    tuned = tune(quality, parse_space(SPACE), tmp_path, metric="ndcg", n_trials=25)

    assert tuned.best is not None
    assert tuned.best.value == 5.0
    assert nested(tuned.best.settings)["size"] == "large"
    assert len(tuned.trials) == 25
    complete = [one.value for one in tuned.trials if one.state == "complete"]
    assert complete == sorted(complete, reverse=True)
    assert {one.state for one in tuned.trials} == {"complete", "pruned"}
    assert not is_watched()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_less_can_be_better(tmp_path: Path) -> None:
    tuned = tune(quality, parse_space(["layers=1..4", "size=tiny|large"]), tmp_path, metric="-loss", n_trials=12)
    assert tuned.best is not None
    assert tuned.best.value == -5.0


def test_trials_that_are_there_count_and_another_search_is_refused(tmp_path: Path) -> None:
    space = parse_space(["layers=1..4", "size=tiny|large"])
    calls = []

    def counted(settings: Mapping[str, Any], work: Path) -> Mapping[str, float]:
        calls.append(work)
        return quality(settings, work)

    tune(counted, space, tmp_path, metric="ndcg", n_trials=5)
    more = tune(counted, space, tmp_path, metric="ndcg", n_trials=8)

    assert len(calls) == len(more.trials) == 8
    with pytest.raises(ConfigError, match="another search"):
        tune(counted, space, tmp_path, metric="loss", n_trials=9)
    with pytest.raises(ConfigError, match="another search"):
        tune(counted, parse_space(["layers=1..5"]), tmp_path, metric="ndcg", n_trials=9)


def test_settings_that_fail_are_told_and_the_others_go_on(tmp_path: Path) -> None:
    def diverging(settings: Mapping[str, Any], work: Path) -> Mapping[str, float]:
        if settings["layers"] > 2:
            raise DataError("the loss is nan")
        return quality({**settings, "size": ""}, work)

    tuned = tune(diverging, parse_space(["layers=1..4"]), tmp_path, metric="ndcg", n_trials=12)

    assert tuned.best is not None
    assert tuned.best.value == 2.0
    failed = [one for one in tuned.trials if one.state == "failed"]
    assert failed
    assert {one.why for one in failed} == {"the loss is nan"}
    with pytest.raises(ConfigError, match=r"no such one; there are loss, ndcg"):
        tune(quality, parse_space(SPACE), tmp_path / "other", metric="recall", n_trials=1)


KILLED = """
import os, signal, sys
from pathlib import Path
from aisle.training.tuning import parse_space, tune

def trained(settings, work):
    work.mkdir(parents=True, exist_ok=True)
    if work.name == "trial-0002" and not (work / "half").exists():
        (work / "half").write_text(str(settings["rate"]))
        os.kill(os.getpid(), signal.SIGKILL)
    if work.name == "trial-0002":
        assert (work / "half").read_text() == str(settings["rate"])
    return {"ndcg": settings["rate"]}

tuned = tune(trained, parse_space(["rate=0.0..1.0"]), Path(sys.argv[1]), metric="ndcg", n_trials=5)
print(len(tuned.trials), sorted(one.state for one in tuned.trials))
"""


def test_a_killed_search_goes_on_with_the_trial_that_was_cut(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)

    assert run().returncode == -signal.SIGKILL
    second = run()
    assert second.stdout.strip() == f"5 {['complete'] * 5}", second.stderr
