"""One training in several processes that share every batch: through torch.distributed here, or through Ray Train.

Enters: what ``loop.train`` takes, where ``TrainingConfig.processes`` is above 1. Leaves: the same network, trained in
place, and ``Trained``. Each process has a copy of everything; the first writes checkpoints and the trained weights, so
that with Ray on several machines ``folder`` must be on a disk that all of them see.
"""

from __future__ import annotations

import copy
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from aisle import errors
from aisle.contracts import Progress
from aisle.errors import AisleError, ConfigError, UnavailableError
from aisle.training.checkpoints import load_trainable, trainable_state
from aisle.training.cluster import connected, ray_modules

if TYPE_CHECKING:
    from torch import nn

    from aisle.training.config import TrainingConfig
    from aisle.training.loop import Evaluate, Objective, Trained

_TRAINED, _CAME_TO, _STANDING = "trained.safetensors", "trained.json", "standing.json"
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Sent:
    """What every process gets."""

    model: nn.Module
    objective: Objective
    config: TrainingConfig
    folder: Path
    evaluate: Evaluate | None


def is_one_of_many() -> bool:
    """Whether this process is one of several that train together already, started here or by ``torchrun``."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 or torch.distributed.is_initialized()


def train_parallel(
    model: nn.Module,
    objective: Objective,
    config: TrainingConfig,
    folder: Path,
    evaluate: Evaluate | None,
    progress: Progress,
) -> Trained:
    """``loop.train`` in ``config.processes`` processes, through ``config.through``.

    Raises:
        ConfigError: something cannot be sent to another process, or Ray is not installed.
        UnavailableError: a process ended before its time.
    """
    from aisle.training.loop import Trained

    sent = Sent(model.cpu(), objective, config, folder, evaluate)
    with tempfile.TemporaryDirectory(prefix="aisle-", dir=_shared(folder)) as name:
        aside = Path(name)
        with _told(aside, progress):
            try:
                _THROUGH[config.through](sent, config.processes, aside)
            except (AttributeError, TypeError) as error:  # what Python says of things that cannot be sent
                raise ConfigError(
                    f"{objective.name}: cannot be sent to other processes ({error}); set processes = 1",
                    setting="processes",
                ) from error
        load_trainable(model, load_file(aside / _TRAINED))
        return Trained(**json.loads((aside / _CAME_TO).read_text(encoding="utf-8")))


def _shared(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _work(sent: Sent, rank: int, aside: Path) -> None:
    """What one process does."""
    from aisle.training.loop import train

    # what is sent shares memory with all others; together, as an objective may know the model
    model, objective = copy.deepcopy((sent.model, sent.objective))
    config = sent.config.model_copy(update={"processes": 1})

    def told(task: str, done: int, total: int | None = None) -> None:
        written = aside / f".{_STANDING}"
        written.write_text(json.dumps([task, done, total]), encoding="utf-8")
        written.replace(aside / _STANDING)

    def silent(task: str, done: int, total: int | None = None) -> None:
        del task, done, total

    try:
        trained = train(
            model,
            objective,
            config,
            sent.folder,
            evaluate=sent.evaluate,
            progress=told if rank == 0 else silent,
        )
    except AisleError as error:
        (aside / f"error-{rank}.json").write_text(json.dumps([type(error).__name__, str(error)]), encoding="utf-8")
        raise
    if rank == 0:
        save_file(trainable_state(model), aside / _TRAINED)
        (aside / _CAME_TO).write_text(json.dumps(asdict(trained)), encoding="utf-8")


def _through_torch(sent: Sent, n: int, aside: Path) -> None:
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = max(1, torch.get_num_threads() // n)
    processes = start_processes(
        _in_process, (sent, n, port, threads, aside), nprocs=n, join=False, start_method="spawn"
    )
    assert processes is not None  # as it is not joined yet
    try:
        while not processes.join(timeout=_LOOK_SECONDS):
            pass
    except (ProcessRaisedException, ProcessExitedException) as error:
        raise _failure(aside, error) from error


def _in_process(rank: int, sent: Sent, n: int, port: int, threads: int, aside: Path) -> None:
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(n)}
    os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
    torch.set_num_threads(threads)
    _work(sent, rank, aside)


def _through_ray(sent: Sent, n: int, aside: Path) -> None:
    ray, ray_train, on_torch = ray_modules(
        "ray", "ray.train", "ray.train.torch", wanted_by='through = "ray"', setting="through"
    )

    def work(given: dict[str, Any]) -> None:
        _work(given["sent"], ray_train.get_context().get_world_rank(), Path(given["aside"]))

    with connected(ray, None, n_cpus=n, setting="RAY_ADDRESS"):
        try:
            trainer = on_torch.TorchTrainer(
                work,
                train_loop_config={"sent": sent, "aside": str(aside.resolve())},
                scaling_config=ray_train.ScalingConfig(num_workers=n, use_gpu=torch.cuda.is_available()),
                run_config=ray_train.RunConfig(name="aisle", storage_path=str(aside.resolve())),
            )
            trainer.fit()
        except Exception as error:  # Ray wraps whatever a worker raised in its own errors
            raise _failure(aside, error) from error


_THROUGH: dict[str, Callable[[Sent, int, Path], None]] = {"torch": _through_torch, "ray": _through_ray}


def _failure(aside: Path, error: Exception) -> AisleError:
    """What a process said, or that it ended."""
    for told in sorted(aside.glob("error-*.json")):
        kind, message = json.loads(told.read_text(encoding="utf-8"))
        return getattr(errors, kind)(message)
    return UnavailableError(f"a training process ended before its time: {error}")


@contextmanager
def _told(aside: Path, progress: Progress) -> Iterator[None]:
    """Pass on what the first process tells of its progress."""
    is_over = threading.Event()

    def look() -> None:
        last = None
        while not is_over.wait(_LOOK_SECONDS):
            if (aside / _STANDING).exists():
                standing = json.loads((aside / _STANDING).read_text(encoding="utf-8"))
                if standing != last:
                    progress(*standing)
                last = standing

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        is_over.set()
        looking.join()
