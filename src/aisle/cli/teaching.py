"""Commands that teach the language model: adapt."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape

from aisle.cli.screen import JsonOption, ShopArgument, opened, out, print_json, rows
from aisle.contracts import Manifest
from aisle.flows.adapt import IS_BETTER
from aisle.language.adapt_config import AdaptConfig


def adapt(
    shop: ShopArgument,
    size: Annotated[
        Literal["tiny", "small", "large"] | None,
        typer.Option("--size", help="How long: tiny seconds, small some 20 minutes on two cores, large for a GPU."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", help="masked or contrast; may be repeated, in order. Default: contrast."),
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
    if is_answering:
        out.print(f"to go back: aisle rollback {escape(shop)} encoder, or encoder.adapted = false", highlight=False)
    else:
        out.print(
            f"more data or a longer run (--size large) may help; --force lets it answer; see "
            f"[bold]aisle adapt --help[/] and try it with {escape(shop)}",
            highlight=False,
        )


def compared(manifest: Manifest) -> list[tuple[str, str, str]]:
    """Each measure before and after, for a table."""
    figures = manifest.metrics
    names = [name.removesuffix("_before") for name in figures if name.endswith("_before")]
    lines = [(name, f"{figures[f'{name}_before']:.3f}", f"{figures[f'{name}_after']:.3f}") for name in names]
    kinds = {name.removeprefix("n_pairs."): n for name, n in figures.items() if name.startswith("n_pairs.")}
    return [*lines, *((f"pairs: {kind}", "", f"{n:,.0f}") for kind, n in kinds.items())]
