"""Progress of work within other work, told under the outer one's name."""

from __future__ import annotations

from aisle.contracts import Progress


def named_progress(progress: Progress, name: str) -> Progress:
    """A ``Progress`` that tells ``progress`` of everything under one ``name``."""

    def told(task: str, done: int, total: int | None = None) -> None:
        del task
        progress(name, done, total)

    return told
