"""Who hears of evaluations while a network trains, without every caller in between knowing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Watch = Callable[[int, Mapping[str, float]], None]
"""Takes the step and the metrics; what it raises ends the training."""

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Within, ``watch`` hears of every evaluation of a training in this thread."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Within, nobody hears of evaluations: of a training that prepares another."""
    token = _watch.set(None)
    try:
        yield
    finally:
        _watch.reset(token)


def is_watched() -> bool:
    """Whether somebody wants to hear of evaluations, so that it is worth making some."""
    return _watch.get() is not None


def tell(step: int, metrics: Mapping[str, float]) -> None:
    """Tell whoever watches."""
    watch = _watch.get()
    if watch is not None:
        watch(step, metrics)
