"""One process at a time works in a folder; what died lets go of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aisle.errors import UnavailableError
from aisle.training.workplace import alone

HOLDING = """
    import sys, time
    from pathlib import Path
    from aisle.training.workplace import alone
    with alone(Path(sys.argv[1]), "taken"):
        print("held", flush=True)
        time.sleep(60)
"""


def test_another_process_waits_until_the_first_is_dead(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "work"
    command = [sys.executable, "-c", textwrap.dedent(HOLDING), str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UnavailableError, match="taken by another"), alone(place, "taken by another"):
            pass
        assert place.is_dir()  # the other's, though nothing is in it yet
        other.send_signal(signal.SIGKILL)
        other.wait()

    with alone(place, "taken by another") as held:
        assert held == place


def test_a_folder_with_something_to_go_on_from_stays_and_an_empty_one_goes(tmp_path: Path) -> None:
    with alone(tmp_path / "empty", "taken"):
        pass
    with alone(tmp_path / "begun", "taken") as place:
        (place / "checkpoint").write_text("1")

    assert not (tmp_path / "empty").exists()
    assert (tmp_path / "begun" / "checkpoint").read_text() == "1"


def test_threads_of_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with alone(tmp_path / "a", "first"), pytest.raises(UnavailableError), alone(tmp_path / "a", "second"):
        pass
    with alone(tmp_path / "a", "third"):
        pass
