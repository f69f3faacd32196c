"""Commands that learn labels of texts and tell them: finetune, classify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from aisle.cli.labelled import TEXT, check_names, counted, read_labelled
from aisle.cli.said import Said, csv_lines, json_line, plain_line
from aisle.cli.screen import (
    JsonOption,
    ShopArgument,
    err,
    opened,
    out,
    print_json,
    print_lines,
    rows,
    tell,
    told_errors,
)
from aisle.cli.self_taught import SELF_TRAINING, self_training_of, show_rounds, unlabelled_in
from aisle.contracts import Manifest
from aisle.errors import ConfigError
from aisle.flows.click_texts import CLICK, CONVERSION
from aisle.flows.tune import over
from aisle.ingest.text_columns import columns_named, seconds_in, texts_in
from aisle.ingest.text_tables import read_table
from aisle.language.finetune_config import FinetuneConfig, TaskConfig

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the model in this shop.", show_default=False)]
TableOption = Annotated[
    list[Path] | None,
    typer.Option("--table", help="Labelled rows: CSV, TSV, JSONL or Parquet; may be repeated.", show_default=False),
]
TextOption = Annotated[
    str | None,
    typer.Option("--text", help="Column of the text; several with commas between. Default: text.", show_default=False),
]
SecondOption = Annotated[
    str | None, typer.Option("--second", help="Column of what each text is looked at with, such as a query.")
]
TaskOption = Annotated[
    list[str],
    typer.Option(
        "--task",
        help="NAME=KIND:COLUMN, may be repeated; kinds: binary (COLUMN=VALUE says what means yes), classes, tags (with "
        "| between). Without --table: click, conversion, from the shop's own lists.",
        show_default=False,
    ),
]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a text.")]
Trained = Literal["all", "heads", "lora", "adalora", "prefix", "bottleneck"]


def finetune(
    shop: ShopArgument,
    name: NameArgument,
    task: TaskOption,
    table: TableOption = None,
    text: TextOption = None,
    second: SecondOption = None,
    trained: Annotated[
        Trained | None,
        typer.Option("--trained", help="What learns: all weights, the heads alone (seconds), or an adapter."),
    ] = None,
    size: Annotated[
        Literal["tiny", "small", "large"] | None,
        typer.Option("--size", help="How long: tiny seconds, small minutes on two cores, large for a GPU."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="What to begin from. Default: the shop's encoder, adapted or not.")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--start-from", help="A fine-tuned model of this shop, a folder of one, or of an adapter."),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(
            "--unlabelled",
            help="Texts without labels: the model labels those it is sure of and learns from them too, if that is "
            "better on texts it has not seen; may be repeated.",
            show_default=False,
        ),
    ] = None,
    confident_above: Annotated[
        float | None,
        typer.Option(
            "--confident-above", help="With --unlabelled: probability from which on it is sure. Default: 0.9."
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", help="With --unlabelled: how often it labels, at most. Default: 1.", min=1, max=10),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Teach a model labels of texts: opinion, intent, topic, tags, clicks; several at once.

    A tenth of the texts is kept out of learning: half of it chooses the best weights (or the heads alone, where those
    are better) and calibrates, the other half measures. A run that was stopped goes on where it was. Settings are those
    of \\[finetune] in aisle.toml.

    Example: aisle finetune myshop opinion --table reviews.csv --text review --task opinion=binary:liked
    Example: aisle finetune myshop clicks --task click --task conversion
    Example: aisle finetune myshop other --table more.csv --task topic=classes:topic --start-from opinion
    Example: aisle finetune myshop opinion --table few.csv --task opinion=binary:liked --unlabelled reviews.csv
    """
    with told_errors():
        if not table:
            refuse_columns(text, second, "of --table; without --table the shop's own lists are learned from")
            check_names(task, task)
        how = self_training_of(bool(table), unlabelled, confident_above, rounds)
        more = unlabelled_in(unlabelled or (), TEXT if text is None else text, second)
    with opened(shop) as open_shop:
        if table:
            tables, tasks = read_labelled(table, TEXT if text is None else text, second, task, tell)
        else:
            tasks = [named_task(one) for one in task]
            tables = [open_shop.teacher.lists()]
            wanted = {one.name for one in tasks}
            tables = [replace(one, labels={k: v for k, v in one.labels.items() if k in wanted}) for one in tables]
        config = FinetuneConfig.parse(over(open_shop.settings.finetune, changed(trained, size)), "finetune")
        manifest = open_shop.teacher.finetune(
            name, tables, tasks, config, model=model, start_from=start_from, unlabelled=more, self_training=how
        )
    n_rows = counted(tables, tasks)
    if json:
        yes = {one.name: one.labels[1] for one in tasks if one.kind == "binary"}
        about = {"name": name, "version": manifest.version, "yes": yes, "rows": n_rows}
        print_json({**about, "metrics": dict(manifest.metrics)})
        return
    told = (SELF_TRAINING, "is_", "n_chosen_by", "n_checked")
    shown = {one: value for one, value in manifest.metrics.items() if not one.startswith(told)}
    lines = [(one, f"{value:,.4g}") for one, value in sorted(shown.items())]
    out.print(rows(("on what it had not seen", ""), lines, f"{name} {manifest.version}"))
    for line in measured_on(manifest):
        out.print(line, highlight=False)
    for one in tasks:
        labels = ", ".join(f"{label!r} {n:,}" for label, n in n_rows[one.name].items())
        out.print(escape(f"{one.name}, rows by label: {labels}"), highlight=False)
        if one.kind == "binary":
            out.print(escape(f"{one.name}: {one.labels[1]!r} means yes, {one.labels[0]!r} no"), highlight=False)
    if more:
        show_rounds(manifest.metrics, tasks[0])
    out.print(f"next: [bold]aisle classify {escape(shop)} {escape(name)} FILE[/]", highlight=False)


def measured_on(manifest: Manifest) -> list[str]:
    """Which texts the figures are of, and whether the language model learned."""
    chosen, checked = (f"{manifest.metrics[name]:,.0f}" for name in ("n_chosen_by", "n_checked"))
    if manifest.metrics["is_checked_apart"]:
        lines = [f"chosen and calibrated by {chosen} texts that it had not learned, measured on {checked} others"]
    else:
        lines = [
            f"chosen, calibrated and measured by the same {checked} texts, too few for two parts: expect new texts to "
            "do slightly worse"
        ]
    if manifest.metrics["is_only_heads"] and manifest.config.get("trained") == "all":
        lines.append("kept: heads over the language model as it was; it was no better when everything had learned")
    return lines


def classify(
    shop: ShopArgument,
    name: NameArgument,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Texts: CSV, TSV, JSONL, Parquet, TXT.")] = None,
    text: TextOption = None,
    second: SecondOption = None,
    say: Annotated[list[str] | None, typer.Option("--say", help="A text itself, in place of FILE.")] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: the text, and of each task label, probability.")
    ] = False,
    json: JsonLinesOption = False,
) -> None:
    """Tell the labels of texts, with calibrated probabilities; one line a text, one row or object with --csv or --json.

    Example: aisle classify myshop opinion --say "fits well and looks great"
    Example: aisle classify myshop opinion new.csv --text title,review --csv > told.csv
    """
    with told_errors():
        if (file is None) == (not say):
            raise ConfigError("give either FILE or --say, what is to be classified")
        if say:
            refuse_columns(text, second, "of FILE, and --say gives the texts themselves")
        if csv and json:
            raise ConfigError("--csv and --json are two ways to print the same; give one of them")
        texts, others = (
            (said_texts(say or ()), None) if file is None else texts_of(file, TEXT if text is None else text, second)
        )
    with opened(shop) as open_shop:
        model = open_shop.teacher.text_model(name)
        said = Said(texts, model.tasks, model.predict(texts, others, progress=open_shop.progress))
    if not texts:
        err.print(escape(f"{file} has no rows"), highlight=False)
    with told_errors():
        print_lines(csv_lines(said) if csv else map(json_line if json else plain_line, said))


def texts_of(file: Path, text: str, second: str | None) -> tuple[list[str], list[str | None] | None]:
    """The texts of a file, and what each is looked at together with."""
    frame = read_table(file)
    return texts_in(frame, columns_named("--text", text), str(file)), seconds_in(frame, second, str(file))


def said_texts(say: Sequence[str]) -> list[str]:
    """The texts of a command line.

    Raises:
        ConfigError: one is not in the terminal's encoding.
    """
    for number, one in enumerate(say, 1):
        if any("\ud800" <= character <= "\udfff" for character in one):
            raise ConfigError(
                f"text {number} of --say has bytes that are no UTF-8; write it in the terminal's encoding"
            )
    return list(say)


def refuse_columns(text: str | None, second: str | None, why: str) -> None:
    """Options that would change nothing.

    Raises:
        ConfigError: one is given.
    """
    for option, value in (("--text", text), ("--second", second)):
        if value is not None:
            raise ConfigError(f"{option} {value!r} names a column {why}; leave {option} out")


def named_task(name: str) -> TaskConfig:
    """A task of the shop's own lists.

    Raises:
        ConfigError: it needs a table.
    """
    known = {one.name: one for one in (CLICK, CONVERSION)}
    if name not in known:
        raise ConfigError(f"task {name!r} needs --table; without one there are {', '.join(known)}", setting="task")
    return known[name]


def changed(trained: Trained | None, size: str | None) -> dict[str, object]:
    """Settings of ``[finetune]`` that options change."""
    given: dict[str, object] = {} if size is None else {"size": size}
    if trained in ("all", "heads"):
        given |= {"trained": trained, "adapter": {"method": "full"}}
    elif trained is not None:
        given |= {"trained": "all", "adapter": {"method": trained}}
    return given
