"""Words of an item that a query asked for, as places in its texts."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

CUT = "…"


@dataclass(frozen=True, slots=True)
class Marked:
    """A text, or a piece of one, with the places that answer the query.

    ``ranges`` are pairs of first character and the one after the last (Unicode code points) within ``text``, ascending
    and apart. ``text`` begins at character ``begins`` of the item's text and ends before its end where ``is_cut``.
    """

    text: str
    language: str
    ranges: tuple[tuple[int, int], ...] = ()
    begins: int = 0
    is_cut: bool = False

    @property
    def html(self) -> str:
        """The text for a page: everything escaped, ranges in ``<mark>``, ``…`` where it was cut."""
        parts, last = [CUT if self.begins else ""], 0
        for begin, end in self.ranges:
            parts += [escape(self.text[last:begin]), "<mark>", escape(self.text[begin:end]), "</mark>"]
            last = end
        return "".join([*parts, escape(self.text[last:]), CUT if self.is_cut else ""])


@dataclass(frozen=True, slots=True)
class Highlight:
    """The title of an item, and a piece of its description where words of the query stand; None where none do."""

    title: Marked
    snippet: Marked | None = None
