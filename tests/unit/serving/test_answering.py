"""Questions that wait are answered together, each caller hears of his own, and nobody waits behind slower work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from aisle.errors import DataError, UnavailableError
from aisle.serving.answering import MOST_TOGETHER, Answering, Lane


class Held:
    """A lane of one thread, kept busy until ``free``, so that what comes meanwhile waits."""

    def __init__(self, max_waiting: int = 100) -> None:
        self.lane = Lane("test", 1, max_waiting)
        self._begun, self._may_end = threading.Event(), threading.Event()

    async def __aenter__(self) -> Held:
        self._busy = asyncio.create_task(self.lane.run(self._hold))
        await asyncio.to_thread(self._begun.wait, 10)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.free()
        await self._busy
        self.lane.close()

    def free(self) -> None:
        self._may_end.set()

    def _hold(self) -> None:
        self._begun.set()
        self._may_end.wait(10)


class Answers:
    """Answers numbers with their doubles and remembers which came together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def __call__(self, questions: list[int]) -> Sequence[int | Exception]:
        self.groups.append(questions)
        return [DataError("odd") if question % 2 else 2 * question for question in questions]


async def gathered(held: Held, *asked: Awaitable[object]) -> list[object]:
    waiting = asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0.05)  # until all of them stand in the queue
    held.free()
    return await waiting


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_waiting_questions_of_one_kind_are_answered_together_in_their_order() -> None:
    async def test() -> None:
        answers, others = Answers(), Answers()
        async with Held() as held:
            heard = await gathered(
                held, held.lane.ask("a", answers, 2), held.lane.ask("b", others, 8), held.lane.ask("a", answers, 4)
            )
        assert heard == [4, 16, 8]
        assert (answers.groups, others.groups) == ([[2, 4]], [[8]])

    run(test)


def test_a_wrong_question_spoils_no_other() -> None:
    async def test() -> None:
        answers = Answers()
        async with Held() as held:
            heard = await gathered(held, *(held.lane.ask("a", answers, number) for number in (2, 3, 4)))
        assert (heard[0], heard[2]) == (4, 8)
        assert isinstance(heard[1], DataError)

    run(test)


def test_what_the_answering_raises_everybody_hears() -> None:
    def broken(questions: list[int]) -> Sequence[int]:
        raise UnavailableError("locked")

    async def test() -> None:
        async with Held() as held:
            heard = await gathered(held, held.lane.ask("a", broken, 1), held.lane.ask("a", broken, 2))
        assert [type(one) for one in heard] == [UnavailableError] * 2

    run(test)


def test_no_more_than_so_many_are_answered_together() -> None:
    async def test() -> None:
        answers = Answers()
        numbers = range(0, 6 * MOST_TOGETHER, 2)
        async with Held() as held:
            heard = await gathered(held, *(held.lane.ask("a", answers, number) for number in numbers))
        assert heard == [2 * number for number in numbers]
        assert [len(group) for group in answers.groups] == [MOST_TOGETHER] * 3
        assert held.lane.n_inside == 0

    run(test)


def test_who_hangs_up_is_not_answered() -> None:
    async def test() -> None:
        answers = Answers()
        async with Held() as held:
            gone = asyncio.create_task(held.lane.ask("a", answers, 2))
            stays = asyncio.create_task(held.lane.ask("a", answers, 4))
            await asyncio.sleep(0.05)
            gone.cancel()
            await asyncio.sleep(0)
            held.free()
            assert await stays == 8
        assert answers.groups == [[4]]
        assert held.lane.n_inside == 0

    run(test)


def test_too_many_are_refused_and_a_closed_lane_takes_nothing() -> None:
    async def test() -> None:
        async with Held(max_waiting=1) as held:
            waiting = asyncio.create_task(held.lane.run(int))
            await asyncio.sleep(0.05)
            with pytest.raises(UnavailableError, match="2 requests"):
                await held.lane.run(int)
            held.free()
            assert await waiting == 0
        with pytest.raises(UnavailableError, match="shutting down"):
            await held.lane.run(int)
        assert held.lane.n_inside == 0

    run(test)


def test_quick_questions_and_batches_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        answering, may_end = Answering(1, 10), threading.Event()
        slow = [answering.run(may_end.wait, 10), answering.run_piece(may_end.wait, 10)]
        tasks = [asyncio.create_task(one) for one in slow]
        await asyncio.sleep(0.05)
        assert await answering.run_quick(lambda: "quick") == "quick"
        assert await answering.run_aside(lambda: "aside") == "aside"
        may_end.set()
        assert await asyncio.gather(*tasks) == [True, True]
        answering.close()

    run(test)
