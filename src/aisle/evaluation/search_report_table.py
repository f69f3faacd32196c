"""A search report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aisle.evaluation.report_words import Language, percent
from aisle.evaluation.search_report import Figures, SearchReport, SideBySide, WorstQuery
from aisle.evaluation.search_report_words import WORDS, moment, range_told, told

Words = Mapping[str, str]
_LISTED = 5
"""Places of lists that stand side by side; the page has all of them."""
_SIDES = 5
_OVERALL_ONLY = ("rescued", "empty")
"""Figures that the page has of every group, and a terminal no room for."""


def plain(text: str) -> Text:
    """What somebody typed, without what would steer a terminal."""
    return Text("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text))


def search_tables(report: SearchReport, language: Language = "en") -> RenderableType:
    """Everything ``report`` says but the longest lists, as something a rich console prints."""
    words = WORDS[language]
    parts: list[RenderableType] = [Text(f"{words['title']}: ", style="bold").append_text(plain(report.shop))]
    parts += [Text(words[note], style="yellow") for note in report.notes]
    if report.log is not None:
        log = report.log
        parts.append(Text(words["window"].format(since=moment(log.since_ms), until=moment(log.until_ms)), style="dim"))
        parts += ["", _figures(words["overview"], [log.overall], words)]
        parts.append(Text(words["overview_about"].format(level=percent(report.level)), style="dim"))
        for name, groups in log.groups.items():
            parts += ["", _figures(words["by"].format(grouping=words[name]), groups, words)]
        for name, rows in worst_tables(report):
            title = words["reworded_title" if name == "reworded" else name]
            parts += ["", _worst(title, rows, words), Text(words[f"{name}_about"], style="dim")]
        if log.n_hidden:
            parts.append(Text(words["hidden"].format(n=log.n_hidden, people=log.least_people), style="dim"))
    if report.judged is not None:
        judged = report.judged
        about = words["judged_about"].format(
            source=judged.source, n=judged.n_queries, judgments=f"{judged.n_judgments:,}"
        )
        parts += ["", _figures(words["judged"], [judged.overall], words), Text(about, style="dim")]
        if judged.n_unknown_items:
            parts.append(Text(words["unknown_items"].format(n=judged.n_unknown_items), style="yellow"))
        for name, groups in judged.groups.items():
            parts += ["", _figures(words["by"].format(grouping=words[name]), groups, words)]
        parts += ["", Text(words["worst_judged"], style="bold")]
        parts += [_sides(one, words["ours"], words["ideal"], words) for one in judged.worst[:_SIDES]]
    if report.change is not None:
        change = report.change
        title = words["change"].format(name=change.name, before=change.before, after=change.after)
        parts += ["", _figures(title, [Figures("all", change.n_queries, change.n_queries, 0, change.values)], words)]
        about = words["change_about"].format(n=change.n_queries, unchanged=change.n_unchanged)
        parts.append(Text(f"{about} {words['on_judged' if change.is_judged else 'on_searches']}", style="dim"))
        parts += ["", Text(words["moved"], style="bold")]
        left, right = (words[side].format(version=getattr(change, side)) for side in ("before", "after"))
        parts += [_sides(one, left, right, words) for one in change.moved[:_SIDES]]
    return Group(*parts)


def worst_tables(report: SearchReport) -> list[tuple[str, Sequence[WorstQuery]]]:
    """The tables of the worst queries by name."""
    log = report.log
    if log is None:
        return []
    return [("zero_results", log.zero_results), ("low_clicks", log.low_clicks), ("reworded", log.reworded)]


def _figures(title: str, groups: Sequence[Figures], words: Words) -> Table:
    table = Table(title=title, title_justify="left")
    is_overall = len(groups) == 1 and groups[0].group == "all"
    names = [name for name in groups[0].values if is_overall or name not in _OVERALL_ONLY]
    table.add_column(_of(words, "group"))
    has_people = any(group.n_people for group in groups)
    for heading in (_of(words, "searches" if has_people else "queries"), *(_of(words, name) for name in names)):
        table.add_column(heading, justify="right")
    for group in groups:
        cells = [
            Text(told(name, group.values[name].value)).append(f"\n{range_told(name, group.values[name])}", style="dim")
            for name in names
        ]
        table.add_row(_of(words, group.group), f"{group.n_searches:,}", *cells)
    return table


def _worst(title: str, rows: Sequence[WorstQuery], words: Words) -> RenderableType:
    if not rows:
        return Text(f"{title}: {_of(words, 'no_rows')}")
    table = Table(title=title, title_justify="left")
    for name in ("query", "kind", "searches", "share", "lost", "became", "advice"):
        table.add_column(_of(words, name), justify="right" if name in ("searches", "share", "lost") else "left")
    for one in rows:
        advice = "" if one.advice is None else _of(words, "synonyms").format(words=one.advice.words)
        table.add_row(
            plain(one.text),
            _of(words, one.query_class),
            f"{one.n_searches:,}",
            told("share", one.share.value),
            f"{one.weight:.1f}",
            plain(became(one, words)),
            plain(advice),
        )
    return table


def became(one: WorstQuery, words: Words) -> str:
    """What followed a search, in words."""
    if one.became is None:
        return ""
    if one.became.startswith("relaxed:") and not one.n_became:
        return _of(words, one.became)
    return _of(words, "times").format(text=one.became, n=one.n_became)


def _sides(one: SideBySide, left: str, right: str, words: Words) -> Table:
    figures = "  ".join(f"{_of(words, name)} {told(name, value)}" for name, value in one.values.items())
    table = Table(title=plain(one.text).append(f"  {figures}", style="dim"), title_justify="left")
    for heading in ("#", left, right):
        table.add_column(heading)
    for place in range(min(max(len(one.left), len(one.right)), _LISTED)):
        cells = []
        for side in (one.left, one.right):
            item = side[place] if place < len(side) else None
            cell = plain(item.title) if item else Text("")
            if item is not None and item.grade is not None:
                cell.append(f"  {_of(words, 'grade').format(grade=f'{item.grade:g}')}", style="dim")
            cells.append(cell)
        table.add_row(str(place + 1), *cells)
    return table


def _of(words: Words, key: str) -> str:
    return words.get(key, key)
