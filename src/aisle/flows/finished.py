"""A version that was learned and written but does not answer yet, so that a run stopped there does not learn it again.

Enters: a run's own folder. Leaves: the version that it noted there. Knows nothing of how versions come to answer.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aisle.contracts import ArtifactStore, Manifest
from aisle.storage.durable import move

_NOTE = "version.txt"


def note_finished(own: Path, version: str) -> None:
    """Note in the run's folder ``own`` that its model is kept as ``version``."""
    new = own / f".{_NOTE}"
    new.write_text(version, encoding="ascii")
    move(new, own / _NOTE)


def finished(own: Path, name: str, config: Mapping[str, Any], artifacts: ArtifactStore) -> Manifest | None:
    """The version of the model ``name`` that a run in ``own`` was about to let answer when it was stopped.

    None where there is none, it is no longer kept, or it was written with another ``config`` than this. Where it
    answers already nothing is left to go on from, so that ``own`` goes.
    """
    note = own / _NOTE
    version = note.read_text(encoding="ascii") if note.is_file() else None
    if version is None:
        return None
    if artifacts.promoted(name) == version:
        shutil.rmtree(own)
        return None
    return next((one for one in artifacts.versions(name) if one.version == version and one.config == config), None)
