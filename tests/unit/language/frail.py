"""Encoders that fail at a text, as models do that are killed for memory or given what they cannot read."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aisle.contracts import Progress, silent
from aisle.errors import DataError
from aisle.testing import HashedWords


class Noting(HashedWords):
    """Notes in a file, which all processes share, that it was opened and what it was given."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.notes = notes
        self.note("opened")

    def note(self, what: str) -> None:
        with self.notes.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        for text in texts:
            self.note(text)
            self.meet(text)
        return super().encode(texts, progress=progress)

    def meet(self, text: str) -> None:
        """What a text does to it."""


class KilledOnce(Noting):
    def meet(self, text: str) -> None:
        killed = self.notes.with_suffix(".killed")
        if "fatal" in text and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class AlwaysKilled(Noting):
    def meet(self, text: str) -> None:
        if "fatal" in text:
            os.kill(os.getpid(), signal.SIGKILL)


class Refusing(Noting):
    def meet(self, text: str) -> None:
        if "fatal" in text:
            raise DataError("a text that cannot be read", field="title")


class Breaking(Noting):
    def meet(self, text: str) -> None:
        if "fatal" in text:
            raise RuntimeError("shapes do not match")


class Unlike(Noting):
    @property
    def fingerprint(self) -> str:
        return "another model"
