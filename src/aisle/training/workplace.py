"""A folder in which one process at a time works, and from which work that was killed goes on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aisle.errors import UnavailableError


@contextmanager
def alone(folder: Path, taken: str) -> Iterator[Path]:
    """Hold ``folder``, made where it is not there yet, until the block ends; it goes if nothing was left in it.

    The system lets go of it when the process dies, however it dies.

    Raises:
        UnavailableError: another process holds it; ``taken`` says what that does and what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(held), folder.stat())
        except (BlockingIOError, FileNotFoundError) as error:
            raise UnavailableError(taken) from error
        if not is_there:  # who held it took it away meanwhile, and somebody made it anew
            raise UnavailableError(taken)
        try:
            yield folder
        finally:
            with suppress(OSError):
                if os.path.samestat(os.fstat(held), folder.stat()):  # not another's, made after ours was removed
                    folder.rmdir()  # fails where there is something to go on from
    finally:
        os.close(held)
