"""What every command shows the same way: errors, progress, lists of items."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from aisle.domain import Item, Query, Relaxed, Response
from aisle.domain.money import shown
from aisle.errors import AisleError, ConfigError, CorruptError, DataError, NotReadyError, UnavailableError
from aisle.serving.jobs import PROGRESS_FILE
from aisle.shop import Shop

out = Console()
err = Console(stderr=True)

EXIT_CODES: tuple[tuple[type[AisleError], int], ...] = (
    (ConfigError, 2),
    (DataError, 2),
    (NotReadyError, 3),
    (UnavailableError, 4),
    (CorruptError, 5),
)
"""Exit status by who must act, for scripts: 2 the caller, 3 run something first, 4 try again, 5 repair."""

ShopArgument = Annotated[str, typer.Argument(metavar="SHOP", help="Folder of the shop.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
SizeOption = Annotated[int | None, typer.Option("--size", "-n", help="How many items; default: the placement's.")]
UserOption = Annotated[str | None, typer.Option("--user", "-u", help="For whom, a user_id.")]


@contextmanager
def told_errors() -> Iterator[None]:
    """Turns the package's errors into one red line and an exit status."""
    try:
        yield
    except AisleError as error:
        err.print(f"[bold red]{type(error).__name__}:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
        raise typer.Exit(code) from error


class Bars:
    """Progress bars on standard error, one a task; silent where nobody watches (not a terminal).

    Where the environment names a file, how far the newest task is stands in it, for who watches from elsewhere.
    """

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._file = os.environ.get(PROGRESS_FILE)
        self._told_s = 0.0

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, task: str, done: int, total: int | None = None) -> None:
        """Implements ``contracts.Progress``."""
        task, _, standing = task.partition("\t")
        self._write(task, done, total, standing)
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(escape(task), total=total, rate="")
        bar = self._tasks[task]
        if standing:
            self._bars.update(bar, description=escape(f"{task}, {standing}"))
        speed = self._bars.tasks[self._bars.task_ids.index(bar)].speed if bar in self._bars.task_ids else None
        self._bars.update(bar, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

    def _write(self, task: str, done: int, total: int | None, standing: str) -> None:
        """Where somebody reads it from a file, once a second."""
        now_s = time.monotonic()
        if self._file is None or now_s < self._told_s + 1.0:
            return
        self._told_s = now_s
        told = {"task": task, "done": done, "total": total, "standing": standing or None}
        with suppress(OSError):  # whoever reads it must not stop the work
            fresh = Path(f"{self._file}.new")
            fresh.write_bytes(orjson.dumps(told))
            fresh.replace(self._file)


@contextmanager
def opened(folder: str) -> Iterator[Shop]:
    """The shop in ``folder`` with progress bars; errors are told."""
    with told_errors(), Bars() as bars, Shop.open(folder, progress=bars) as shop:
        yield shop


def show_response(shop: Shop, response: Response, title: str, as_json: bool) -> None:
    """A list with title, price and the source that brought each item."""
    items = {item.item_id: item for item in shop.read_items(list(response.item_ids))}
    if as_json:
        print_json(plain_response(response, items))
        return
    table = Table(title=escape(title), title_justify="left")
    for heading in ("#", "item", "title", "brand", "price", "from"):
        table.add_column(heading, justify="right" if heading in ("#", "price") else "left", overflow="fold")
    for position, slot in enumerate(response.slate.slots, 1):
        item = items[slot.item_id]
        found_by = ", ".join(sorted(slot.scores, key=lambda name: -slot.scores[name]))
        price = "" if item.price_minor is None else shown(item.price_minor, item.currency)
        cells = (slot.item_id, item.title, item.brand or "", price, found_by)
        table.add_row(str(position), *map(escape, cells))
    out.print(table if response.slate.slots else f"{escape(title)}: nothing found")
    if response.query is not None and (read := read_as(response.query, shop.settings.shop.currency)):
        out.print(escape(read), highlight=False)
    if response.redirect is not None:
        out.print(f"redirected to {escape(response.redirect)}", highlight=False)
    if response.query is not None and response.query.spelling is not None:
        out.print(_respelled(response.query), highlight=False)
    if response.rules:
        out.print(f"rules that acted: {escape(', '.join(response.rules))}", highlight=False)
    if response.relaxed:
        out.print(f"[yellow]nothing was found; {escape(_stands_in(response.relaxed))}[/]")
    if response.degraded:
        err.print(f"[yellow]left out: {escape(', '.join(response.degraded))} (see `aisle doctor`)[/]")


def read_as(query: Query, currency: str) -> str:
    """What was searched for where that is not what was typed, and within which prices; "" where nothing changed."""
    price = query.price if query.price is not None and query.price.is_limit else None
    ends = [f"from {shown(price.low_minor, currency)}"] if price and price.low_minor is not None else []
    ends += [f"up to {shown(price.high_minor, currency)}"] if price and price.high_minor is not None else []
    if query.effective == query.text and not ends:
        return ""
    return ", ".join(
        [f"searched for {query.effective!r}" if query.effective else "everything", *filter(None, [" ".join(ends)])]
    )


def _respelled(query: Query) -> str:
    spelling = query.spelling
    assert spelling is not None
    if spelling.is_searched:
        return f"taken for {escape(repr(spelling.text))}; --as-typed searches for {escape(repr(query.text))}"
    return f"did you mean {escape(repr(spelling.text))}?"


def _stands_in(relaxed: Relaxed) -> str:
    match relaxed.step:
        case "words":
            return f"shown is what {relaxed.query!r} finds, without {' '.join(relaxed.dropped_words)!r}"
        case "filters":
            return f"shown is what is found without these filters: {', '.join(relaxed.dropped_filters)}"
        case "neighbours":
            return "shown is what comes nearest in meaning"
        case "popular":
            return f"shown is what is popular in {relaxed.category or 'the shop'}"


def plain_response(response: Response, items: dict[str, Item]) -> dict[str, Any]:
    """A response as JSON values."""
    return {
        "slate_id": response.slate.slate_id,
        "placement": response.slate.placement,
        "items": [
            {
                "item_id": slot.item_id,
                "title": items[slot.item_id].title,
                "utility": slot.utility,
                "propensity": slot.propensity,
                "scores": dict(slot.scores),
            }
            for slot in response.slate.slots
        ],
        "versions": dict(response.slate.versions),
        "degraded": list(response.degraded),
        "relaxed": None if response.relaxed is None else asdict(response.relaxed),
        "rules": list(response.rules),
        "searched": None if response.query is None else response.query.effective,
        "spelling": None
        if response.query is None or response.query.spelling is None
        else asdict(response.query.spelling),
        "redirect": response.redirect,
    }


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    print_line(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode())


def print_line(text: str) -> None:
    """Text as it is, for programs to read."""
    sys.stdout.write(text + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are, all of them written when this returns.

    Raises:
        UnavailableError: the disk is full, or the like; a reader who has gone away ends the command quietly.
    """
    try:
        for line in lines:
            print_line(line)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what waits to be written cannot be, and would be told again at the exit
        raise UnavailableError(
            f"the output cannot be written: {error.strerror}; what stands there is cut off"
        ) from error


def tell(text: str) -> None:
    """Something to know, on standard error."""
    err.print(f"[yellow]{escape(text)}[/]", highlight=False, soft_wrap=True)


def rows(headings: Sequence[str], lines: Sequence[Sequence[str]], title: str) -> Table:
    """A plain table."""
    table = Table(*headings, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    return table
