"""How a broken promise is told: ``ContractError`` with the implementation, the promise and what was found."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Self, TypeVar

from aisle.errors import ContractError

Result = TypeVar("Result")
N_THREADS = 4


class Promise:
    """One promise of one implementation; inside its ``with`` block any exception is a breach.

    ``require`` states what must hold.
    """

    def __init__(self, subject: str, promised: str) -> None:
        self._subject = subject
        self._promised = promised

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, BrokenPromise):
            raise self._broken(f"{type(error).__name__}: {error}") from error

    def require(self, is_kept: object, found: str) -> None:
        """Raise ``ContractError`` saying what was ``found`` unless ``is_kept``."""
        if not is_kept:
            raise self._broken(found)

    def _broken(self, found: str) -> BrokenPromise:
        return BrokenPromise(f"{self._subject} breaks the promise {self._promised!r}: {found}")


class BrokenPromise(ContractError):
    """What the kit raises; an implementation's own ``ContractError`` is told apart from it."""


def in_threads(work: Callable[[int], Result], n_threads: int = N_THREADS) -> list[Result]:
    """``work(0)``, ``work(1)``, ... each in a thread of its own, started together; the first error is raised.

    Meanwhile Python changes threads as often as it can, so that a race shows in milliseconds of work.
    """
    barrier = threading.Barrier(n_threads)
    results: dict[int, Result] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n_threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    return [results[number] for number in range(n_threads)]
