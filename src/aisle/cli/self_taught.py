"""Self-training on a command line: what is without labels, whom to believe, and what came of each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape

from aisle.cli.labelled import TEXT
from aisle.cli.screen import out, rows
from aisle.errors import ConfigError
from aisle.ingest.text_columns import columns_named, seconds_in, texts_in
from aisle.ingest.text_tables import read_table
from aisle.language.finetune_config import TaskConfig
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.self_training_config import SelfTrainingConfig

SELF_TRAINING = "self_training/"
"""Before the names of figures of rounds."""
_MEASURES = ("accuracy", "log_loss", "calibration_error")


def self_training_of(
    has_table: bool, unlabelled: Sequence[Path] | None, confident_above: float | None, rounds: int | None
) -> SelfTrainingConfig:
    """Settings as options say them.

    Raises:
        ConfigError: an option is out of range, or would change nothing.
    """
    if unlabelled and not has_table:
        raise ConfigError(
            "--unlabelled goes with --table, whose labels it adds to; the shop's own lists have no texts without labels"
        )
    given = {"--confident-above": confident_above, "--rounds": rounds}
    for option, value in given.items():
        if value is not None and not unlabelled:
            raise ConfigError(
                f"{option} {value} says how --unlabelled is read, and there is none; give both or neither"
            )
    if confident_above is not None and not 0.5 < confident_above < 1.0:
        raise ConfigError(
            f"--confident-above is {confident_above}; give a probability above 0.5 and below 1, such as 0.9"
        )
    settings = {"least_sure": confident_above, "rounds": rounds}
    return SelfTrainingConfig.parse({name: value for name, value in settings.items() if value is not None}, "--rounds")


def unlabelled_in(files: Sequence[Path], text: str, second: str | None) -> list[LabelledTexts]:
    """Texts of files, of ``.txt`` its lines."""
    found = []
    for file in files:
        frame, source = read_table(file), str(file)
        columns = [TEXT] if file.suffix.lower() == ".txt" else columns_named("--text", text)
        found.append(LabelledTexts(source, texts_in(frame, columns, source), {}, seconds_in(frame, second, source)))
    return found


def show_rounds(metrics: Mapping[str, float], task: TaskConfig) -> None:
    """A line a round: what was taken, and how good the model is on what it has not seen."""
    n_kept = int(metrics[f"{SELF_TRAINING}rounds_kept"])
    lines: list[tuple[str, ...]] = []
    number = 0
    while (found := rounds_figures(metrics, number)) or number == 0:
        sure, taken = ([found.get(f"{what}/{label}", 0.0) for label in task.labels] for what in ("sure", "taken"))
        told = [
            ", ".join(f"{escape(label)} {n:,.0f}" for label, n in zip(task.labels, counts, strict=True))
            for counts in (sure, taken)
        ]
        measured = [f"{found[name]:.4g}" if name in found else "" for name in _MEASURES]
        what = "kept" if number == n_kept else "" if number < n_kept else "not kept"
        lines.append((str(number), *(told if number else ["", "people's labels"]), *measured, what))
        number += 1
    out.print(rows(("round", "sure of", "learned from", *_MEASURES, ""), lines, "self-training"))
    last = rounds_figures(metrics, number - 1)
    lacking = [label for label in task.labels if number > 1 and not last.get(f"sure/{label}")]
    if lacking:
        out.print(
            escape(
                f"no text was surely {' or '.join(map(repr, lacking))}, and every label gets as many texts as any "
                "other; label more of them, or lower --confident-above"
            ),
            highlight=False,
        )


def rounds_figures(metrics: Mapping[str, float], number: int) -> dict[str, float]:
    """Figures of one round by name; none where there was no such round."""
    before = f"{SELF_TRAINING}round_{number}/"
    return {name.removeprefix(before): value for name, value in metrics.items() if name.startswith(before)}
