"""A reader sees an old or a new version, whole; what was left half done is swept; damage is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from aisle.contracts import Manifest
from aisle.errors import ConfigError, CorruptError, NotReadyError
from aisle.storage import FolderArtifacts


def store(folder: Path, kept_versions: int = 3) -> FolderArtifacts:
    return FolderArtifacts(folder, clock=lambda: 1_234, kept_versions=kept_versions)


def write(artifacts: FolderArtifacts, content: str, name: str = "linear") -> None:
    with artifacts.write(name, "ease", data_seq=7, config={"ridge": 50}, metrics={"n_items": 3.0}) as draft:
        (draft.folder / "weights.npz").write_text(content)
        (draft.folder / "index").mkdir()
        (draft.folder / "index" / "part").write_text(content * 2)


def content(artifacts: FolderArtifacts, name: str = "linear") -> str:
    found = artifacts.current(name)
    assert found is not None
    return (found[0] / "weights.npz").read_text()


def test_a_version_is_invisible_until_promoted_and_its_manifest_tells_what_it_is(tmp_path: Path) -> None:
    artifacts = store(tmp_path / "models")
    write(artifacts, "one")

    assert artifacts.current("linear") is None
    promoted = artifacts.promote("linear")

    assert artifacts.current("linear") == (tmp_path / "models" / "linear" / promoted.version, promoted)
    assert isinstance(promoted, Manifest)
    assert (promoted.kind, promoted.created_ms, promoted.data_seq) == ("ease", 1_234, 7)
    assert (promoted.config, promoted.metrics) == ({"ridge": 50}, {"n_items": 3.0})
    assert sorted(promoted.files) == ["index/part", "weights.npz"]
    assert artifacts.versions("linear") == [promoted]


def test_promotion_and_rollback_choose_between_versions(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    for text in ("one", "two", "three"):
        write(artifacts, text)
        artifacts.promote("linear")

    assert content(artifacts) == "three"
    artifacts.rollback("linear")
    assert content(artifacts) == "two"
    artifacts.rollback("linear")
    assert content(artifacts) == "one"
    with pytest.raises(NotReadyError, match="no earlier version"):
        artifacts.rollback("linear")
    artifacts.promote("linear", artifacts.versions("linear")[1].version)
    assert content(artifacts) == "two"


def test_a_version_that_does_not_exist_cannot_be_promoted(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    with pytest.raises(NotReadyError, match="aisle train"):
        artifacts.promote("linear")
    write(artifacts, "one")
    with pytest.raises(NotReadyError, match="000001"):
        artifacts.promote("linear", "000009")


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    artifacts = store(tmp_path)

    def fail() -> None:
        with artifacts.write("linear", "ease", data_seq=0, config={}, metrics={}) as draft:
            (draft.folder / "half").write_text("half")
            raise ValueError("does not converge")

    with pytest.raises(ValueError, match="does not converge"):
        fail()

    assert artifacts.versions("linear") == []
    assert list((tmp_path / ".writing").iterdir()) == []


def test_old_versions_go_but_never_the_current_one_or_the_one_before(tmp_path: Path) -> None:
    artifacts = store(tmp_path, kept_versions=2)
    for text in ("one", "two"):
        write(artifacts, text)
        artifacts.promote("linear")
    for text in ("three", "four"):
        write(artifacts, text)
    artifacts.promote("linear", "000002")

    assert [manifest.version for manifest in artifacts.versions("linear")] == ["000001", "000002", "000003", "000004"]
    write(artifacts, "five")
    artifacts.promote("linear")

    assert [manifest.version for manifest in artifacts.versions("linear")] == ["000002", "000004", "000005"]
    assert content(artifacts) == "five"
    artifacts.rollback("linear")
    assert content(artifacts) == "two"


def test_versions_that_are_never_promoted_go_as_well(tmp_path: Path) -> None:
    artifacts = store(tmp_path, kept_versions=2)
    for text in ("one", "two"):
        write(artifacts, text)
        artifacts.promote("linear")
    for number in range(5):
        write(artifacts, f"not good enough {number}")

    kept = [manifest.version for manifest in artifacts.versions("linear")]
    assert kept == ["000001", "000002", "000006", "000007"]
    assert content(artifacts) == "two"
    artifacts.rollback("linear")
    assert content(artifacts) == "one"


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_a_damaged_version_is_told_when_opened(tmp_path: Path, damage: str) -> None:
    artifacts = store(tmp_path)
    write(artifacts, "one")
    artifacts.promote("linear")
    folder = tmp_path / "linear" / "000001"
    if damage == "change":
        (folder / "index" / "part").write_text("oneOne")
    elif damage == "remove":
        (folder / "weights.npz").unlink()
    else:
        (folder / "manifest.json").write_text("{")

    with pytest.raises(CorruptError, match="aisle train") as caught:
        artifacts.current("linear")

    assert caught.value.path is not None
    assert caught.value.path.startswith(str(folder))


def test_a_file_that_cannot_be_read_just_now_is_not_called_damaged_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = store(tmp_path)
    write(artifacts, "one")
    artifacts.promote("linear")

    def fail(path: Path) -> str:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("aisle.storage.artifacts._sha256", fail)
        with pytest.raises(CorruptError, match="Too many open files") as caught:
            artifacts.current("linear")
    assert caught.value.may_pass
    assert content(artifacts) == "one"

    (tmp_path / "linear" / "000001" / "weights.npz").unlink()
    with pytest.raises(CorruptError, match="is missing") as caught:
        artifacts.current("linear")
    assert not caught.value.may_pass


def test_a_damaged_version_is_not_promoted(tmp_path: Path) -> None:
    artifacts = store(tmp_path)
    write(artifacts, "one")
    artifacts.promote("linear")
    write(artifacts, "two")
    (tmp_path / "linear" / "000002" / "weights.npz").write_text("TWO")

    with pytest.raises(CorruptError):
        artifacts.promote("linear")
    assert content(artifacts) == "one"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    artifacts = store(tmp_path)
    with pytest.raises(ConfigError, match="cannot name"):
        write(artifacts, "one", name)
    assert artifacts.versions(name) == []


def test_too_few_kept_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="roll back"):
        store(tmp_path, kept_versions=1)


def test_a_reader_sees_whole_versions_while_others_write(tmp_path: Path) -> None:
    artifacts = store(tmp_path, kept_versions=2)
    write(artifacts, "0")
    artifacts.promote("linear")
    is_over = threading.Event()
    seen: set[str] = set()
    failures: list[Exception] = []

    def read() -> None:
        reader = store(tmp_path)
        while not is_over.is_set():
            try:
                found = reader.current("linear")
                assert found is not None
                seen.add(found[1].version)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(1, 25):
        write(artifacts, str(n))
        artifacts.promote("linear")
    is_over.set()
    thread.join()

    assert failures == []
    assert len(seen) > 1


def test_what_a_killed_writer_left_is_swept_but_a_living_writers_folder_is_not(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from aisle.storage import FolderArtifacts
        with FolderArtifacts(Path(sys.argv[1])).write("linear", "ease", data_seq=0, config={}, metrics={}) as draft:
            (draft.folder / "half").write_text("half")
            print("writing", flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        artifacts = store(tmp_path)
        write(artifacts, "one")
        assert len(list((tmp_path / ".writing").iterdir())) == 1
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    write(artifacts, "two")

    assert list((tmp_path / ".writing").iterdir()) == []
    assert [manifest.version for manifest in artifacts.versions("linear")] == ["000001", "000002"]
