"""Text as people wrote it to text as it is kept: no markup, no control characters, one form of each character.

Everything here is idempotent: cleaning what was cleaned changes nothing.
"""

from __future__ import annotations

import html
import re
from typing import TypeVar

import polars as pl
from selectolax.lexbor import LexborHTMLParser

_DROPPED = r"[\p{Cc}\p{Cf}\p{Co}&&[^\n\t\r\u{200c}\u{200d}]]"
"""Control, invisible and private characters, bidirectional overrides among them. Joiners stay: scripts and emoji need
them."""
_MAYBE_MARKUP = r"<[a-zA-Z/!]|&[#a-zA-Z]"
_TAG = re.compile(r"<(?:[a-zA-Z][^<>]*|/[a-zA-Z][^<>]*|!--.*?--|![a-zA-Z][^<>]*)>", re.DOTALL)
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]*|#\d+|#[xX][0-9a-fA-F]+);")
_BREAK = re.compile(r"(<(?:br|/?p|/?div|/?li|/?ul|/?ol|/?tr|/?h[1-6]|/?table)\b[^<>]*>)", re.IGNORECASE)
_LONGEST_CLEANING = 32
Text = TypeVar("Text", pl.Series, pl.Expr)

_FORMULA = (
    r"^[=+\-@][\s=+\-@0-9.*/^&\"'(]*[A-Za-z_][A-Za-z0-9_.]*\("  # =HYPERLINK(, @SUM(, -1+WEBSERVICE(
    r"|^[=+\-@].*\|.*!"  # +cmd|' /C calc'!A0
    r"|^=\s*[-+]?\$?(?:[A-Z]{1,3}\$?)?[0-9]+\s*(?:[-+*/&^:]|$)"  # =1+1, =A1
)


def is_formula(text: Text) -> Text:
    """Which values a spreadsheet would run: function calls, DDE links, arithmetic behind ``=``, ``+``, ``-``, ``@``.

    ``-5%``, ``+size`` and ``@home`` are ordinary words and pass.
    """
    return text.str.contains(_FORMULA)


def clean_lines(text: pl.Series) -> pl.Series:
    """One-line texts (titles, brands, queries): as ``clean_blocks``, and every run of blanks is one space."""
    return _clean(text, is_block=False)


def clean_blocks(text: pl.Series) -> pl.Series:
    """Longer texts: HTML to text, NFKC, control characters dropped, blanks joined, line breaks kept. Empty is None."""
    return _clean(text, is_block=True)


def clean_ids(text: pl.Series) -> pl.Series:
    """Identifiers: only blanks around them go; their characters stay exactly as they are. Empty is None."""
    stripped = text.str.strip_chars()
    return pl.select(pl.when(stripped.str.len_bytes() > 0).then(stripped).alias(text.name)).to_series()


def clean_text(text: str, *, is_block: bool = True) -> str:
    """One text, cleaned until nothing changes any more (markup may hide behind entities or wide characters)."""
    series = pl.Series([text])
    cleaned = _clean(series, is_block=is_block)[0]
    return cleaned or ""


def _clean(text: pl.Series, *, is_block: bool) -> pl.Series:
    name = text.name
    result = _plain(text, is_block)
    for _ in range(_LONGEST_CLEANING):
        marked = result.str.contains(_MAYBE_MARKUP)
        if not marked.any():
            break
        before = result.filter(marked).unique()
        after = pl.Series([_without_markup(value) for value in before.to_list()], dtype=pl.String)
        changed = (before != after).fill_null(False)
        if not changed.any():
            break
        replaced = result.replace(before.filter(changed), after.filter(changed))
        result = _plain(replaced, is_block)
    return result.alias(name)


def _plain(text: pl.Series, is_block: bool) -> pl.Series:
    """What can be done to a whole column at once."""
    bare = text.str.replace_all(r"\r\n?", "\n").str.replace_all(_DROPPED, "").str.normalize("NFKC")
    if is_block:
        bare = (
            bare.str.replace_all(r"[^\S\n]+", " ").str.replace_all(r" ?\n ?", "\n").str.replace_all(r"\n{3,}", "\n\n")
        )
    else:
        bare = bare.str.replace_all(r"\s+", " ")
    bare = bare.str.strip_chars()
    return pl.select(pl.when(bare.str.len_bytes() > 0).then(bare)).to_series()


def _without_markup(text: str) -> str:
    if _TAG.search(text):
        tree = LexborHTMLParser(_BREAK.sub(r"\n\1", text))
        tree.strip_tags(["script", "style", "template", "noscript", "iframe", "object", "svg"], recursive=True)
        return tree.root.text() if tree.root is not None else ""
    return _ENTITY.sub(lambda match: html.unescape(match.group()), text)


def languages(text: pl.Series, otherwise: str | None, latin: str = "en") -> pl.Series:
    """The language of each text by its script: kana is ``ja``, hangul ``ko``, at least 30% Han letters ``zh``.

    What is left is ``otherwise``; without it, text mostly in Latin letters is ``latin`` and the rest ``und``.
    """
    letters = text.str.count_matches(r"\p{L}").clip(lower_bound=1)
    share_han = text.str.count_matches(r"\p{Han}") / letters
    share_latin = text.str.count_matches(r"[A-Za-z]") / letters
    rest = pl.lit(otherwise) if otherwise else pl.when(share_latin >= 0.7).then(pl.lit(latin)).otherwise(pl.lit("und"))
    return pl.select(
        pl.when(text.str.contains(r"[\p{Hiragana}\p{Katakana}]")).then(pl.lit("ja"))
        .when(text.str.contains(r"\p{Hangul}")).then(pl.lit("ko"))
        .when(share_han >= 0.3).then(pl.lit("zh"))
        .otherwise(rest).alias(text.name)
    ).to_series()  # fmt: skip
