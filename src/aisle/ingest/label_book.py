"""What a person labels, text by text: what is still open, what was said, the way back. Every answer is on disk at once.

Enters: texts and the labels that may be given. Leaves: a CSV file with ``text`` and ``label``, which ``aisle finetune``
reads. A person who stops and comes back goes on where they were.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from aisle.errors import ConfigError, DataError, UnavailableError, unknown_name

_HEADER = ("text", "label")


class LabelBook:
    """Texts in the order in which they are asked about, and the answers so far."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str], file: Path) -> None:
        """Go on with what ``file`` holds.

        Args:
            texts: different from each other, in the order of asking.
            labels: what may be said.
            file: made where it is not there.

        Raises:
            ConfigError: fewer than two labels, or one twice.
            DataError: ``file`` is no such file, or has labels that there are not.
        """
        self.labels = tuple(labels)
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or "" in self.labels:
            raise ConfigError(
                f"labels are {', '.join(map(repr, labels)) or 'none'}; give two or more different ones",
                setting="labels",
            )
        self._file = file
        self._texts = list(dict.fromkeys(text for text in texts if text.strip()))
        self._is_torn = False
        """Whether the file ends in half a line, so that nothing may be put behind it."""
        self._said = self._read()
        self._skipped: set[str] = set()
        self._done: list[str] = []
        """What was answered or passed over since the book was opened, for the way back."""

    @property
    def n_labelled(self) -> int:
        """Texts with an answer, of earlier times too."""
        return len(self._said)

    @property
    def n_open(self) -> int:
        """Texts that are still to be asked about."""
        return sum(self._is_open(text) for text in self._texts)

    def parted(self, texts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those of ``texts`` that have an answer, and those that wait for one."""
        waiting = [text for text in texts if text not in self._said and text.strip()]
        return [text for text in texts if text in self._said], waiting

    def counts(self) -> dict[str, int]:
        """Answers of each label."""
        return {label: sum(said == label for said in self._said.values()) for label in self.labels}

    def next(self) -> str | None:
        """The text to ask about; None when there is none left."""
        return next((text for text in self._texts if self._is_open(text)), None)

    def say(self, text: str, label: str) -> None:
        """Write an answer down.

        Raises:
            DataError: no such label or text.
            UnavailableError: the disk does not take it; nothing is lost.
        """
        if label not in self.labels:
            raise DataError(unknown_name("label", label, self.labels), field="label")
        if text not in self._texts:
            raise DataError(f"this text is not asked about: {text[:60]!r}", field="text")
        before = self._said.get(text)
        self._said[text] = label
        try:
            self._append(text, label) if before is None else self._write()
        except OSError as error:
            if before is None:
                del self._said[text]
            else:
                self._said[text] = before
            raise UnavailableError(f"{self._file} cannot be written: {error}; free space and say it again") from error
        self._done.append(text)

    def skip(self, text: str) -> None:
        """Ask about it another time."""
        self._skipped.add(text)
        self._done.append(text)

    def undo(self) -> str | None:
        """Take the last answer back, and ask about its text again; None when there is nothing to take back."""
        if not self._done:
            return None
        text = self._done.pop()
        self._skipped.discard(text)
        if self._said.pop(text, None) is not None:
            self._write()
        return text

    def _is_open(self, text: str) -> bool:
        return text not in self._said and text not in self._skipped

    def _read(self) -> dict[str, str]:
        if not self._file.exists():
            return {}
        try:
            whole = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self._file} cannot be read: {error}", source=str(self._file)) from error
        rows = list(csv.reader(io.StringIO(whole)))
        if rows and tuple(rows[0]) != _HEADER:
            raise DataError(
                f"{self._file} has the columns {', '.join(rows[0])}, not text, label; name another file to write to",
                source=str(self._file),
            )
        said: dict[str, str] = {}
        for number, row in enumerate(rows[1:], 2):
            is_torn = number == len(rows) and not whole.endswith("\n")  # written while the power went
            if is_torn:
                self._is_torn = True
                continue
            if len(row) != len(_HEADER) or row[1] not in self.labels:
                raise DataError(
                    f"{self._file}, row {number}: the label {row[1] if len(row) > 1 else ''!r} is not one of "
                    f"{', '.join(self.labels)}; give all labels that the file has, or name another file",
                    source=str(self._file),
                    row=number,
                    field="label",
                )
            said[row[0]] = row[1]
        return said

    def _append(self, text: str, label: str) -> None:
        if not self._file.exists() or self._is_torn:
            self._write()
            self._is_torn = False
            return
        with self._file.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow((text, label))
            file.flush()
            os.fsync(file.fileno())

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(self._said.items())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._file)
