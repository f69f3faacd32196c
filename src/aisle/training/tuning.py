"""Search over hyper-parameters: trials that are proposed, watched, cut short, and gone on with after a kill.

Enters: a training as a function of settings, and what may vary. Leaves: every trial, best first. Built on optuna, which
proposes (TPE) and prunes (by the median); its journal is a file. Knows nothing of what is trained.
"""

from __future__ import annotations

import json
import logging
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.contracts import Progress, silent
from aisle.errors import ConfigError, DataError, UnavailableError
from aisle.training.watching import watched
from aisle.training.workplace import alone

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.storages import JournalStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)

Trained = Callable[[Mapping[str, Any], Path], Mapping[str, float]]
"""Trains with settings (nested as in TOML) and a folder for checkpoints; gives metrics."""
STUDY = "aisle"
"""The name of the search within its folder."""
_JOURNAL = "trials.journal"
_ASK_FIRST = 4
"""Trials that are never cut short, so that there is something to compare with."""
_HOW = (
    "write KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=ONE|OTHER|THIRD, such as training.learning_rate=1e-5..1e-3:log, "
    "contrast.mined_negatives=0..4, size=tiny|small"
)


@dataclass(frozen=True)
class OnRay:
    """Where trials are made, if not here."""

    at_once: int
    """Trials at the same time."""
    trained: Trained
    """As that of ``tune``, without what cannot be sent to another process, such as who hears of progress."""


@dataclass(frozen=True)
class Tried:
    """One trial."""

    number: int
    settings: Mapping[str, Any]
    """By dotted key."""
    value: float | None
    """Of the metric; of one cut short the last that was seen, None of one that failed."""
    state: str
    """``complete``, ``pruned`` or ``failed``."""
    why: str = ""
    """Of a failed one."""


@dataclass(frozen=True)
class Tuned:
    """What a search came to."""

    metric: str
    trials: Sequence[Tried] = field(default_factory=tuple)
    """Complete ones best first, then those cut short, then failed ones."""

    @property
    def best(self) -> Tried | None:
        """None where no trial was complete."""
        return self.trials[0] if self.trials and self.trials[0].state == "complete" else None


def parse_space(varied: Sequence[str]) -> dict[str, BaseDistribution]:
    """What varies, by dotted key.

    Raises:
        ConfigError: says which part is wrong and how it is written.
    """
    if not varied:
        raise ConfigError(f"nothing varies; {_HOW}")
    space: dict[str, BaseDistribution] = {}
    for one in varied:
        key, equals, values = one.partition("=")
        key = key.strip()
        if not equals or not key or not values.strip():
            raise ConfigError(f"{one!r} does not say what varies how; {_HOW}", setting=key or None)
        if key in space:
            raise ConfigError(f"{key} is named twice", setting=key)
        space[key] = _distribution(key, values.strip())
    return space


def _distribution(key: str, values: str) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if ".." not in values:
        return CategoricalDistribution([choice.strip() for choice in values.split("|")])
    bounds, _, scale = values.partition(":")
    low, _, high = bounds.partition("..")
    try:
        if scale not in ("", "log"):
            raise ValueError(f"{scale!r} is no scale; there is log")
        if low.strip().lstrip("-").isdigit() and high.strip().lstrip("-").isdigit():
            return IntDistribution(int(low), int(high), log=scale == "log")
        return FloatDistribution(float(low), float(high), log=scale == "log")
    except ValueError as error:
        raise ConfigError(f"{key}={values}: {error}; {_HOW}", setting=key) from error


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as tables within tables; words of choices are read as TOML where they are TOML."""
    table: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, last = key.split(".")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = read_word(value) if isinstance(value, str) else value
    return table


def read_word(word: str) -> Any:
    """The TOML value that ``word`` writes; where it is none, itself."""
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return word


def tune(
    trained: Trained,
    space: Mapping[str, BaseDistribution],
    folder: Path,
    *,
    metric: str,
    n_trials: int = 20,
    seed: int = 0,
    progress: Progress = silent,
    on_ray: OnRay | None = None,
) -> Tuned:
    """Try settings until there are ``n_trials``; those in ``folder`` count, one that was killed goes on first.

    A trial whose metric during training falls below the median of earlier trials at the same step is cut short.

    Args:
        trained: trains; its evaluations during training are heard by ``watching``.
        space: of ``parse_space``.
        folder: for the trials and their checkpoints; belongs to one space and metric.
        metric: name among the metrics of ``trained``, with a minus before it when less is better.
        n_trials: in all.
        seed: of the proposals.
        progress: hears of trials.
        on_ray: trials are made by processes of a Ray cluster, several at a time; None makes one after another, here.

    Raises:
        ConfigError: ``folder`` belongs to another search, there is no such metric, or settings cannot be met.
        UnavailableError: another process searches in ``folder``.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with alone(folder, f"another process searches in {folder}; wait for it, or stop it"):
        search = Search(_study(space, folder, metric, seed), space, folder, metric, n_trials)
        search.again()
        if on_ray is None:
            while search.n_open:
                progress(*search.standing())
                trial = search.ask()
                search.settle(trial, attempt(trial, trained, folder, metric))
        else:
            from aisle.training.tuning_on_ray import try_on_ray

            try_on_ray(search, on_ray, progress)
        progress(*search.standing())
        return search.tuned()


@dataclass(frozen=True)
class Outcome:
    """What became of a trial."""

    state: str
    """As in ``Tried``."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    is_refused: bool = False
    """Whether its settings were refused, so that others may be too."""


@dataclass(frozen=True)
class Search:
    """A search that goes on: asks for trials, and writes down what became of them."""

    study: Study
    space: Mapping[str, BaseDistribution]
    folder: Path
    metric: str
    n_trials: int

    @property
    def n_open(self) -> int:
        """Trials that are still to be finished, those that run included."""
        return max(self.n_trials - len(_finished(self.study)), 0)

    def again(self) -> None:
        """Ask first for what a kill cut short, so that it goes on from its checkpoints."""
        from optuna.trial import TrialState

        for cut in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.enqueue_trial(cut.params, user_attrs={"work": _work(cut), "again": cut.number})
            self.study.tell(cut.number, state=TrialState.FAIL)

    def ask(self) -> Trial:
        """The next trial."""
        return self.study.ask(dict(self.space))

    def settle(self, trial: Trial, outcome: Outcome) -> None:
        """Write down what became of it; its folder goes.

        Raises:
            ConfigError: there is no such metric, or the settings of the very first trial were refused.
        """
        from optuna.trial import TrialState

        name = self.metric.lstrip("-")
        if outcome.state == "complete":
            if name not in outcome.metrics:
                known = ", ".join(sorted(outcome.metrics))
                raise ConfigError(f"metric {self.metric!r}: there is no such one; there are {known}")
            self.study.tell(trial, outcome.metrics[name])
        elif outcome.state == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr("why", outcome.why)
            self.study.tell(trial, state=TrialState.FAIL)
            log.warning("trial %d failed: %s", trial.number, outcome.why)
            if outcome.is_refused and len(_finished(self.study)) == 1:
                raise ConfigError(outcome.why)  # a setting that is not there is told at once
        shutil.rmtree(self.folder / _work(trial), ignore_errors=True)

    def standing(self) -> tuple[str, int, int]:
        """What ``Progress`` hears."""
        return _standing(self.study, self.metric), self.n_trials - self.n_open, self.n_trials

    def tuned(self) -> Tuned:
        """What it came to."""
        return Tuned(self.metric, sorted((_tried(one) for one in _finished(self.study)), key=_order(self.metric)))


def stored(folder: Path) -> JournalStorage:
    """The trials in ``folder``, which several processes may read and write."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / _JOURNAL)))


def pruner() -> BasePruner:
    """What cuts trials short."""
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=_ASK_FIRST)


def _study(space: Mapping[str, BaseDistribution], folder: Path, metric: str, seed: int) -> Study:
    import optuna
    from optuna.distributions import distribution_to_json

    storage = stored(folder)
    known = {one.study_name: one for one in optuna.get_all_study_summaries(storage)}
    about = {
        "metric": metric,
        "space": {key: json.loads(distribution_to_json(one)) for key, one in sorted(space.items())},
    }
    if STUDY in known and known[STUDY].user_attrs.get("about") != about:
        raise ConfigError(
            f"{folder} holds the trials of another search (another metric or other ranges); search the same, or name "
            "another folder, or delete it"
        )
    n_known = known[STUDY].n_trials if STUDY in known else 0
    study = optuna.create_study(
        study_name=STUDY,
        storage=storage,
        load_if_exists=True,
        direction="minimize" if metric.startswith("-") else "maximize",
        sampler=optuna.samplers.TPESampler(seed=seed + n_known, n_startup_trials=_ASK_FIRST),
        pruner=pruner(),
    )
    study.set_user_attr("about", about)
    return study


def attempt(trial: Trial, trained: Trained, folder: Path, metric: str) -> Outcome:
    """Train with the settings of ``trial``, and cut it short where it falls behind."""
    import optuna

    name = metric.lstrip("-")

    def watch(step: int, metrics: Mapping[str, float]) -> None:
        if name in metrics:
            trial.report(metrics[name], step)
            if trial.should_prune():
                raise optuna.TrialPruned

    try:
        with watched(watch):
            return Outcome("complete", trained(nested(trial.params), folder / _work(trial)))
    except optuna.TrialPruned:
        return Outcome("pruned")
    except (ConfigError, DataError, UnavailableError) as error:  # these settings cannot be trained with; others may
        return Outcome("failed", why=str(error), is_refused=isinstance(error, ConfigError))


def _work(trial: Trial | FrozenTrial) -> str:
    return trial.user_attrs.get("work", f"trial-{trial.number:04d}")


def _finished(study: Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    repeated = {one.user_attrs.get("again") for one in trials}
    return [one for one in trials if one.state.is_finished() and one.number not in repeated]


def _tried(trial: FrozenTrial) -> Tried:
    from optuna.trial import TrialState

    state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "failed")
    return Tried(trial.number, dict(trial.params), trial.value, state, trial.user_attrs.get("why", ""))


def _order(metric: str) -> Callable[[Tried], tuple[int, float, int]]:
    sign = 1.0 if metric.startswith("-") else -1.0
    states = ("complete", "pruned", "failed")
    return lambda one: (states.index(one.state), sign * (one.value if one.value is not None else 0.0), one.number)


def _standing(study: Study, metric: str) -> str:
    complete = [one.value for one in map(_tried, _finished(study)) if one.state == "complete" and one.value is not None]
    if not complete:
        return "trials"
    best = min(complete) if metric.startswith("-") else max(complete)
    return f"trials\tbest {metric.lstrip('-')} {best:.4g}"
