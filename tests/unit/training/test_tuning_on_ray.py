"""Trials of a search run in processes of a real Ray; one that dies goes on, one that fails counts, all are told."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aisle.errors import ConfigError, DataError
from aisle.training.cluster import connected, ray_modules
from aisle.training.tuning import OnRay, Trained, parse_space, tune
from aisle.training.watching import tell

SPACE = parse_space(["rate=0.0..1.0"])


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason='an extra that few need: pip install "aisle[ray]"')
    (ray,) = ray_modules("ray", wanted_by="a test", setting="test")
    with connected(ray, None, n_cpus=2, setting="test"):
        yield ray


def never(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
    raise AssertionError("a trial ran here")


def eventful(here: int) -> Trained:
    """Trial 1 is killed once, half-way; trial 2 cannot be trained."""

    def trained(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
        assert os.getpid() != here
        work.mkdir(parents=True, exist_ok=True)
        half = work / "half"
        if work.name == "trial-0001" and not half.exists():
            half.write_text(str(settings["rate"]), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
        if work.name == "trial-0001":
            assert half.read_text(encoding="utf-8") == str(settings["rate"])
        if work.name == "trial-0002":
            raise DataError("the loss is nan")
        tell(1, {"ndcg": settings["rate"]})
        return {"ndcg": settings["rate"]}

    return trained


@pytest.mark.timeout(600)  # Ray starts a dozen processes
def test_trials_run_elsewhere_and_what_dies_goes_on(cluster, tmp_path: Path) -> None:
    heard = []
    there = OnRay(2, eventful(os.getpid()))

    tuned = tune(
        never, SPACE, tmp_path, metric="ndcg", n_trials=6, on_ray=there, progress=lambda *told: heard.append(told)
    )

    assert sorted(one.number for one in tuned.trials) == list(range(6))
    assert {one.number for one in tuned.trials if one.state == "failed"} == {2}
    assert tuned.trials[-1].why == "the loss is nan"
    assert all(one.value == one.settings["rate"] for one in tuned.trials if one.state != "failed")
    assert heard[-1][1:] == (6, 6)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    again = tune(never, SPACE, tmp_path, metric="ndcg", n_trials=6, on_ray=there)
    assert again == tuned


@pytest.mark.timeout(600)
def test_a_wrong_setting_is_told_at_once(cluster, tmp_path: Path) -> None:
    def refusing(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
        raise ConfigError("layers: 2 are allowed")

    with pytest.raises(ConfigError, match="2 are allowed"):
        tune(never, SPACE, tmp_path, metric="ndcg", n_trials=4, on_ray=OnRay(1, refusing))


def test_what_cannot_be_sent_is_refused(cluster, tmp_path: Path) -> None:
    file = (tmp_path / "open").open("w")

    def holding(settings: Mapping[str, Any], work: Path) -> dict[str, float]:
        return {"ndcg": float(file.closed)}

    with pytest.raises(ConfigError, match="cannot be sent to other processes"):
        tune(never, SPACE, tmp_path / "search", metric="ndcg", n_trials=4, on_ray=OnRay(1, holding))
    file.close()


def test_without_the_extra_it_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("aisle.training.cluster.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'`pip install "aisle\[ray\]"`'):
        tune(never, SPACE, tmp_path, metric="ndcg", n_trials=1, on_ray=OnRay(1, never))
