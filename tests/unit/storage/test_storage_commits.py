"""Concurrent writers share transactions; a bad one harms nobody; nothing returns before it is committed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from aisle.contracts import Appended
from aisle.domain import Event, EventTable, EventType
from aisle.errors import NotReadyError, UnavailableError
from aisle.storage import SqlRecords
from aisle.storage.commits import GroupCommit, JointWork
from aisle.storage.sqlite import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "small.db", busy_timeout_seconds=0.2)
    with made.writer() as connection, connection.begin():
        connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
    yield made
    made.close()


def insert(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        return n

    return work


def stored(database: Database) -> list[int]:
    other = sqlite3.connect(database.path)
    found = [row[0] for row in other.execute("SELECT n FROM numbers ORDER BY n")]
    other.close()
    return found


def run_behind_a_slow_leader(
    commits: GroupCommit,
    works: list[Callable[[Connection], object]],
    joint: tuple[JointWork, Sequence[Any]] | None = None,
) -> list[object]:
    """Queue all works while a first one holds the transaction open, so that they are committed together.

    ``joint``, a work and what each of some callers gives for it, is queued with them.
    """
    is_led, may_go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        is_led.set()
        may_go_on.wait(10)

    def outcome(run: Callable[..., object], *arguments: object) -> object:
        try:
            return run(*arguments)
        except Exception as error:
            return error

    calls: list[tuple[Callable[..., object], object, object]] = [(commits.run, work, None) for work in works]
    if joint is not None:
        calls += [(commits.run_jointly, joint[0], given) for given in joint[1]]
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        leader = pool.submit(commits.run, slow)
        is_led.wait(10)
        futures = [pool.submit(outcome, *call) for call in calls]
        while len(commits._queue) < len(calls):
            threading.Event().wait(0.005)
        may_go_on.set()
        leader.result()
        return [future.result() for future in futures]


def count_commits(database: Database, commits: GroupCommit) -> list[str]:
    statements: list[str] = []
    driver = commits._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(lambda statement: statements.append(statement) if "COMMIT" in statement else None)
    return statements


def test_waiting_writers_share_one_commit(database: Database) -> None:
    commits = GroupCommit(database)
    statements = count_commits(database, commits)

    results = run_behind_a_slow_leader(commits, [insert(n) for n in range(20)])

    assert results == list(range(20))
    assert stored(database) == list(range(20))
    assert len(statements) == 2  # the leader's and everybody else's


def test_a_bad_batch_does_not_fail_its_neighbours(database: Database) -> None:
    rolled_back: list[bool] = []
    commits = GroupCommit(database, lambda: rolled_back.append(True))

    def bad(connection: Connection) -> None:
        insert(99)(connection)
        raise ValueError("bad batch")

    results = run_behind_a_slow_leader(commits, [insert(1), bad, insert(2)])

    assert [results[0], results[2]] == [1, 2]
    assert isinstance(results[1], ValueError)
    assert stored(database) == [1, 2]
    assert rolled_back


class InsertsTogether:
    """A joint work that remembers what it was called with; 13 cannot be stored."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, connection: Connection, given: Sequence[int]) -> list[int]:
        self.calls.append(list(given))
        for n in given:
            insert(n)(connection)
            if n == 13:
                raise ValueError("an unlucky number")
        return [10 * n for n in given]


def test_what_waits_for_the_same_work_is_done_in_one_call_of_it(database: Database) -> None:
    commits = GroupCommit(database)
    together = InsertsTogether()

    results = run_behind_a_slow_leader(commits, [insert(1)], (together, [5, 3, 4]))

    assert results == [1, 50, 30, 40]
    assert [sorted(call) for call in together.calls] == [[3, 4, 5]]
    assert stored(database) == [1, 3, 4, 5]


@pytest.mark.parametrize("works", [[], [insert(1)]], ids=["alone", "beside another work"])
def test_what_fails_in_a_joint_work_takes_nobody_with_it(
    database: Database, works: list[Callable[[Connection], object]]
) -> None:
    rolled_back: list[bool] = []
    commits = GroupCommit(database, lambda: rolled_back.append(True))
    together = InsertsTogether()

    *results, first, bad, last = run_behind_a_slow_leader(commits, works, (together, [5, 13, 4]))

    assert (first, last) == (50, 40)
    assert isinstance(bad, ValueError)
    assert stored(database) == [*results, 4, 5]
    assert sorted(together.calls[0]) == [4, 5, 13]
    assert rolled_back


def test_when_the_disk_fills_what_fits_is_stored_and_the_rest_is_told(database: Database) -> None:
    commits = GroupCommit(database)
    driver = commits._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    (pages,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count = {pages}")

    def big(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE big AS SELECT randomblob(100000) AS b"))

    results = run_behind_a_slow_leader(commits, [insert(1), big, insert(2)])

    assert [results[0], results[2]] == [1, 2]
    assert isinstance(results[1], UnavailableError)
    assert "disk" in str(results[1])
    assert stored(database) == [1, 2]


def test_a_locked_database_is_unavailable_and_works_again_afterwards(database: Database) -> None:
    commits = GroupCommit(database)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(UnavailableError, match="locked by another process"):
        commits.run(insert(1))
    other.execute("ROLLBACK")

    assert commits.run(insert(1)) == 1
    assert stored(database) == [1]


def test_a_work_in_a_hurry_leaves_the_queue_and_the_others_are_done(database: Database) -> None:
    commits = GroupCommit(database)
    is_led, may_go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        is_led.set()
        may_go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(commits.run, slow)
        is_led.wait(10)
        patient = pool.submit(commits.run, insert(1))
        with pytest.raises(UnavailableError, match="busy with other writing"):
            commits.run(insert(2), patience_seconds=0.1)
        may_go_on.set()
        leader.result()
        patient.result()

    assert stored(database) == [1]


def test_a_leader_in_a_hurry_fails_alone(database: Database) -> None:
    patient_database = Database(database.path, busy_timeout_seconds=20)
    commits = GroupCommit(patient_database)
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    with ThreadPoolExecutor(2) as pool:
        hurried = pool.submit(commits.run, insert(1), 0.3)
        while not commits._is_led:
            threading.Event().wait(0.005)
        patient = pool.submit(commits.run, insert(2))
        with pytest.raises(UnavailableError, match="locked by another process"):
            hurried.result()
        other.execute("ROLLBACK")
        assert patient.result() == 2

    assert stored(database) == [2]
    commits.close()
    patient_database.close()


def test_a_closed_database_says_so(database: Database) -> None:
    commits = GroupCommit(database)
    commits.close()
    database.close()

    with pytest.raises(NotReadyError, match="the shop is closed; open it again"):
        commits.run(insert(1))
    with pytest.raises(NotReadyError, match="the shop is closed; open it again"), database.reading():
        pass


def test_a_call_returns_only_when_its_rows_are_on_the_disk(database: Database) -> None:
    commits = GroupCommit(database)

    def write_and_look(n: int) -> bool:
        commits.run(insert(n))
        return n in stored(database)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_look, range(80)))


def test_an_interrupted_leader_leaves_the_others_to_the_next(database: Database) -> None:
    commits = GroupCommit(database)

    def interrupted(connection: Connection) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commits.run(interrupted)

    assert commits.run(insert(1)) == 1


def test_many_threads_append_events_each_exactly_once(tmp_path: Path) -> None:
    records = SqlRecords.open(tmp_path / "shop.db")

    def append(worker: int) -> int:
        n_new = 0
        for n in range(10):
            shared = Event(f"u{n}", EventType.VIEW, n, "a", event_id=f"shared-{n}")
            own = Event(f"u{worker}", EventType.VIEW, n, "a", event_id=f"{worker}-{n}")
            n_new += records.append_events(EventTable.from_rows([shared, own])).n_new
        return n_new

    with ThreadPoolExecutor(6) as pool:
        total = sum(pool.map(append, range(6)))

    frame = records.changes_since(0).events.frame
    assert total == frame.height == frame["event_id"].n_unique() == 70
    records.close()


def test_events_of_waiting_callers_are_stored_together_and_told_apart(tmp_path: Path) -> None:
    records = SqlRecords.open(tmp_path / "shop.db")

    def view(event_id: str) -> Event:
        return Event("u", EventType.VIEW, 1, "a", event_id=event_id)

    given = [(EventTable.from_rows([view("shared"), view(f"own {n}")]), [2]) for n in range(4)]
    together = records._append_groups
    calls: list[int] = []

    def counted(
        connection: Connection, waiting: Sequence[tuple[EventTable, Sequence[int]]]
    ) -> Sequence[Sequence[Appended]]:
        calls.append(len(waiting))
        return together(connection, waiting)

    results = run_behind_a_slow_leader(records._commits, [], (counted, given))  # type: ignore[arg-type]

    assert calls == [4]
    appended = [result[0] for result in results]  # type: ignore[index]
    # Whose "shared" came first is nobody's concern; it was stored for exactly one of them.
    counted = sorted((one.n_new, one.n_duplicate, one.n_waiting) for one in appended)
    assert counted == [*[(1, 1, 1)] * 3, (2, 0, 2)]
    assert records.counts()["events"] == 5
    records.close()
