"""The command with which a person labels texts: label."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import numpy as np
import typer
from rich.markup import escape

from aisle.cli.screen import Bars, err, opened, out, told_errors
from aisle.contracts import Encoder, Float32Array, Reader
from aisle.errors import ConfigError, DataError
from aisle.ingest.label_book import SKIP, STOP, UNDO, LabelBook
from aisle.ingest.text_columns import columns_named, texts_in
from aisle.ingest.text_tables import read_table
from aisle.language.active_learning import Pick, pick
from aisle.language.opening import open_encoder
from aisle.settings import EncoderConfig
from aisle.wiring import adapted_encoding

if TYPE_CHECKING:
    from aisle.language.text_model import TextModel

_MOST_RANKED = 20_000
"""Texts that a model ranks; of more, this many are drawn."""
_NEED_PROBABILITIES = ("uncertainty", "change", "badge")
_CLASSIFIER = "classifier.json"
"""In folders of fine-tuned models only."""
_LOOKED_AT, _MOST_UNREAD = 200, 1 / 3
"""Texts that are looked at for what a model cannot read, and the share of a text beyond which it does not."""
_PORT = 8765
_INTERRUPTS = ("\x03", "\x04", "")


def label(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Texts: CSV, TSV, JSONL, Parquet, TXT.")],
    labels: Annotated[str, typer.Option("--labels", help="What may be said, with commas between: bad,good")],
    to: Annotated[Path, typer.Option("--out", help="CSV file for the answers; one that is there is gone on with.")],
    text: Annotated[str, typer.Option("--text", help="Column of the text; several with commas between.")] = "text",
    how: Annotated[
        Pick | None,
        typer.Option(
            "--pick",
            help="Which texts first: random; diversity (unlike each other); uncertainty, change, badge (what a "
            "fine-tuned model learns most from). Default: uncertainty with a fine-tuned model, else diversity.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="How many to ask about this time.", min=1)] = 100,
    shop: Annotated[str | None, typer.Option("--shop", help="The shop whose model ranks the texts.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="With --shop, the name of a model that aisle finetune made; without, a model's folder."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn.", min=0)] = 0,
    web: Annotated[bool, typer.Option("--web", help="On a page of this machine in place of the terminal.")] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Of the page, with --web; 0 takes a free one. Default: 8765.", min=0, max=65535),
    ] = None,
) -> None:
    """Label texts, those first that teach a model most; every answer is saved at once.

    One key says a label (its number, or the label itself where it is a digit or a letter), s skips, u takes the last
    answer back, q stops. Give the same command again to go on. Begin with diversity; at some hundred
    labels run aisle finetune on the answers, then label on with that model.

    Example: aisle label reviews.csv --text review --labels bad,good --out labels.csv
    Example: aisle label reviews.csv --text review --labels bad,good --out labels.csv --shop myshop --model opinion
    """
    with told_errors():
        if port is not None and not web:
            raise ConfigError(f"--port {port} is of the page, which --web asks for; add --web", setting="port")
        texts = texts_in(read_table(file), columns_named("--text", text), str(file))
        with LabelBook(to, [one.strip() for one in labels.split(",")]) as book:
            waiting = book.waiting(texts)
            if not waiting:
                said = "all its texts are labelled already" if book.n_labelled else "it has no texts"
                raise DataError(f"{file}: {said}; there is nothing to ask about", source=str(file))
            book.ask(ranked(book, waiting, how, n, shop, model, seed))
            if web:
                on_a_page(book, _PORT if port is None else port)
            else:
                in_the_terminal(book)
            n_labelled, counts = book.n_labelled, book.counts()
    told = ", ".join(f"{escape(one)} {number}" for one, number in counts.items())
    out.print(f"{n_labelled:,} labelled in {escape(str(to))}: {told}", highlight=False)
    kind = "binary" if len(counts) == 2 else "classes"
    out.print(
        f"next: [bold]aisle finetune {escape(shop or 'SHOP')} NAME --table {escape(str(to))} --task "
        f"NAME={kind}:label[/]",
        highlight=False,
        soft_wrap=True,
    )


def ranked(
    book: LabelBook, waiting: Sequence[str], how: Pick | None, n: int, shop: str | None, model: str | None, seed: int
) -> list[str]:
    """The ``n`` texts to ask about, best first."""
    drawn = np.random.default_rng(seed).permutation(len(waiting))[:_MOST_RANKED]
    kept: list[int] = sorted(drawn.tolist())
    some = [waiting[row] for row in kept]
    if how == "random":
        return [some[row] for row in pick(how, n, vectors=_no_vectors(len(some)), seed=seed).tolist()]
    tuned = fine_tuned(shop, model)
    if tuned is None and how in _NEED_PROBABILITIES:
        raise ConfigError(
            f"--pick {how} needs a model that was fine-tuned on what is labelled: run aisle finetune, then give --shop "
            "and --model with its name; begin with --pick diversity or random",
            setting="pick",
        )
    labelled = list(book.said)
    encoding = None if tuned else encoding_of(shop, model)
    with Bars() as bars:
        if tuned is None:
            encoder = open_encoder(encoding or EncoderConfig(), progress=bars)
            _tell_unread(encoder, some)
            vectors = encoder.encode(some, progress=bars)
            rows = pick("diversity", n, vectors=vectors, labelled=encoder.encode(labelled), seed=seed)
        elif how == "diversity":
            placed = tuned.vectors(labelled, progress=bars) if labelled else None
            rows = pick(how, n, vectors=tuned.vectors(some, progress=bars), labelled=placed, seed=seed)
        else:
            said = tuned.predict(some, progress=bars)[task_of(tuned, book.labels)]
            vectors = tuned.vectors(some, progress=bars)
            rows = pick(how or "uncertainty", n, vectors=vectors, probabilities=said, seed=seed)
    return [some[row] for row in rows.tolist()]


def fine_tuned(shop: str | None, model: str | None) -> TextModel | None:
    """What ``aisle finetune`` made, where ``--model`` names such a model."""
    if model is None:
        return None
    if shop is not None:
        with opened(shop) as open_shop:
            return open_shop.teacher.text_model(model)
    if not Path(model).is_dir():
        raise ConfigError(
            f"--model {model!r} is no folder; name a model's folder, or give --shop for a model of a shop",
            setting="model",
        )
    if not (Path(model) / _CLASSIFIER).is_file():
        return None
    from aisle.language.text_model import TextModel  # brings torch

    return TextModel.load(Path(model))


def encoding_of(shop: str | None, model: str | None) -> EncoderConfig:
    """What places texts: the shop's encoder, adapted or not, a folder's, or the packaged one."""
    if shop is not None:
        with opened(shop) as open_shop:
            return adapted_encoding(open_shop.settings.encoder, open_shop.teacher.artifacts).config
    return EncoderConfig() if model is None else EncoderConfig(kind="transformers", model=model)


def task_of(model: TextModel, labels: Sequence[str]) -> str:
    """The task with these labels, else the first where exactly one label is right."""
    known = [one for one in model.tasks if one.is_one_of]
    if not known:
        raise ConfigError(
            "the model tells tags only; texts are picked by a task where exactly one label is right (binary, classes)"
        )
    return next((one for one in known if set(one.labels) == set(labels)), known[0]).name


def _tell_unread(encoder: Encoder, texts: Sequence[str]) -> None:
    """Say so where a model is asked how unlike texts are that it cannot read."""
    shares = encoder.unread_shares(texts[:_LOOKED_AT]) if isinstance(encoder, Reader) else np.zeros(1)
    if (shares > _MOST_UNREAD).mean() > 0.5:
        err.print(
            "[yellow]the model cannot read most of these texts, so that its choice is little better than chance; give "
            "--model with one that reads their language (aisle pretrain makes one), or --pick random[/]",
            highlight=False,
        )


def _no_vectors(n: int) -> Float32Array:
    return np.zeros((n, 0), dtype=np.float32)


def in_the_terminal(book: LabelBook) -> None:
    """Ask until there is nothing left or the person stops."""
    keys = "  ".join(f"[bold]{key}[/] {escape(one)}" for key, one in book.keys.items())
    while (text := book.next()) is not None:
        out.print(f"\n{escape(shown(text))}\n", highlight=False)
        standing = f"{book.n_labelled} labelled, {book.n_open} to go"
        out.print(f"{keys}  [dim]{SKIP} skip  {UNDO} undo  {STOP} stop  ({standing})[/]", highlight=False)
        key = pressed()
        if key is None or key == STOP:
            return
        if key == SKIP:
            book.skip(text)
        elif key == UNDO:
            if book.undo() is None:
                out.print("there is nothing to take back")
        elif key in book.keys or key in book.labels:
            book.say(text, book.keys.get(key, key))
            out.print(f"[dim]{escape(book.said[text])}[/]", highlight=False)
        else:
            known = ", ".join([*book.keys, SKIP, UNDO, STOP])
            out.print(f"[red]{escape(repr(key))} is no key; keys are {escape(known)}[/]", highlight=False)


def pressed() -> str | None:
    """The key that was pressed; where nobody sits at a terminal the next line, None after the last."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip() if line else None
    try:
        key = click.getchar()
    except (KeyboardInterrupt, EOFError):
        return None
    return None if key in _INTERRUPTS else key.lower()


def shown(text: str) -> str:
    """``text`` without what would steer the terminal."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def on_a_page(book: LabelBook, port: int) -> None:
    """Serve the page until the person stops it."""
    import socket

    import uvicorn

    from aisle.serving.labelling import label_app

    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError(
            f"port {port} cannot be had: {error.strerror}; name another with --port", setting="port"
        ) from error
    out.print(f"open http://127.0.0.1:{listening.getsockname()[1]}/ and stop with Ctrl+C", highlight=False)
    with listening:
        uvicorn.Server(uvicorn.Config(label_app(book), log_level="warning")).run(sockets=[listening])
