"""The command with which a person labels texts: label."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.markup import escape

from aisle.cli.screen import Bars, opened, out, told_errors
from aisle.contracts import Float32Array
from aisle.errors import ConfigError
from aisle.ingest.label_book import LabelBook
from aisle.ingest.text_tables import read_table, texts_in
from aisle.language.active_learning import Pick, pick
from aisle.language.opening import open_encoder
from aisle.settings import EncoderConfig

if TYPE_CHECKING:
    from aisle.language.text_model import TextModel

_MOST_RANKED = 20_000
"""Texts that a model ranks; of more, this many are drawn."""


def label(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Texts: CSV, TSV, JSONL, Parquet, TXT.")],
    labels: Annotated[str, typer.Option("--labels", help="What may be said, with commas between.")],
    to: Annotated[Path, typer.Option("--out", help="CSV file for the answers; one that is there is gone on with.")],
    text: Annotated[str, typer.Option("--text", help="Column of the text; several with commas between.")] = "text",
    how: Annotated[
        Pick, typer.Option("--pick", help="Whom to ask about first. uncertainty and change need --shop and --model.")
    ] = "diversity",
    n: Annotated[int, typer.Option("-n", "--number", help="How many to ask about this time.", min=1)] = 100,
    shop: Annotated[str | None, typer.Option("--shop", help="The shop whose fine-tuned model ranks the texts.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Its name, as aisle finetune made it.")] = None,
    web: Annotated[bool, typer.Option("--web", help="On a page of this machine in place of the terminal.")] = False,
    port: Annotated[int, typer.Option("--port", help="Of the page; 0 takes a free one.", min=0, max=65535)] = 8765,
) -> None:
    """Label texts, those first that teach a model most; every answer is saved at once.

    Keys: a label's number or its name, s skips, u takes the last answer back, q stops. Begin with diversity; when some
    hundred are labelled, run aisle finetune on the file, and label on with --model and --pick uncertainty.

    Example: aisle label reviews.csv --text review --labels bad,good --out labels.csv
    """
    with told_errors(), Bars() as bars:
        texts = list(dict.fromkeys(texts_in(read_table(file), text.split(","), str(file))))
        book = LabelBook(texts, [one.strip() for one in labels.split(",")], to)
        if (shop is None) != (model is None):
            raise ConfigError("--shop and --model go together: the shop, and the name of its fine-tuned model")
        chosen = ranked(book, texts, how, n, None if shop is None or model is None else asked(shop, model), bars)
    with told_errors():
        asking = LabelBook(chosen, book.labels, to)
        if web:
            on_a_page(asking, port)
        else:
            in_the_terminal(asking)
    out.print(f"{asking.n_labelled} labelled in {escape(str(to))}", highlight=False)
    out.print(
        f"next: [bold]aisle finetune SHOP NAME --table {escape(str(to))} --task NAME=classes:label[/]", highlight=False
    )


def asked(shop: str, model: str) -> TextModel:
    """The fine-tuned model of a shop."""
    with opened(shop) as open_shop:
        return open_shop.teacher.text_model(model)


def ranked(book: LabelBook, texts: Sequence[str], how: Pick, n: int, model: TextModel | None, bars: Bars) -> list[str]:
    """The texts to ask about, best first."""
    labelled, waiting = book.parted(texts)
    some = [waiting[row] for row in pick("random", _MOST_RANKED, vectors=_no_vectors(len(waiting))).tolist()]
    if how == "random":
        return some[:n]
    if model is not None:
        rows = pick(
            how,
            n,
            vectors=model.vectors(some, progress=bars),
            probabilities=_probabilities(model, some, bars),
            labelled=model.vectors(labelled, progress=bars),
        )
    else:
        if how != "diversity":
            raise ConfigError(f"--pick {how} needs --shop and --model: a model that was fine-tuned on what is labelled")
        encoder = open_encoder(EncoderConfig(), progress=bars)
        rows = pick(how, n, vectors=encoder.encode(some, progress=bars), labelled=encoder.encode(labelled))
    return [some[row] for row in rows.tolist()]


def _no_vectors(n: int) -> Float32Array:
    return np.zeros((n, 0), dtype=np.float32)


def _probabilities(model: TextModel, texts: Sequence[str], bars: Bars) -> Float32Array:
    """Of the first task where exactly one label is right."""
    task = next((one for one in model.tasks if one.is_one_of), None)
    if task is None:
        raise ConfigError("the model tells tags only; rows are picked by a task where exactly one label is right")
    return model.predict(texts, progress=bars)[task.name]


def in_the_terminal(book: LabelBook) -> None:
    """Ask until there is nothing left or the person stops."""
    keys = "  ".join(f"[bold]{number}[/] {escape(one)}" for number, one in enumerate(book.labels, 1))
    while (text := book.next()) is not None:
        out.print(f"\n{escape(text)}\n", highlight=False)
        out.print(f"{keys}  [dim]s skip  u undo  q stop  ({book.n_labelled} labelled, {book.n_open} to go)[/]")
        sys.stdout.write("> ")
        sys.stdout.flush()
        typed = sys.stdin.readline()
        said = typed.strip()
        if not typed or said == "q":
            return
        if said == "s":
            book.skip(text)
        elif said == "u":
            if book.undo() is None:
                out.print("nothing to take back")
        elif said.isdigit() and 1 <= int(said) <= len(book.labels):
            book.say(text, book.labels[int(said) - 1])
        elif said in book.labels:
            book.say(text, said)
        else:
            out.print(f"{escape(said)!r} is not one of {', '.join(map(escape, book.labels))}, s, u, q", highlight=False)


def on_a_page(book: LabelBook, port: int) -> None:
    """Serve the page until the person stops it."""
    import socket

    import uvicorn

    from aisle.serving.labelling import label_app

    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError(f"port {port} cannot be had: {error.strerror}; name another with --port") from error
    out.print(f"open http://127.0.0.1:{listening.getsockname()[1]}/ and stop with Ctrl+C", highlight=False)
    with listening:
        uvicorn.Server(uvicorn.Config(label_app(book), log_level="warning")).run(sockets=[listening])
