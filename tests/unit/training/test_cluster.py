"""The way to a Ray cluster: what is no address, and where nothing answers."""

from __future__ import annotations

import socket
import time

import pytest

from aisle.errors import ConfigError, UnavailableError
from aisle.training.cluster import connected, ray_modules


class NotStarted:
    """Stands where Ray's module does, for what is refused before Ray is asked."""

    @staticmethod
    def is_initialized() -> bool:
        return False


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_where_nothing_answers_it_is_told_soon() -> None:
    began = time.monotonic()
    with (
        pytest.raises(
            UnavailableError, match=r"no Ray answers at 127.0.0.1:\d+ .*`ray start --head`.*encoder.ray.address"
        ),
        connected(NotStarted, f"127.0.0.1:{closed_port()}", n_cpus=1, setting="encoder.ray.address"),
    ):
        pass
    assert time.monotonic() - began < 10


def test_the_environment_names_a_cluster(monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port()}")
    with (
        pytest.raises(UnavailableError, match="no Ray answers at 127.0.0.1"),
        connected(NotStarted, None, n_cpus=1, setting="RAY_ADDRESS"),
    ):
        pass


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:first"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with (
        pytest.raises(ConfigError, match="is no address; write HOST:PORT"),
        connected(NotStarted, address, n_cpus=1, setting="encoder.ray.address"),
    ):
        pass


def test_a_missing_part_of_ray_is_named() -> None:
    pytest.importorskip("ray", reason='an extra that few need: pip install "aisle[ray]"')
    with pytest.raises(ConfigError, match="all of `pip install .*absent"):
        ray_modules("ray.absent", wanted_by="[encoder.ray]", setting="encoder.ray")
