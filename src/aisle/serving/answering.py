"""Runs blocking work of the shop beside the event loop: so much at once, so much waiting, and no more.

Questions have threads of their own, so that a long list or a large write never stands before somebody's search.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from aisle.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """Some threads and a bounded queue before them."""

    def __init__(self, name: str, n_threads: int, max_waiting: int) -> None:
        self.n_inside = 0
        """Pieces of work that run or wait."""
        self._most = n_threads + max_waiting
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix=name)
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of ``work``. Raises ``UnavailableError`` at once when too much is waiting already."""
        with self._lock:
            if self.n_inside >= self._most:
                raise UnavailableError(f"{self._most} requests are being worked on; try again in a moment")
            self.n_inside += 1
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except RuntimeError as error:
            self._leave(None)
            raise UnavailableError("the server is shutting down; try again in a moment") from error
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what runs and what waits; nothing is taken afterwards."""
        self._threads.shutdown(wait=True)

    def _leave(self, done: Future[Any] | None) -> None:
        with self._lock:
            self.n_inside -= 1


class Answering:
    """Two lanes: questions, and everything that may take longer (writes, lists, operation)."""

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        """``n_threads`` questions are answered at a time while ``max_waiting`` wait; beyond it they are refused."""
        self._questions = Lane("answering", n_threads, max_waiting)
        self._work = Lane("working", 2, max_waiting)

    @property
    def n_inside(self) -> int:
        """Questions that run or wait."""
        return self._questions.n_inside

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a question. Raises ``UnavailableError`` at once when too many are waiting already."""
        return await self._questions.run(work, *args, **kwargs)

    async def run_aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of longer work, which no question waits for. Raises as ``run`` does."""
        return await self._work.run(work, *args, **kwargs)

    def close(self) -> None:
        """Finish what runs and what waits; nothing is taken afterwards."""
        self._questions.close()
        self._work.close()
