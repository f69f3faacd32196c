"""What the status page tells of a shop, gathered in one go. Runs in a thread: it reads files and counts rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from aisle.contracts import ArtifactStore, Manifest
from aisle.errors import AisleError, CorruptError
from aisle.flows.diagnose import Finding
from aisle.flows.stages import RANKER, STATISTICS
from aisle.ranking.gate import PASSED
from aisle.shop import Shop

MOST_FILES, MOST_REFUSALS = 5, 5
_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class Model:
    """One model: what is promoted, what answers, and why it does not."""

    name: str
    kind: str | None
    promoted: Manifest | None
    newest: Manifest | None
    in_service: str | None
    failure: str | None
    n_versions: int

    @property
    def verdict(self) -> Manifest | None:
        """The version whose gate is told: the newest one, which may have failed; None where there is no gate."""
        return self.newest if self.newest is not None and PASSED in self.newest.metrics else None

    @property
    def is_awaited(self) -> bool:
        """Whether it is the ranker before its first training, without which lists follow the sources' scores."""
        return self.name == RANKER and self.newest is None and self.failure is None


@dataclass(frozen=True)
class RefusedFile:
    """Refusals of one import: when, how many, and the last of them."""

    time_ms: int
    n_refusals: int
    last: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Gathered:
    """Everything but the rates, which the process keeps itself."""

    counts: Mapping[str, int]
    findings: Sequence[Finding]
    models: Sequence[Model]
    refused: Sequence[RefusedFile]


def gather(shop: Shop) -> Gathered:
    """As it is now."""
    return Gathered(shop.counts(), shop.doctor(), _models(shop), refused_files(shop.folder.refusals))


def _models(shop: Shop) -> list[Model]:
    stores: dict[str, ArtifactStore] = {name: spec.artifacts for name, spec in shop.specs.items()}
    stores[shop.ranker.name] = shop.ranker.artifacts
    lineup = shop.live.stages.lineup if shop.counts()["items"] else None
    in_service = lineup.versions if lineup else {}
    failures = lineup.failures if lineup else {}
    models = []
    for name, artifacts in stores.items():
        try:
            versions = artifacts.versions(name)
            current = artifacts.current(name)
            damage = None
        except CorruptError as error:
            versions, current, damage = [], None, str(error)
        promoted = current[1] if current else None
        newest = versions[-1] if versions else None
        failure = damage or failures.get(name)
        kind = newest.kind if newest else None
        models.append(Model(name, kind, promoted, newest, in_service.get(name), failure, len(versions)))
    return sorted(models, key=lambda model: (model.name not in (RANKER, STATISTICS), model.name))


def refused_files(folder: Path) -> list[RefusedFile]:
    """The latest reports of imports with refusals, newest first; a file that cannot be read is left out."""
    files = sorted(folder.glob("*.jsonl"), key=lambda file: file.name, reverse=True) if folder.is_dir() else []
    found = []
    for file in files[:MOST_FILES]:
        try:
            found.append(_refused(file))
        except (OSError, ValueError, AisleError):
            continue
    return found


def _refused(file: Path) -> RefusedFile:
    """Counts all lines, reads only the end of the file."""
    with file.open("rb") as content:
        n_lines = sum(block.count(b"\n") for block in iter(lambda: content.read(2**20), b""))
        content.seek(max(content.tell() - _TAIL_BYTES, 0))
        lines = content.read().splitlines()
    last = [orjson.loads(line) for line in lines[-MOST_REFUSALS:]]
    time_ms = file.stem.partition("-")[0]  # the name is the time, and something that tells two of one moment apart
    return RefusedFile(int(time_ms) if time_ms.isdecimal() else int(file.stat().st_mtime * 1000), n_lines, last)
