import contextvars
import threading
import time

import pytest

from aisle.flows import workers as workers_module
from aisle.flows.breaker import MOST_STUCK, OPENS_AFTER
from aisle.flows.workers import Workers

LONG = 30.0


@pytest.fixture
def gate():
    """Opened at the end, so that no thread of a test outlives it."""
    event = threading.Event()
    yield event
    event.set()


def test_quick_parts_share_a_thread():
    ran = Workers().run(dict.fromkeys("abcdef", threading.get_ident), LONG, {})

    assert len({one.result for one in ran.values()}) == 1


def test_parts_that_take_long_run_beside_each_other(gate):
    both = threading.Barrier(2, timeout=LONG)  # passed only when two are there at once

    ran = Workers().run({"a": both.wait, "b": both.wait}, LONG, {})

    assert {name: one.why for name, one in ran.items()} == {"a": None, "b": None}
    assert {one.result for one in ran.values()} == {0, 1}


def test_results_errors_and_latenesses_are_told_apart(gate):
    def broken():
        raise RuntimeError("out of order")

    ran = Workers().run({"fine": lambda: 7, "broken": broken, "slow": gate.wait}, 0.2, {})

    assert list(ran) == ["fine", "broken", "slow"]
    assert (ran["fine"].result, ran["fine"].why) == (7, None)
    assert ran["broken"].why == "failed"
    assert str(ran["broken"].error) == "out of order"
    assert ran["slow"].why == "late"


def test_nothing_to_run_is_no_wait():
    assert Workers().run({}, LONG, {}) == {}


def test_a_part_that_hangs_is_left_out_without_waiting_and_takes_few_threads(gate):
    workers = Workers()
    n_started = 0

    def hang():
        nonlocal n_started
        n_started += 1
        gate.wait()

    answers = [workers.run({"hangs": hang}, 0.01, {})["hangs"] for _ in range(50)]

    assert {one.why for one in answers} == {"late"}
    assert [one.was_asked for one in answers].count(True) == OPENS_AFTER
    assert n_started <= MOST_STUCK
    assert workers.run({"other": lambda: "fine"}, LONG, {})["other"].result == "fine"


def test_it_is_asked_again_when_it_has_recovered(gate):
    now = [0.0]
    workers = Workers(lambda: now[0])
    for _ in range(OPENS_AFTER):
        workers.run({"part": gate.wait}, 0.01, {})
    assert not workers.run({"part": lambda: 1}, LONG, {})["part"].was_asked
    gate.set()
    now[0] += 60.0

    assert workers.run({"part": lambda: 1}, LONG, {})["part"].result == 1


def test_another_version_of_a_part_starts_afresh(gate):
    workers = Workers()
    for _ in range(OPENS_AFTER):
        workers.run({"part": gate.wait}, 0.01, {"part": "1"})

    assert workers.run({"part": lambda: 1}, LONG, {"part": "1"})["part"].why == "late"
    assert workers.run({"part": lambda: 1}, LONG, {"part": "2"})["part"].result == 1


def test_threads_are_used_again_and_go_when_idle(monkeypatch):
    monkeypatch.setattr(workers_module, "IDLE_SECONDS", 0.05)
    workers = Workers()
    names = set()
    for _ in range(20):
        names.add(workers.run({"part": threading.get_ident}, LONG, {})["part"].result)
        time.sleep(0.001)

    assert len(names) < 10
    for _ in range(500):
        if not any(thread.ident in names for thread in threading.enumerate()):
            break
        time.sleep(0.02)
    assert not any(thread.ident in names for thread in threading.enumerate())
    assert workers.run({"part": lambda: 1}, LONG, {})["part"].result == 1


def test_more_work_than_threads_is_done_one_after_another(monkeypatch):
    monkeypatch.setattr(workers_module, "MOST_THREADS", 2)
    works = {str(number): (lambda number=number: number) for number in range(30)}

    ran = Workers().run(works, LONG, {})

    assert [one.result for one in ran.values()] == list(range(30))


def test_parts_know_the_request_they_work_for():
    request = contextvars.ContextVar("request")
    request.set("r-17")

    assert Workers().run({"part": request.get}, LONG, {})["part"].result == "r-17"
