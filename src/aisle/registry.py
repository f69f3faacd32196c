"""Finds implementations by name through entry points, built-in ones and plug-ins alike."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from aisle.errors import ConfigError, ContractError, unknown_name

GROUPS = ("aisle.sources", "aisle.encoders", "aisle.rankers", "aisle.chat_models")
"""The kinds of thing a plug-in can bring."""


def registered(group: str) -> list[str]:
    """Names in ``group``, sorted."""
    return sorted(entry_points(group=group).names)


def find(group: str, name: str) -> Any:
    """The class registered as ``name``.

    Raises:
        ConfigError: no such name; the message lists the known ones.
        ContractError: the plug-in that brings it does not import.
    """
    points = entry_points(group=group)
    if name not in points.names:
        what = group.removeprefix("aisle.").removesuffix("s").replace("_", " ")
        raise ConfigError(unknown_name(what, name, points.names))
    point = points[name]
    try:
        return point.load()
    except Exception as error:
        raise ContractError(f"{group} plug-in {name!r} ({point.value}) does not load: {error}") from error
