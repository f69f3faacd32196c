"""What a person says of texts, one by one, with a way back; every answer is on disk at once.

Enters: texts, the labels that may be given, a file. Leaves: a CSV file with ``text`` and ``label``, which ``aisle
finetune`` reads. Whoever stops and comes back goes on where they were. Knows nothing of models, terminals and pages.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from aisle.errors import ConfigError, DataError, UnavailableError, unknown_name

SKIP, UNDO, STOP = "s", "u", "q"
"""Keys that are not a label's."""
_DIGITS = "1234567890"
_LETTERS = "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in (SKIP, UNDO, STOP))
_HEADER = ("text", "label")
_LONGEST_FIELD = 10**9
_LONGEST_SHOWN = 60


class LabelBook:
    """Texts in the order in which they are asked about, and the answers so far. One process at a time has a file."""

    def __init__(self, file: Path, labels: Sequence[str]) -> None:
        """Open ``file`` and go on with what it holds.

        Args:
            file: made where it is not there.
            labels: what may be said. One that is itself a digit or a letter is its own key; others have the keys 1, 2
                and so on, or letters where some label is a digit, so that no digit means another.

        Raises:
            ConfigError: fewer than two labels, more than there are keys, or one twice.
            DataError: ``file`` is another kind of file, or has labels that are not among ``labels``.
            UnavailableError: it cannot be opened, or somebody labels into it now.
        """
        self.labels = tuple(labels)
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels) or "" in self.labels:
            raise ConfigError(
                f"labels are {', '.join(map(repr, labels)) or 'none'}; give two or more different ones with commas "
                "between, such as bad,good",
                setting="labels",
            )
        n_keys = len(_DIGITS) + len(_LETTERS)
        if len(self.labels) > n_keys:
            raise ConfigError(
                f"there are {len(self.labels)} labels and {n_keys} keys; label by groups of labels first, then "
                "within each group",
                setting="labels",
            )
        self.keys: Mapping[str, str] = _by_key(self.labels)
        """Label by the key that says it, in the order of ``labels``."""
        self._path = file
        self._file = _opened(file)
        try:
            self._said: dict[str, str] = {}
            self._done: list[tuple[str, int | None, str | None]] = []
            """What was answered (with the place in the file before it, and the answer that the text had by then, as in
            a file that was edited by hand) or skipped, for the way back."""
            self._end = self._read()
        except BaseException:
            self._file.close()
            raise
        self._open: deque[str] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others label into the file."""
        self._file.close()

    @property
    def said(self) -> Mapping[str, str]:
        """Label by text, of earlier times too, in the order of saying."""
        return self._said

    @property
    def n_labelled(self) -> int:
        """Texts with an answer, of earlier times too."""
        return len(self._said)

    @property
    def n_open(self) -> int:
        """Texts that are still to be asked about."""
        return len(self._open)

    def counts(self) -> dict[str, int]:
        """Answers of each label."""
        counted = Counter(self._said.values())
        return {label: counted[label] for label in self.labels}

    def waiting(self, texts: Sequence[str]) -> list[str]:
        """Those of ``texts`` that say something and have no answer yet, each once, in their order."""
        return [text for text in dict.fromkeys(texts) if text.strip() and text not in self._said]

    def ask(self, texts: Sequence[str]) -> None:
        """Ask about these from now on, in their order; those that have an answer are left out."""
        self._open = deque(self.waiting(texts))

    def next(self) -> str | None:
        """The text to ask about; None when there is none left."""
        return self._open[0] if self._open else None

    def say(self, text: str, label: str) -> None:
        """Write down what the next text is.

        Raises:
            DataError: no such label, or ``text`` is not the next one, as when a button is pressed twice.
            UnavailableError: the disk does not take it; the text stays the next one.
        """
        if label not in self.labels:
            raise DataError(unknown_name("label", label, self.labels), field="label")
        self._check_is_next(text)
        row = io.StringIO()
        csv.writer(row).writerow((text, label))  # its own line end makes it put quotes around either half of one
        before = self._end
        self._end = self._write(row.getvalue().removesuffix("\r\n").encode("utf-8", "replace") + b"\n")
        self._done.append((text, before, self._said.get(text)))
        self._said[text] = label
        self._open.popleft()

    def skip(self, text: str) -> None:
        """Leave the next text for another time.

        Raises:
            DataError: ``text`` is not the next one.
        """
        self._check_is_next(text)
        self._open.popleft()
        self._done.append((text, None, None))

    def undo(self) -> str | None:
        """Take the last answer back, of an earlier time too, and ask about its text next; None when there is none.

        Where the file has an earlier answer for the same text, that one stands until the text is answered or undone.

        Raises:
            UnavailableError: the file cannot be changed; the answer stays.
        """
        if not self._done:
            return None
        text, before, earlier = self._done[-1]
        if before is not None:
            try:
                self._file.truncate(before)
            except OSError as error:
                raise UnavailableError(f"{self._path} cannot be changed: {error}; try again") from error
            self._end = before
            with contextlib.suppress(OSError):
                os.fsync(self._file.fileno())
            if earlier is None:
                del self._said[text]
            else:
                self._said[text] = earlier
        self._done.pop()
        with contextlib.suppress(ValueError):  # asked about already, where the file had it twice
            self._open.remove(text)
        self._open.appendleft(text)
        return text

    def _check_is_next(self, text: str) -> None:
        if text != self.next():
            raise DataError(f"this text is not the one asked about: {text[:_LONGEST_SHOWN]!r}", field="text")

    def _write(self, row: bytes) -> int:
        """Put ``row`` at ``_end``, and nothing after it; the new end."""
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            self._file.write(row)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be written: {error}; free space and say it again") from error
        return self._end + len(row)

    def _read(self) -> int:
        """Take in what the file holds; where its last whole row ends."""
        content = self._file.read()
        if not content:
            self._end = 0
            return self._write(",".join(_HEADER).encode() + b"\n")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong(1, f"it is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
        try:
            rows = list(_rows(text))
        except csv.Error as error:
            raise self._wrong(1, f"it is no CSV file ({error}); name another file") from error
        if tuple(cell.lstrip("\ufeff") for cell in rows[0][0]) != _HEADER:
            raise self._wrong(1, f"the columns are {', '.join(rows[0][0])}, not text, label; name another file")
        start = rows[0][1]
        for number, (row, end) in enumerate(rows[1:], 2):
            if end == len(content) and self._is_torn(row, has_end=content.endswith(b"\n")):
                return start
            if row and (len(row) != len(_HEADER) or row[1] not in self.labels):
                raise self._wrong(
                    number,
                    f"the label {row[1] if len(row) > 1 else ''!r} is not one of {', '.join(self.labels)}; give all "
                    "labels that the file has with --labels, or name another file",
                )
            if row:
                self._done.append((row[0], start, self._said.get(row[0])))
                self._said[row[0]] = row[1]
            start = end
        if not content.endswith(b"\n"):
            self._end = start
            return self._write(b"\n")
        return start

    def _is_torn(self, row: Sequence[str], *, has_end: bool) -> bool:
        """Whether the last row was being written when the power went."""
        if has_end:
            return len(row) == 1
        return len(row) != len(_HEADER) or row[1] not in self.labels or self._goes_on(row[1])

    def _goes_on(self, label: str) -> bool:
        return any(other != label and other.startswith(label) for other in self.labels)

    def _wrong(self, row: int, message: str) -> DataError:
        return DataError(f"{self._path}, row {row}: {message}", source=str(self._path), row=row)


def _by_key(labels: Sequence[str]) -> dict[str, str]:
    own = {label: label for label in labels if len(label) == 1 and label in _DIGITS + _LETTERS}
    own |= {label: label.lower() for label in labels if len(label) == 1 and label.lower() in set(_LETTERS) - set(own)}
    order = _LETTERS + _DIGITS if any(key in _DIGITS for key in own.values()) else _DIGITS + _LETTERS
    free = (key for key in order if key not in own.values())
    return {own.get(label) or next(free): label for label in labels}


def _opened(path: Path) -> io.BufferedRandom:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    except OSError as error:
        raise UnavailableError(f"{path} cannot be opened for writing: {error.strerror}; name another file") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UnavailableError(
            f"somebody labels into {path} now; stop that first, or name another file and give both to aisle finetune"
        ) from error
    return file


def _rows(text: str) -> Iterator[tuple[list[str], int]]:
    """The rows of a CSV file, and where each ends, in bytes.

    Raises:
        csv.Error: it is none.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in io.StringIO(text, newline="\n"):
            end += len(line.encode("utf-8"))
            yield line

    for row in csv.reader(lines()):
        yield row, end
