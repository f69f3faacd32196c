"""Trials of one search made by processes of a Ray cluster, several at a time.

Enters: a search, a training that can be sent. Leaves: the search with its trials written down. Proposals are made
here; each process reports to the journal in the search's folder, which on several machines must be on a disk that all
of them see.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.contracts import Progress
from aisle.errors import ConfigError, UnavailableError
from aisle.training.cluster import connected, first_line, ray_modules
from aisle.training.tuning import STUDY, OnRay, Outcome, Search, Trained, attempt, pruner, stored

if TYPE_CHECKING:
    from optuna.trial import Trial

_RETRIES = 2
"""How often a trial whose process died is tried again, from its checkpoints; then it counts as failed."""
_LOOK_SECONDS = 1.0


def try_on_ray(search: Search, on_ray: OnRay, progress: Progress) -> None:
    """Make the trials that are still open; those that an error or a kill cuts short go on in the next search.

    A proposal knows the trials that are finished by then, so with many at a time it knows less than one by one.

    Raises:
        ConfigError: Ray is not installed, the training cannot be sent, or as ``Search.settle``.
        UnavailableError: the cluster does not answer, or a training failed in a way that trainings do not.
    """
    ray, exceptions = ray_modules("ray", "ray.exceptions", wanted_by="a search on Ray", setting="on_ray")
    with connected(ray, None, n_cpus=on_ray.at_once, setting="RAY_ADDRESS"):
        one = ray.remote(num_cpus=_cpus(ray, on_ray.at_once), num_gpus=_gpus(), max_retries=_RETRIES)(_there)
        try:
            sent = ray.put(on_ray.trained)
        except exceptions.RayError as error:
            raise UnavailableError(
                f"Ray takes no data: {first_line(error)}; the search goes on when run again"
            ) from error
        except Exception as error:  # of many kinds: whatever says that it cannot be sent
            raise ConfigError(f"what is trained cannot be sent to other processes ({error})") from error
        running: dict[Any, Trial] = {}
        try:
            while search.n_open:
                progress(*search.standing())
                while len(running) < min(on_ray.at_once, search.n_open):
                    trial = search.ask()
                    where = str(search.folder.resolve())
                    running[one.remote(sent, where, trial._trial_id, search.metric)] = trial
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_SECONDS)
                for answer in ready:
                    outcome = _outcome(ray, exceptions, answer, running[answer].number)
                    search.settle(running.pop(answer), outcome)
        finally:
            for answer in running:
                with suppress(exceptions.RayError):
                    ray.cancel(answer, force=True)


def _there(trained: Trained, folder: str, trial_id: int, metric: str) -> Outcome:
    """What a process does: one trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler()  # proposes nothing: all is asked already
    study = optuna.load_study(study_name=STUDY, storage=stored(Path(folder)), sampler=sampler, pruner=pruner())
    return attempt(optuna.Trial(study, trial_id), trained, Path(folder), metric)


def _outcome(ray: Any, exceptions: Any, answer: Any, number: int) -> Outcome:
    try:
        return ray.get(answer)
    except exceptions.RayTaskError as error:
        last = str(error).strip().splitlines()[-1]  # an own error of a training is an ``Outcome``
        raise UnavailableError(f"trial {number} failed on Ray: {last}; the search goes on when run again") from error
    except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError) as error:
        return Outcome("failed", why=f"its process died {1 + _RETRIES} times: {first_line(error)}")
    except exceptions.RayError as error:
        raise UnavailableError(f"Ray: {first_line(error)}; the search goes on when run again") from error


def _cpus(ray: Any, at_once: int) -> int:
    """Cores of a trial: an equal share of the cluster, on one machine."""
    machines: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(one.get("CPU", 0)) for one in machines]
    return max(1, min(sum(cores) // at_once, max(cores, default=1)))


def _gpus() -> int:
    import torch

    return 1 if torch.cuda.is_available() else 0
