"""Versioned models in folders: written aside, promoted in one step, rolled back the same way.

Enters: files that a model writes into a folder of its own. Leaves: that folder and its manifest, checked. Layout::

    models/<name>/<version>/manifest.json and the model's files
    models/<name>/current      the promoted versions, newest first, one a line; replaced as a whole
    models/.writing/<random>/  versions being written; swept when their writer is gone

A version appears by renaming its folder and becomes current by renaming one small file, so a reader sees either the old
or the new. A lock file orders writers of several processes; readers take no lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from aisle.contracts import Clock, Draft, Manifest
from aisle.errors import ConfigError, CorruptError, NotReadyError, UnavailableError
from aisle.storage.durable import flush, flush_tree, move

MANIFEST = "manifest.json"
KEPT_VERSIONS = 3
"""Versions of one model that stay on disk; the current one and the one before it always do."""

_CURRENT = "current"
_WRITING = ".writing"
_LOCK = ".lock"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_CHUNK_BYTES = 2**20
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES)


def now_ms() -> int:
    """The system's clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class FolderArtifacts:
    """``contracts.ArtifactStore`` in a folder. Safe to use from several threads and processes on one machine."""

    def __init__(self, folder: Path, *, clock: Clock = now_ms, kept_versions: int = KEPT_VERSIONS) -> None:
        if kept_versions < 2:
            raise ConfigError(f"kept_versions is {kept_versions}; at least 2 are needed to roll back")
        self._folder = folder
        self._clock = clock
        self._kept_versions = kept_versions

    @contextmanager
    def write(
        self,
        name: str,
        kind: str,
        *,
        data_seq: int,
        config: Mapping[str, Any],
        metrics: Mapping[str, float],
    ) -> Iterator[Draft]:
        """A folder to fill; leaving the context without an error makes it a version (not yet current).

        Versions beyond those kept are deleted, so that a model which never becomes current does not fill the disk.
        Its name is known, as ``Draft.version``, once the context was left.

        Raises:
            ConfigError: ``name`` cannot be a folder's name.
            UnavailableError: the disk is full or does not take the files.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} cannot name a model; allowed: letters, digits, '_', '-' and '.' inside")
        with _writing(self._folder), self._staging() as aside:
            draft = Draft(aside)
            yield draft
            files = {path: _sha256(aside / path) for path in _files(aside)}
            with self._locked():
                version = self._next_version(name)
                manifest = Manifest(name, version, kind, self._clock(), data_seq, dict(config), dict(metrics), files)
                (aside / MANIFEST).write_bytes(orjson.dumps(asdict(manifest), option=_JSON))
                flush_tree(aside)
                (self._folder / name).mkdir(exist_ok=True)
                aside.rename(self._folder / name / version)
                flush(self._folder / name)
                flush(self._folder)
                draft.version = version
                self._prune(name, self._promoted(name))

    def promote(self, name: str, version: str | None = None) -> Manifest:
        """Make a version (default: the newest) the current one; versions beyond those kept are deleted.

        Raises:
            NotReadyError: there is no such version.
            CorruptError: a file of it is damaged; the current version stays.
        """
        with _writing(self._folder), self._locked():
            known = self._version_names(name)
            chosen = (known[-1] if known else None) if version is None else version
            if chosen not in known:
                what = (
                    f"no version of model {name!r}" if version is None else f"no version {version!r} of model {name!r}"
                )
                raise NotReadyError(
                    f"{what}; known: {', '.join(known) or 'none'}. Run `aisle train`", command="aisle train"
                )
            manifest = self._check(name, chosen)
            promoted = [chosen, *(other for other in self._promoted(name) if other != chosen)]
            self._point(name, promoted)
            self._prune(name, promoted)
            return manifest

    def rollback(self, name: str) -> Manifest:
        """Make the version current that was so before.

        Raises:
            NotReadyError: nothing was current before.
            CorruptError: a file of the earlier version is damaged; the current version stays.
        """
        with _writing(self._folder), self._locked():
            earlier = [version for version in self._promoted(name)[1:] if version in self._version_names(name)]
            if not earlier:
                raise NotReadyError(
                    f"model {name!r} has no earlier version to go back to. Run `aisle train`", command="aisle train"
                )
            manifest = self._check(name, earlier[0])
            self._point(name, earlier)
            return manifest

    def current(self, name: str) -> tuple[Path, Manifest] | None:
        """Folder and manifest of the current version, checked; None when nothing was promoted.

        Raises:
            CorruptError: a file is damaged; the message says how it is made again.
        """
        while promoted := self._promoted(name):
            try:
                return self._folder / name / promoted[0], self._check(name, promoted[0])
            except CorruptError:
                if self._promoted(name)[:1] == promoted[:1]:
                    raise
                # Another process promoted meanwhile and deleted the old version under our eyes: look again.
        return None

    def open(self, name: str, version: str) -> tuple[Path, Manifest]:
        """Folder and manifest of any version that is kept, checked; what is current stays so.

        Raises:
            NotReadyError: there is no such version; versions beyond those kept are deleted.
            CorruptError: a file is damaged.
        """
        known = self._version_names(name)
        if version not in known:
            raise NotReadyError(
                f"no version {version!r} of model {name!r} is kept; known: {', '.join(known) or 'none'}",
                command="aisle train",
            )
        return self._folder / name / version, self._check(name, version)

    def promoted(self, name: str) -> str | None:
        """The current version's name, None when nothing was promoted; reads one line and checks nothing."""
        return next(iter(self._promoted(name)), None)

    def versions(self, name: str) -> list[Manifest]:
        """All versions, oldest first."""
        return [self._manifest(name, version) for version in self._version_names(name)]

    def names(self) -> list[str]:
        """The models that have a current version, in alphabetical order; reads one line of each and checks nothing."""
        found = (path.parent.name for path in self._folder.glob(f"*/{_CURRENT}"))
        return sorted(name for name in found if _NAME.fullmatch(name) and self._promoted(name))

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """A fresh folder, locked while we live, deleted unless it was moved away."""
        with self._locked():  # so that no other sweep finds our folder before it is locked
            (self._folder / _WRITING).mkdir(exist_ok=True)
            self._sweep()
            aside = Path(tempfile.mkdtemp(dir=self._folder / _WRITING))
            handle = os.open(aside, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield aside
        finally:
            if aside.exists():
                shutil.rmtree(aside)
            os.close(handle)

    def _version_names(self, name: str) -> list[str]:
        folder = self._folder / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name.isdigit())

    def _next_version(self, name: str) -> str:
        known = self._version_names(name) + self._promoted(name)
        return f"{1 + max((int(version) for version in known), default=0):06d}"

    def _promoted(self, name: str) -> list[str]:
        try:
            return (self._folder / name / _CURRENT).read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []

    def _point(self, name: str, promoted: list[str]) -> None:
        """Replace the list of promoted versions in one step that survives a power cut."""
        folder = self._folder / name
        aside = folder / f".{_CURRENT}"
        aside.write_text("\n".join(promoted) + "\n", encoding="ascii")
        move(aside, folder / _CURRENT)

    def _prune(self, name: str, promoted: list[str]) -> None:
        known = self._version_names(name)
        needed = {*promoted[:2], *known[-self._kept_versions :]}
        for version in known:
            if version not in needed:
                doomed = self._folder / _WRITING / f"deleted-{name}-{version}"
                (self._folder / name / version).rename(doomed)
                shutil.rmtree(doomed)

    def _manifest(self, name: str, version: str) -> Manifest:
        path = self._folder / name / version / MANIFEST
        try:
            return Manifest(**orjson.loads(path.read_bytes()))
        except OSError as error:
            raise _unreadable(path, error) from error
        except (ValueError, TypeError) as error:
            raise _damaged(path, f"cannot be read ({type(error).__name__})") from error

    def _check(self, name: str, version: str) -> Manifest:
        manifest = self._manifest(name, version)
        folder = self._folder / name / version
        for path, expected in manifest.files.items():
            try:
                found = _sha256(folder / path)
            except OSError as error:
                raise _unreadable(folder / path, error) from error
            if found != expected:
                raise _damaged(folder / path, "does not have the content it was written with")
        return manifest

    def _sweep(self) -> None:
        """Delete what writers left behind that are gone: a living one holds a lock on its folder."""
        for path in (self._folder / _WRITING).iterdir():
            with _lock_if_free(path) as is_free:
                if is_free:
                    shutil.rmtree(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_INDENT_2


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise UnavailableError(f"models cannot be written to {folder}: {error}; check space and permissions") from error


@contextmanager
def _lock_if_free(folder: Path) -> Iterator[bool]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> CorruptError:
    """A file that is not there is damage; whatever else keeps us from reading one may pass."""
    if isinstance(error, FileNotFoundError):
        return _damaged(path, "is missing")
    return CorruptError(
        f"{path} cannot be read ({error.strerror}); see the disk, its permissions and the number of open files. "
        "If it stays so, run `aisle train` to make the model again",
        path=str(path),
        may_pass=True,
    )


def _damaged(path: Path, what: str) -> CorruptError:
    return CorruptError(f"{path} {what}; run `aisle train` to make the model again", path=str(path))
