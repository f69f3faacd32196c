import pytest

from aisle.flows.breaker import MOST_STUCK, OPENS_AFTER, RESTS_SECONDS, RETURNED_SECONDS, Breaker


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def late(breaker, times=1, *, returns=True):
    for _ in range(times):
        assert breaker.admits()
        breaker.late()
        if returns:
            breaker.came_back()


def test_it_opens_after_some_latenesses_in_a_row(breaker):
    late(breaker, OPENS_AFTER - 1)
    assert breaker.admits()
    breaker.in_time()
    late(breaker, OPENS_AFTER - 1)
    assert not breaker.is_open

    late(breaker)

    assert breaker.is_open
    assert not breaker.admits()


def test_after_a_rest_one_run_decides(breaker, clock):
    late(breaker, OPENS_AFTER, returns=False)
    clock.seconds += RESTS_SECONDS - 0.1
    assert not breaker.admits()
    clock.seconds += 0.1

    assert breaker.admits()
    assert not breaker.admits()  # the trial is under way
    breaker.in_time()

    assert not breaker.is_open
    assert breaker.admits()


def test_a_failed_trial_keeps_it_open_for_another_rest(breaker, clock):
    late(breaker, OPENS_AFTER)
    clock.seconds += RESTS_SECONDS
    late(breaker)

    assert not breaker.admits()
    clock.seconds += RESTS_SECONDS
    assert breaker.admits()


def test_a_part_whose_runs_have_all_returned_is_tried_sooner(breaker, clock):
    late(breaker, OPENS_AFTER)
    clock.seconds += RETURNED_SECONDS

    assert breaker.admits()


def test_a_part_that_never_returns_takes_few_threads(breaker, clock):
    n_stuck = 0
    for _ in range(100):
        clock.seconds += RESTS_SECONDS
        if breaker.admits():
            breaker.late()
            n_stuck += 1

    assert n_stuck == MOST_STUCK
    breaker.came_back()
    assert breaker.admits()
