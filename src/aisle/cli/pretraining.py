"""The command that teaches a model words from texts alone: pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from aisle.cli.screen import Bars, JsonOption, opened, out, print_json, rows, told_errors
from aisle.errors import ConfigError
from aisle.flows.tune import over
from aisle.ingest.text_columns import texts_in
from aisle.ingest.text_tables import read_table
from aisle.language.pretrain_config import PretrainConfig


def pretrain(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the model is written.", show_default=False)],
    shop: Annotated[str | None, typer.Option("--shop", help="Read a shop's item texts and queries.")] = None,
    texts: Annotated[
        list[Path] | None, typer.Option("--texts", help="Texts: CSV, TSV, JSONL, Parquet, TXT; may be repeated.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Column of the text in --texts that are no TXT; default: text.")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="A model folder or name to begin from. Default: a new one.")
    ] = None,
    family: Annotated[
        Literal["encoder", "decoder"] | None, typer.Option("--family", help="Of a new one: BERT or GPT-2.")
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", help="Of a new one.", min=1)] = None,
    width: Annotated[int | None, typer.Option("--width", help="Of a new one: length of its vectors.", min=8)] = None,
    vocabulary: Annotated[
        int | None, typer.Option("--vocabulary", help="Of a new one: tokens at most.", min=100)
    ] = None,
    size: Annotated[
        Literal["tiny", "small", "large"] | None,
        typer.Option("--size", help="How long: tiny seconds, small up to an hour on two cores, large for a GPU."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Teach a language model to read from texts alone, in any language: no labels, no download.

    A new model gets a vocabulary of its own texts, Chinese words too, and each token begins near those it is read
    with; then it learns to fill in words that are left out. What comes of it is a model
    folder: name it as encoder.model in aisle.toml, then run aisle train and aisle adapt. A run that was stopped goes on
    where it was: give the same command again. Settings are those of \\[pretrain] in the shop's aisle.toml.

    Example: aisle pretrain models/reader --shop myshop --texts reviews.csv --column review
    """
    gathered: list[str] = []
    settings: dict[str, object] = {}
    if shop is not None:
        with opened(shop) as open_shop:
            gathered += open_shop.teacher.texts()
            settings = dict(open_shop.settings.pretrain)
    with told_errors(), Bars() as bars:
        if shop is None and not texts:
            raise ConfigError("give --shop, --texts or both: what is to be read")
        if column is not None and all(file.suffix.lower() == ".txt" for file in texts or ()):
            raise ConfigError(
                f"--column {column!r} names a column of a table, and --texts has none; leave --column out"
            )
        for file in texts or ():
            gathered += plain_texts(file, column)
        given: dict[str, object] = {} if size is None else {"size": size}
        shape = {"family": family, "layers": layers, "width": width, "vocabulary": vocabulary}
        changed = {name: value for name, value in shape.items() if value is not None}
        if changed and start_from is not None:
            raise ConfigError(
                f"--{', --'.join(changed)} are of a new model, and --from begins from {start_from}; leave out either",
                setting="pretrain.model",
            )
        if changed:
            given["model"] = changed
        config = PretrainConfig.parse(over(settings, given), "pretrain")
        from aisle.language.model_folder import open_model_folder
        from aisle.language.pretraining import pretrain as pretrain_model  # brings torch

        begun = None if start_from is None else open_model_folder(start_from)
        work = target.parent / f".{target.name}.pretraining"
        found = pretrain_model(gathered, config, work=work, target=target, start_from=begun, progress=bars)
    if json:
        print_json({"folder": str(target), "metrics": found.metrics()})
        return
    out.print(rows(("", ""), [(one, f"{value:,.4g}") for one, value in found.metrics().items()], escape(str(target))))
    out.print(f'next: encoder.model = "{escape(str(target))}" in aisle.toml, then aisle train', highlight=False)


def plain_texts(file: Path, column: str | None) -> list[str]:
    """The texts in ``file``: its lines where it is a TXT, else a column, ``text`` unless named."""
    is_lines = file.suffix.lower() == ".txt"
    return texts_in(read_table(file), ["text" if is_lines or column is None else column], str(file))
