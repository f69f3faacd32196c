"""The way to a Ray cluster: the one that is named, or one of this process alone.

Enters: an address, or none. Leaves: a connection while a block runs. Ray is an extra, imported when first asked for.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from aisle.errors import ConfigError, UnavailableError

_ANSWER_SECONDS = 5.0
"""After which a head that does not answer is given up. Ray itself waits for minutes, then ends the process."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where "0", a cluster of its own listens on 127.0.0.1 only, as Ray does by itself on Windows and macOS."""


def require_ray(wanted_by: str, setting: str) -> None:
    """Refuse at once what would need Ray later; imports nothing.

    Raises:
        ConfigError: Ray is not installed; ``wanted_by`` says what needs it, as it is written in ``aisle.toml``.
    """
    if find_spec("ray") is None:
        raise ConfigError(f'{wanted_by} needs `pip install "aisle[ray]"`', setting=setting)


def ray_modules(*names: str, wanted_by: str, setting: str) -> list[Any]:
    """Modules of Ray, by name.

    Raises:
        ConfigError: see ``require_ray``; or a part of Ray is missing.
    """
    require_ray(wanted_by, setting)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ConfigError(
            f'{wanted_by} needs all of `pip install "aisle[ray]"`; this much of Ray does not import: {error}',
            setting=setting,
        ) from error


@contextmanager
def connected(ray: ModuleType | Any, address: str | None, *, n_cpus: int, setting: str) -> Iterator[None]:
    """Within, this process is connected to a cluster; a connection that was there before stays and is used.

    Args:
        ray: the module.
        address: ``HOST:PORT`` of the cluster's head, of which this machine is a part; ``auto`` for the one that runs
            here; None for the one that ``RAY_ADDRESS`` names, else a cluster of this process, that ends with it.
        n_cpus: which a cluster of its own needs, beside one of Ray's own; it has at least those of the machine.
        setting: that names the address, for messages.

    Raises:
        ConfigError: ``address`` is no address.
        UnavailableError: nothing answers there.
    """
    if ray.is_initialized():
        yield
        return
    named = address or os.environ.get("RAY_ADDRESS") or "local"
    how: dict[str, Any] = {"address": named, "log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as stack:
        if named == "local":
            how |= {"num_cpus": max(os.cpu_count() or 1, n_cpus + 1), "include_dashboard": False}
            stack.enter_context(_closed_to_others())
        elif named != "auto":
            _require_answer(named, setting)
        try:
            ray.init(**how)
        except Exception as error:  # Ray raises whatever its parts raise
            raise UnavailableError(
                f"Ray ({named}) cannot be used: {first_line(error)}; on a machine of the cluster `ray status` tells "
                "how it is"
            ) from error
        stack.callback(ray.shutdown)
        yield


@contextmanager
def _closed_to_others() -> Iterator[None]:
    """Within, a cluster that is started listens on this machine alone."""
    constants: Any = importlib.import_module("ray._private.ray_constants")  # read when Ray was imported, maybe long ago
    before = os.environ.get(_LOOPBACK), constants.ENABLE_RAY_CLUSTER
    os.environ[_LOOPBACK], constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[_LOOPBACK]
        else:
            os.environ[_LOOPBACK] = before[0]


def _require_answer(address: str, setting: str) -> None:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ConfigError(
            f"{setting} = {address!r} is no address; write HOST:PORT of the cluster's head", setting=setting
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UnavailableError(
            f"no Ray answers at {address} ({error}); is the cluster's head running there (`ray start --head`), and "
            f"may this machine reach it? See {setting}"
        ) from error


def first_line(error: BaseException) -> str:
    """The start of a message that may be a page."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
