"""What a model says of texts, as lines to print: for people, as JSON, as CSV.

Enters: texts and probabilities. Leaves: lines; a text's own line ends do not become the output's.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from aisle.cli.labelled import TAG_SEPARATOR
from aisle.contracts import Float32Array
from aisle.errors import ConfigError
from aisle.language.finetune_config import TaskConfig

_LONGEST_SHOWN = 80
_DECIMALS = 4


@dataclass(frozen=True)
class OfText:
    """What is said of one text."""

    text: str
    tasks: Sequence[TaskConfig]
    probabilities: Mapping[str, Mapping[str, float]]
    """By task and label."""

    def held(self, task: TaskConfig) -> list[tuple[str, float]]:
        """The labels that hold, likeliest first: one, or for tags all from one half on."""
        ordered = sorted(self.probabilities[task.name].items(), key=lambda named: -named[1])
        return ordered[:1] if task.is_one_of else [one for one in ordered if one[1] >= 0.5]


@dataclass(frozen=True)
class Said:
    """What is said of texts, one after the other."""

    texts: Sequence[str]
    tasks: Sequence[TaskConfig]
    probabilities: Mapping[str, Float32Array]
    """By task, (n, n_labels)."""

    def __iter__(self) -> Iterator[OfText]:
        for number, text in enumerate(self.texts):
            found = {
                task.name: {
                    label: round(float(value), _DECIMALS)
                    for label, value in zip(task.labels, self.probabilities[task.name][number], strict=True)
                }
                for task in self.tasks
            }
            yield OfText(text, self.tasks, found)


def plain_line(said: OfText) -> str:
    """The text's beginning and the labels that hold."""
    told = (
        f"{task.name}: " + (", ".join(f"{label} {value:.2f}" for label, value in said.held(task)) or "none")
        for task in said.tasks
    )
    return f"{_on_one_line(said.text)[:_LONGEST_SHOWN]}\t{_on_one_line('  '.join(told))}"


def json_line(said: OfText) -> str:
    """An object with ``text`` and ``labels``, by task the probability of each label."""
    return orjson.dumps({"text": said.text, "labels": said.probabilities}).decode()


def csv_lines(said: Said) -> Iterator[str]:
    """A header, and a row a text: the text, then each task's label and its probability, those of tags with | between.

    Raises:
        ConfigError: two columns would be named alike.
    """
    header = ["text", *(column for task in said.tasks for column in (task.name, f"{task.name}_probability"))]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two columns of --csv would be named {twice!r}, as a task is; take --json")
    yield _csv_line(header)
    for one in said:
        cells = [one.text]
        for task in said.tasks:
            held = one.held(task)
            cells += [TAG_SEPARATOR.join(label for label, _ in held), TAG_SEPARATOR.join(f"{p:g}" for _, p in held)]
        yield _csv_line(cells)


def _csv_line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)  # which quotes cells that hold a line end
    return written.getvalue().removesuffix("\n")


def _on_one_line(text: str) -> str:
    """Without line ends and tabs, and nothing that would steer a terminal."""
    line = " ".join(text.split()) if any(one in text for one in "\n\r\t\v\f\u2028\u2029\x85") else text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line)
