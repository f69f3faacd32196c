"""Commands that learn labels of texts and tell them: finetune, classify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from aisle.cli.labelled import read_labelled
from aisle.cli.screen import JsonOption, ShopArgument, err, opened, out, print_json, print_line, rows
from aisle.errors import ConfigError
from aisle.flows.click_texts import CLICK, CONVERSION
from aisle.flows.tune import over
from aisle.ingest.text_tables import read_table, texts_in
from aisle.language.finetune_config import FinetuneConfig, TaskConfig

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the model in this shop.", show_default=False)]
TableOption = Annotated[
    list[Path] | None,
    typer.Option("--table", help="Labelled rows: CSV, TSV, JSONL or Parquet; may be repeated.", show_default=False),
]
TextOption = Annotated[str, typer.Option("--text", help="Column of the text; several with commas between.")]
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
Trained = Literal["all", "heads", "lora", "adalora", "prefix", "bottleneck"]


def finetune(
    shop: ShopArgument,
    name: NameArgument,
    task: TaskOption,
    table: TableOption = None,
    text: TextOption = "text",
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
    json: JsonOption = False,
) -> None:
    """Teach a model labels of texts: opinion, intent, topic, tags, clicks; several at once.

    A tenth of the texts is kept out of learning; on it the best weights are chosen, probabilities calibrated and the
    figures measured. A run that was stopped goes on where it was. Settings are those of \\[finetune] in aisle.toml.

    Example: aisle finetune myshop opinion --table reviews.csv --text review --task opinion=binary:liked
    Example: aisle finetune myshop clicks --task click --task conversion
    Example: aisle finetune myshop other --table more.csv --task topic=classes:topic --start-from opinion
    """
    with opened(shop) as open_shop:
        if table:
            tables, tasks = read_labelled(table, text, second, task)
        else:
            tasks = [named_task(one) for one in task]
            tables = [open_shop.teacher.lists()]
            wanted = {one.name for one in tasks}
            tables = [replace(one, labels={k: v for k, v in one.labels.items() if k in wanted}) for one in tables]
        config = FinetuneConfig.parse(over(open_shop.settings.finetune, changed(trained, size)), "finetune")
        manifest = open_shop.teacher.finetune(name, tables, tasks, config, model=model, start_from=start_from)
    if json:
        yes = {one.name: one.labels[1] for one in tasks if one.kind == "binary"}
        print_json({"name": name, "version": manifest.version, "yes": yes, "metrics": dict(manifest.metrics)})
        return
    lines = [(one, f"{value:,.4g}") for one, value in sorted(manifest.metrics.items())]
    out.print(rows(("on what it had not seen", ""), lines, f"{name} {manifest.version}"))
    for one in tasks:
        if one.kind == "binary":
            out.print(escape(f"{one.name}: {one.labels[1]!r} means yes, {one.labels[0]!r} no"), highlight=False)
    out.print(f"next: [bold]aisle classify {escape(shop)} {escape(name)} FILE[/]", highlight=False)


def classify(
    shop: ShopArgument,
    name: NameArgument,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Texts: CSV, TSV, JSONL, Parquet, TXT.")] = None,
    text: TextOption = "text",
    second: SecondOption = None,
    say: Annotated[list[str] | None, typer.Option("--say", help="A text itself, in place of FILE.")] = None,
    json: JsonOption = False,
) -> None:
    """Tell the labels of texts, with calibrated probabilities; one line a text.

    Example: aisle classify myshop opinion --say "fits well and looks great"
    """
    with opened(shop) as open_shop:
        if (file is None) == (not say):
            raise ConfigError("give either FILE or --say, what is to be classified")
        others: list[str | None] | None = None
        texts = list(say or ())
        if file is not None:
            frame = read_table(file)
            texts = texts_in(frame, text.split(","), str(file))
            others = None if second is None else [one or None for one in texts_in(frame, [second], str(file))]
        model = open_shop.teacher.text_model(name)
        said = model.predict(texts, others, progress=open_shop.progress)
    for number, one in enumerate(texts):
        found = {
            task.name: {
                label: round(float(value), 4) for label, value in zip(task.labels, said[task.name][number], strict=True)
            }
            for task in model.tasks
        }
        if json:
            print_json({"text": one, **found})
            continue
        best = "  ".join(f"{task}: {said_of(found[task], is_tags(model.tasks, task))}" for task in found)
        print_line(f"{one[:80]}\t{best}")
    if not texts:
        err.print(f"{file} has no rows")


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


def is_tags(tasks: Sequence[TaskConfig], name: str) -> bool:
    """Whether any number of the task's labels may be right."""
    return next(task.kind == "tags" for task in tasks if task.name == name)


def said_of(probabilities: dict[str, float], may_be_several: bool) -> str:
    """The labels that hold, with their probabilities."""
    ordered = sorted(probabilities.items(), key=lambda named: -named[1])
    held = [one for one in ordered if one[1] >= 0.5] if may_be_several else ordered[:1]
    return ", ".join(f"{label} {value:.2f}" for label, value in held) or "none"
