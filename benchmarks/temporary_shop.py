"""A shop made for one benchmark: an empty folder, files imported by their mappings, chosen sources trained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aisle
from aisle.contracts import Clock
from aisle.shop import Shop
from benchmarks.result import Run

MAPPINGS = Path(__file__).resolve().parent.parent / "examples" / "mappings"


@contextmanager
def temporary_shop(toml: str, clock: Clock) -> Iterator[Shop]:
    """A new shop with the settings in ``toml``, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="aisle-benchmark-") as folder:
        root = Path(folder) / "shop"
        aisle.init(root, toml=toml)
        with aisle.open(root, clock=clock) as shop:
            yield shop


def fill(shop: Shop, files: Mapping[str, Path], run: Run) -> None:
    """Import each file by the mapping of ``examples/mappings`` it is named by, and say what came of it."""
    for mapping, path in files.items():
        report = shop.import_files([path], MAPPINGS / f"{mapping}.toml")
        run.say(f"{mapping}: {report.n_new} new, {report.n_refused} refused, {report.n_suspect} suspected robots")
        if report.failures:
            raise SystemExit(f"{path} was not read to its end: {report.failures[0]}")
