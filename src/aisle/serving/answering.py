"""Runs blocking work of the shop beside the event loop: so much at once, so much waiting, and no more.

Enters: work, and questions. Leaves: results, each to its asker. Quick questions, lists, batches of lists and everything
else have threads of their own, so that none stands before a quicker one. Lists that wait for a thread and are of one
kind are made together, which costs far less than one by one: the busier the server, the cheaper a list.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from aisle.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")
Q = TypeVar("Q")

MOST_TOGETHER = 8
"""Questions answered together. Raising it answers more a second under load and lets the first of them wait longer."""
_SEVERAL_THREADS = 2
_ALONE = object()


@dataclass(eq=False)
class _Waiting:
    """A question, what answers it and others of its kind, and where its answer goes."""

    kind: Hashable
    answer: Callable[[list[Any]], Sequence[Any]]
    question: Any
    told: Future[Any] = field(default_factory=Future)


class Lane:
    """Some threads and a bounded queue before them."""

    def __init__(self, name: str, n_threads: int, max_waiting: int) -> None:
        self.n_inside = 0
        """Pieces of work that run or wait."""
        self._most = n_threads + max_waiting
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix=name)
        self._queue: deque[_Waiting] = deque()
        self._lock = threading.Lock()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of ``work``. Raises ``UnavailableError`` at once when too much is waiting already."""
        return await self._enter(_Waiting(_ALONE, lambda works: [works[0]()], partial(work, *args, **kwargs)))

    async def ask(self, kind: Hashable, answer: Callable[[list[Q]], Sequence[T | Exception]], question: Q) -> T:
        """The answer to ``question``, given by ``answer`` to it and others of its ``kind`` that wait just then.

        An exception in the place of an answer is raised for that question alone, one that ``answer`` raises for all.
        """
        return await self._enter(_Waiting(kind, answer, question))

    def close(self) -> None:
        """Finish what runs and what waits; nothing is taken afterwards."""
        self._threads.shutdown(wait=True)

    async def _enter(self, own: _Waiting) -> Any:
        with self._lock:
            if self.n_inside >= self._most:
                raise UnavailableError(f"{self._most} requests are being worked on; try again in a moment")
            self.n_inside += 1
            self._queue.append(own)
        try:
            self._threads.submit(self._work)
        except RuntimeError as error:
            with self._lock:
                self._queue.remove(own)
                self.n_inside -= 1
            raise UnavailableError("the server is shutting down; try again in a moment") from error
        return await asyncio.wrap_future(own.told)

    def _work(self) -> None:
        """Answer whoever has waited longest, and who may join; nothing where others were faster."""
        with self._lock:
            group = self._next_group()
        # Who has hung up meanwhile is not answered.
        asked = [waiting for waiting in group if waiting.told.set_running_or_notify_cancel()]
        answers = _answers(asked) if asked else []
        with self._lock:
            self.n_inside -= len(group)  # before they are told: whoever asks again at once finds the place free
        for waiting, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                waiting.told.set_exception(answer)
            else:
                waiting.told.set_result(answer)

    def _next_group(self) -> list[_Waiting]:
        if not self._queue:
            return []
        first = self._queue.popleft()
        if first.kind is _ALONE:
            return [first]
        joining = [waiting for waiting in self._queue if waiting.kind == first.kind][: MOST_TOGETHER - 1]
        for waiting in joining:
            self._queue.remove(waiting)
        return [first, *joining]


def _answers(group: Sequence[_Waiting]) -> Sequence[Any]:
    """An answer or an exception for each of ``group``, which is of one kind."""
    try:
        answers = group[0].answer([waiting.question for waiting in group])
    except BaseException as error:  # whatever it is, those who wait must hear of it
        return [error] * len(group)
    if len(answers) != len(group):
        return [RuntimeError(f"{len(group)} questions were given {len(answers)} answers")] * len(group)
    return answers


class Answering:
    """Four lanes: what is quick, lists, batches of lists, and the rest (writes, listings, operation)."""

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        """``n_threads`` lists are made at a time while ``max_waiting`` wait; beyond it they are refused."""
        self._quick = Lane("quick", 1, max_waiting)
        self._questions = Lane("answering", n_threads, max_waiting)
        self._batches = Lane("batches", 1, max_waiting)
        self._work = Lane("working", _SEVERAL_THREADS, max_waiting)

    @property
    def n_inside(self) -> int:
        """Questions that run or wait."""
        return self._questions.n_inside

    async def ask(self, kind: Hashable, answer: Callable[[list[Q]], Sequence[T | Exception]], question: Q) -> T:
        """The answer to one question, given together with others of its kind; see ``Lane.ask``."""
        return await self._questions.ask(kind, answer, question)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a question. Raises ``UnavailableError`` at once when too many are waiting already."""
        return await self._questions.run(work, *args, **kwargs)

    async def run_quick(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a question that takes about a millisecond, so that it waits for none that takes longer."""
        return await self._quick.run(work, *args, **kwargs)

    async def run_piece(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of one piece of a batch; other batches have their turns between two pieces."""
        return await self._batches.run(work, *args, **kwargs)

    async def run_aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of longer work, which no question waits for. Raises as ``run`` does."""
        return await self._work.run(work, *args, **kwargs)

    def close(self) -> None:
        """Finish what runs and what waits; nothing is taken afterwards."""
        for lane in (self._quick, self._questions, self._batches, self._work):
            lane.close()
