"""A run that was stopped before its version answered finds it again, and no other."""

from __future__ import annotations

from pathlib import Path

from aisle.flows.finished import finished, note_finished
from aisle.storage import FolderArtifacts


def test_it_is_found_until_it_answers_and_only_with_its_own_settings(tmp_path: Path) -> None:
    artifacts, own = FolderArtifacts(tmp_path / "models"), tmp_path / "work"
    own.mkdir()
    assert finished(own, "encoder", {"layers": 3}, artifacts) is None
    with artifacts.write("encoder", "ModelFolder", data_seq=0, config={"layers": 3}, metrics={}) as draft:
        (draft.folder / "weights").write_text("1")
    note_finished(own, draft.version)

    found = finished(own, "encoder", {"layers": 3}, artifacts)
    assert found is not None
    assert found.version == draft.version
    assert finished(own, "encoder", {"layers": 2}, artifacts) is None
    assert own.exists()

    artifacts.promote("encoder", draft.version)  # and killed before its folder was removed
    assert finished(own, "encoder", {"layers": 3}, artifacts) is None
    assert not own.exists()
