"""Long work in a process of its own: training that goes on while every worker answers, and that all of them can show.

Enters: a shop folder. Leaves: jobs, each a few files under ``jobs/`` of it: what was asked (``.json``), the process
(``.pid``), how far it is (``.progress``), what the command printed (``.out``, ``.err``) and how it ended (``.end``). A
lock that the command's process holds says whether it still runs, whatever has become of the worker that started it.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from aisle.contracts import Clock
from aisle.errors import UnavailableError
from aisle.flows.adapt import ENCODER

_STOPPED = "it was stopped; adapt and compress go on where they were when they are started again"
PROGRESS_FILE = "AISLE_PROGRESS_FILE"
"""Environment variable: where a command that nobody watches writes how far it is; see ``cli.screen.Bars``."""
JOB_ID = re.compile(r"[0-9a-f]{32}")
MOST_KEPT = 50
Kind = Literal["train", "adapt", "compress"]
_NOT_BETTER: Mapping[Kind, str] = {
    "adapt": "the new model finds no more than the old one, beyond chance, and does not answer",
    "compress": "the smaller model loses more than the settings allow, and does not answer",
}
"""Jobs whose files are kept; older ones are removed."""


class BusyError(Exception):
    """A job is running already; ``job_id`` names it."""

    def __init__(self, job_id: str | None) -> None:
        super().__init__("training is running already")
        self.job_id = job_id


@dataclass(frozen=True)
class Asked:
    """What a job is to do."""

    kind: Kind = "train"
    names: tuple[str, ...] | None = None
    """For ``train``: which models; None for all."""
    size: str | None = None
    """For ``adapt`` and ``compress``: how long; None as the settings say."""

    def arguments(self, shop: Path) -> list[str]:
        """Of the command line."""
        options = [part for name in self.names or () for part in ("--source", name)]
        options += [] if self.size is None else ["--size", self.size]
        return [self.kind, str(shop), "--json", *options]


@dataclass(frozen=True)
class Job:
    """A job as it stands now."""

    job_id: str
    status: Literal["running", "succeeded", "failed"]
    kind: Kind
    names: tuple[str, ...] | None
    started_ms: int
    finished_ms: int | None = None
    trained: tuple[dict[str, str], ...] = ()
    message: str | None = None
    progress: dict[str, Any] | None = None
    metrics: dict[str, float] | None = None


class Jobs:
    """The jobs of a shop; safe to use from several threads and processes."""

    def __init__(self, shop: Path, clock: Clock) -> None:
        self.folder = shop / "jobs"
        self._shop = shop
        self._clock = clock

    def start(self, asked: Asked) -> Job:
        """Start a command in a process of its own.

        Raises:
            BusyError: one is running.
            UnavailableError: the process cannot be started.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            lock = (self.folder / "lock").open("a+b")
        except OSError as error:
            raise UnavailableError(f"jobs cannot be written ({error.strerror}); check the shop's disk") from error
        with lock:
            if not _taken(lock.fileno()):
                raise BusyError(self._running_id())
            job_id = uuid.uuid4().hex
            started_ms = self._clock()
            try:
                (self.folder / f"{job_id}.json").write_bytes(orjson.dumps({**asdict(asked), "started_ms": started_ms}))
                (self.folder / "current").write_text(job_id, encoding="ascii")
                process = self._run(job_id, asked, lock.fileno())
                (self.folder / f"{job_id}.pid").write_text(str(process.pid), encoding="ascii")
            except OSError as error:
                raise UnavailableError(f"training cannot be started ({error.strerror}); try again later") from error
        threading.Thread(target=self._wait_for, args=(job_id, process), name="job", daemon=True).start()
        self._sweep()
        return Job(job_id, "running", asked.kind, asked.names, started_ms)

    def stop(self, job_id: str) -> Job | None:
        """End a job that runs, as it stands; what was begun goes on when the same is started again.

        Returns:
            The job before it ended; None for an unknown one. One that runs no more stays as it is.
        """
        job = self.read(job_id)
        if job is not None and job.status == "running":
            pid = self.folder / f"{job_id}.pid"
            with suppress(OSError, ValueError):  # it has just ended, or just begun
                if self._running_id() == job_id:
                    os.killpg(int(pid.read_text(encoding="ascii")), signal.SIGTERM)
        return job

    def read(self, job_id: str) -> Job | None:
        """A job as it stands now; None for an unknown one."""
        if JOB_ID.fullmatch(job_id) is None:
            return None
        asked = _json(self.folder / f"{job_id}.json")
        if asked is None:
            return None
        told = asked["kind"], None if asked["names"] is None else tuple(asked["names"]), int(asked["started_ms"])
        end = _json(self.folder / f"{job_id}.end")
        if end is None and self._running_id() == job_id:
            return Job(job_id, "running", *told, progress=_json(self.folder / f"{job_id}.progress"))
        if end is None:  # between the end of the process and its note, or the worker that waited for it is gone
            end = _json(self.folder / f"{job_id}.end") or {"status": None, "finished_ms": None}
        printed = _json(self.folder / f"{job_id}.out")
        if printed is None or end["status"] not in (0, None):
            message = _STOPPED if end["status"] == -signal.SIGTERM else self._message(job_id)
            return Job(job_id, "failed", *told, end["finished_ms"], message=message)
        if asked["kind"] == "train":
            made = tuple({"source": row["source"], "version": row["version"]} for row in printed["trained"])
            return Job(job_id, "succeeded", *told, end["finished_ms"], made)
        is_answering = printed["is_answering"]
        made = ({"source": ENCODER, "version": printed["version"]},) if is_answering else ()
        message = None if is_answering else _NOT_BETTER[asked["kind"]]
        return Job(job_id, "succeeded", *told, end["finished_ms"], made, message, metrics=printed["metrics"])

    def list(self) -> list[Job]:
        """Jobs, newest first."""
        jobs = [self.read(path.stem) for path in self.folder.glob("*.json")]
        return sorted((job for job in jobs if job is not None), key=lambda job: (-job.started_ms, job.job_id))

    def _run(self, job_id: str, asked: Asked, lock: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aisle", *asked.arguments(self._shop)]
        environment = {**os.environ, PROGRESS_FILE: str(self.folder / f"{job_id}.progress")}
        with (self.folder / f"{job_id}.out").open("wb") as out, (self.folder / f"{job_id}.err").open("wb") as err:
            # A session of its own: stopping the server does not stop the training.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=[lock],
                start_new_session=True,
                env=environment,
            )

    def _wait_for(self, job_id: str, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        written = self.folder / f"{job_id}.end.new"
        written.write_bytes(orjson.dumps({"status": status, "finished_ms": self._clock()}))
        written.replace(self.folder / f"{job_id}.end")

    def _running_id(self) -> str | None:
        """The job whose process holds the lock."""
        try:
            with (self.folder / "lock").open("rb") as lock:
                if _taken(lock.fileno()):
                    return None
            return (self.folder / "current").read_text(encoding="ascii")
        except OSError:
            return None

    def _message(self, job_id: str) -> str:
        """The last line that the command complained with."""
        try:
            text = (self.folder / f"{job_id}.err").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:1_000] if lines else "the training was interrupted; start it again"

    def _sweep(self) -> None:
        for job in self.list()[MOST_KEPT:]:
            for path in self.folder.glob(f"{job.job_id}.*"):
                path.unlink(missing_ok=True)


def _taken(lock: int) -> bool:
    """Take the lock of an open file; False when somebody else has it. It is let go of when the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
