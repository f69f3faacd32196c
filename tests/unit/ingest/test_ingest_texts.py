from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.ingest.texts import clean_blocks, clean_ids, clean_lines, clean_text, is_formula, languages


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("A <b>red</b> &amp; blue  kettle", "A red & blue kettle"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("x<script>alert(1)</script>y<style>p{}</style>", "xy"),
        ("&amp;lt;b&amp;gt;bold&amp;lt;/b&amp;gt;", "bold"),
        ("＜ｂ＞wide＜/ｂ＞", "wide"),
        ("3 < 5 and 7 > 6", "3 < 5 and 7 > 6"),
        ("a <b unclosed", "a <b unclosed"),
        ("AT&T", "AT&T"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("ＡＢＣ１２３", "ABC123"),
        ("e\u0301", "é"),
        ("bell\x07 and \u202eoverride", "bell and override"),
        ("\ufeff做父母", "做父母"),
        ("👩\u200d🍳 apron", "👩\u200d🍳 apron"),
        ("  \u3000 ", ""),
    ],
)
def test_text_as_it_is_kept(written: str, kept: str) -> None:
    assert clean_text(written) == kept


def test_lines_have_no_breaks_and_blocks_keep_them() -> None:
    column = pl.Series(["a\r\n\r\n\r\n\r\nb \t c", None, " "])
    assert clean_lines(column).to_list() == ["a b c", None, None]
    assert clean_blocks(column).to_list() == ["a\n\nb c", None, None]


@given(st.lists(st.one_of(st.none(), st.text(), st.text(alphabet="<>&;/!-b# amplt3x\n\u0301\uff1c\u200b\xad\u2474"))))
def test_cleaning_twice_changes_nothing(values: list[str | None]) -> None:
    column = pl.Series(values, dtype=pl.String)
    for clean in (clean_lines, clean_blocks, clean_ids):
        once = clean(column)
        assert clean(once).to_list() == once.to_list()


def test_ids_keep_their_exact_characters() -> None:
    assert clean_ids(pl.Series([" ＡＢ-1 ", "<b>&amp;", "  "])).to_list() == ["ＡＢ-1", "<b>&amp;", None]


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil","click")',
        "=cmd|' /C calc'!A0",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "=1+1",
        "=A1",
        "=$B$2*3",
        "-1+WEBSERVICE(A1)",
    ],
)
def test_formulas_are_told(text: str) -> None:
    assert is_formula(pl.Series([text]))[0]


@pytest.mark.parametrize(
    "text",
    ["-5%", "+size", "@home mug", "-50% off (today)", "=^.^= cat mug", "A=B", "+1 year warranty", "-", "=", "100"],
)
def test_ordinary_titles_are_no_formulas(text: str) -> None:
    assert not is_formula(pl.Series([text]))[0]


def test_languages_by_script() -> None:
    column = pl.Series(["红色茶壶 Red", "a red kettle", "やかん赤", "빨간 주전자", "красный чайник", "123"])
    assert languages(column, None).to_list() == ["zh", "en", "ja", "ko", "und", "und"]
    assert languages(column, "de").to_list() == ["zh", "de", "ja", "ko", "de", "de"]
