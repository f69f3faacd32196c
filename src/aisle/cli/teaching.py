"""Commands that teach the shop's encoder: adapt, compress, tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.markup import escape

from aisle.cli.labelled import TEXT, read_labelled
from aisle.cli.pretraining import plain_texts
from aisle.cli.screen import JsonOption, ShopArgument, opened, out, print_json, rows, tell
from aisle.contracts import Manifest
from aisle.errors import ConfigError
from aisle.flows.adapt import IS_BETTER
from aisle.flows.compress import IS_GOOD_ENOUGH
from aisle.language.adapt_config import AdaptConfig
from aisle.language.compress_config import CompressConfig
from aisle.training.tuning import read_word


def adapt(
    shop: ShopArgument,
    size: Annotated[
        Literal["tiny", "small", "large"] | None,
        typer.Option("--size", help="How long: tiny seconds, small some 40 minutes on two cores, large for a GPU."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", help="masked, pieces, contrast; may be repeated, in order."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let the new model answer even if it is not better.")] = False,
    json: JsonOption = False,
) -> None:
    """Teach the language model this shop: its words, and what belongs together in it.

    Learns from what the shop has anyway: queries and what was clicked or bought after them, titles and descriptions,
    items looked at or bought together. The new model is compared with the old one on queries that it has not learned
    from; it answers only if it finds more, beyond chance. Indexes are made anew with it, and searches go on meanwhile.
    A run that was stopped goes on where it was: give the same command again.

    Hyper-parameters are settings of \\[adapt] in aisle.toml.
    """
    with opened(shop) as open_shop:
        given = {"size": size, "objectives": objective or None}
        changed = {name: value for name, value in given.items() if value is not None}
        config = AdaptConfig.parse({**open_shop.settings.adapt, **changed}, "adapt")
        manifest = open_shop.adapt(config, force=force)
        is_answering = open_shop.versions_of["encoder"].promoted("encoder") == manifest.version
    if json:
        print_json({"version": manifest.version, "is_answering": is_answering, "metrics": dict(manifest.metrics)})
        return
    out.print(rows(("on what it had not seen", "before", "after"), compared(manifest), f"encoder {manifest.version}"))
    low, high = (manifest.metrics[f"gain_{end}"] for end in ("low", "high"))
    sentence = f"gain in NDCG@10 {manifest.metrics['gain']:+.3f}, 90% interval {low:+.3f} to {high:+.3f}: "
    if manifest.metrics[IS_BETTER]:
        sentence += "it is better and answers"
    else:
        sentence += "that may be chance; " + ("it answers all the same" if is_answering else "it does not answer")
    out.print(sentence, highlight=False)
    if not manifest.metrics["is_checked_apart"]:
        out.print(
            f"the same {manifest.metrics['n_checked']:,.0f} said when to stop, too few for two parts: the gain is told "
            "somewhat too high",
            highlight=False,
        )
    if is_answering:
        out.print(f"to go back: aisle rollback {escape(shop)} encoder, or encoder.adapted = false", highlight=False)
    else:
        out.print(
            f"more data or a longer run (--size large) may help; --force lets it answer; see "
            f"[bold]aisle adapt --help[/] and try it with {escape(shop)}",
            highlight=False,
        )


def compress(
    shop: ShopArgument,
    layers: Annotated[
        int | None, typer.Option("--layers", help="Layers that stay. Default: 3; the packaged model has 6.", min=1)
    ] = None,
    neurons: Annotated[
        float | None,
        typer.Option("--neurons", help="Share of each layer's inner neurons that stay, such as 0.5. Default: 1."),
    ] = None,
    heads: Annotated[
        float | None, typer.Option("--heads", help="Share of each layer's attention heads that stay. Default: 1.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "int8"] | None,
        typer.Option("--precision", help="Of the weights in service; int8 (default) is nearly twice as fast as fp32."),
    ] = None,
    size: Annotated[
        Literal["tiny", "small", "large"] | None,
        typer.Option("--size", help="How long it learns: tiny 20 steps, small 1,500, large for a GPU."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let it answer even if it loses more than it may.")] = False,
    json: JsonOption = False,
) -> None:
    """Make the encoder that answers smaller and faster, and say what each step costs and gains.

    A model of fewer layers learns from the large one where the shop's texts and queries lie and how they are ordered;
    neurons and heads that matter least are taken out, and it learns again; its weights are rounded. It is compared with
    the large one on queries that neither learned from, and answers if it loses little enough of their NDCG@10:
    most_lost of \\[compress] in aisle.toml, where all settings are. Indexes are made anew with it, and searches go on
    meanwhile. A run that was stopped goes on where it was: give the same command again.

    Example: aisle compress myshop --layers 3 --neurons 0.5
    """
    with opened(shop) as open_shop:
        given = {"layers": layers, "neurons": neurons, "heads": heads, "precision": precision, "size": size}
        changed = {name: value for name, value in given.items() if value is not None}
        config = CompressConfig.parse({**open_shop.settings.compress, **changed}, "compress")
        manifest = open_shop.compress(config, force=force)
        is_answering = open_shop.versions_of["encoder"].promoted("encoder") == manifest.version
    if json:
        print_json({"version": manifest.version, "is_answering": is_answering, "metrics": dict(manifest.metrics)})
        return
    figures = manifest.metrics
    headings = ("", "MB", "texts/s", "ms a query", "NDCG@10", "same first 10")
    out.print(rows(headings, steps_of(manifest), f"encoder {manifest.version}"))
    sentence = (
        f"{figures['times_faster']:.1f} times as many texts a second, {figures['lost']:.1%} of the NDCG@10 lost "
        f"(90% interval {figures['lost_low']:.1%} to {figures['lost_high']:.1%}): "
    )
    if figures[IS_GOOD_ENOUGH]:
        sentence += "it answers"
    else:
        sentence += f"more than the {config.most_lost:.1%} that may be; " + (
            "it answers all the same" if is_answering else "it does not answer"
        )
    out.print(sentence, highlight=False)
    if is_answering:
        out.print(f"to go back: aisle rollback {escape(shop)} encoder", highlight=False)
    else:
        out.print("more layers, fp32 or a longer run (--size large) lose less; --force lets it answer", highlight=False)


def steps_of(manifest: Manifest) -> list[tuple[str, ...]]:
    """Figures of the large model and after each step, for a table."""
    figures = manifest.metrics
    steps = [name.partition(".")[2] for name in figures if name.startswith("megabytes.")]
    shown = {"megabytes": "{:,.1f}", "texts_per_second": "{:,.0f}", "query_ms": "{:.2f}", "ndcg@10": "{:.4f}"}
    return [
        (step, *(form.format(figures[f"{name}.{step}"]) for name, form in shown.items()), share)
        for step, share in ((step, f"{figures[f'agreement.{step}']:.0%}") for step in steps)
    ]


def tune(
    shop: ShopArgument,
    command: Annotated[
        Literal["adapt", "finetune", "pretrain"], typer.Argument(help="Whose settings are searched for.")
    ],
    vary: Annotated[
        list[str],
        typer.Option("--vary", help="KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=ONE|OTHER; may be repeated."),
    ],
    trials: Annotated[int, typer.Option("--trials", help="In all; those of an earlier search count.", min=1)] = 20,
    table: Annotated[
        list[Path] | None, typer.Option("--table", help="For finetune: labelled rows; for pretrain: more texts.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Of --table: column of the text; default: text.")] = None,
    second: Annotated[str | None, typer.Option("--second", help="For finetune: column of the second text.")] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="For finetune: NAME=KIND:COLUMN.")] = None,
    on_ray: Annotated[
        int,
        typer.Option(
            "--on-ray",
            help="Trials at a time on the Ray cluster that RAY_ADDRESS names, else on a Ray of this machine; 0: none.",
            min=0,
        ),
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Search for better settings of a training: every trial trains, hopeless ones are cut short.

    Nothing changes in the shop; the best settings are printed as TOML for aisle.toml. A search that was stopped goes on
    with the trial it was at. Trials lie under tuning/ in the shop's folder.

    Example: aisle tune myshop adapt --vary training.learning_rate=1e-5..1e-4:log --vary contrast.scale=10..40
    """
    with opened(shop) as open_shop:
        given = {"--table": table, "--text": text, "--second": second, "--task": task}
        taken = {"adapt": [], "pretrain": ["--table", *(["--text"] if table else [])]}.get(command, list(given))
        refused = [option for option, value in given.items() if value and option not in taken]
        if refused:
            raise ConfigError(
                f"{', '.join(refused)} change nothing for {command}; leave them out, or write aisle tune {shop} "
                "finetune, which learns labels of tables"
            )
        if command == "adapt":
            tuned = open_shop.teacher.tune_adapt(vary, trials, on_ray)
        elif command == "pretrain":
            more = [text_of for file in table or () for text_of in plain_texts(file, text)]
            tuned = open_shop.teacher.tune_pretrain(more, vary, trials, on_ray)
        else:
            tables, tasks = read_labelled(table or [], TEXT if text is None else text, second, task or [], tell)
            tuned = open_shop.teacher.tune_finetune(tables, tasks, vary, trials, on_ray)
    if json:
        print_json({"metric": tuned.metric, "trials": [asdict(one) for one in tuned.trials]})
        return
    keys = list(dict.fromkeys(key for one in tuned.trials for key in one.settings))
    lines = [
        (
            str(one.number),
            one.state,
            "" if one.value is None else f"{one.value:.4g}",
            *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in map(one.settings.get, keys)),
        )
        for one in tuned.trials
    ]
    out.print(rows(("trial", "", tuned.metric.lstrip("-"), *keys), lines, f"{command}: best first"))
    if tuned.best is None:
        out.print("no trial came to its end; see the reasons with --json", highlight=False)
        return
    out.print("for aisle.toml:", highlight=False)
    for line in as_toml(command, tuned.best.settings):
        out.print(escape(line), highlight=False)


def as_toml(table: str, settings: Mapping[str, object]) -> list[str]:
    """Lines of ``aisle.toml`` that set dotted keys of a table."""
    by_table: dict[str, list[str]] = {}
    for key, value in settings.items():
        parents, _, last = f"{table}.{key}".rpartition(".")
        meant = read_word(value) if isinstance(value, str) else value
        told = value if isinstance(value, str) and meant != value else orjson.dumps(value).decode()
        by_table.setdefault(parents, []).append(f"{last} = {told}")
    return [line for name, lines in sorted(by_table.items()) for line in (f"[{name}]", *lines)]


def compared(manifest: Manifest) -> list[tuple[str, str, str]]:
    """Each measure before and after, for a table."""
    figures = manifest.metrics
    names = [name.removesuffix("_before") for name in figures if name.endswith("_before")]
    lines = [(name, f"{figures[f'{name}_before']:.3f}", f"{figures[f'{name}_after']:.3f}") for name in names]
    if "n_texts_to_rewrite" in figures:
        lines.append(("texts rewritten", "", f"{figures['n_rewritten_texts']:,.0f}"))
        unfit = {name.removeprefix("n_dropped."): n for name, n in figures.items() if name.startswith("n_dropped.")}
        lines += [(f"rewritings dropped: {why}", "", f"{n:,.0f}") for why, n in unfit.items()]
    kinds = {name.removeprefix("n_pairs."): n for name, n in figures.items() if name.startswith("n_pairs.")}
    return [*lines, *((f"pairs: {kind}", "", f"{n:,.0f}") for kind, n in kinds.items())]
