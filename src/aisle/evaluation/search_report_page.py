"""A search report as one self-contained HTML page in both languages; every value is escaped, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aisle.evaluation.report_words import Language, percent
from aisle.evaluation.search_report import SearchReport
from aisle.evaluation.search_report_table import became, worst_tables
from aisle.evaluation.search_report_words import WORDS, moment, range_told, told


def search_page(report: SearchReport, language: Language = "en", *, other_language: str | None = None) -> str:
    """The page in ``language``; ``other_language`` is the address of the same page in the other one, where there is."""
    environment = Environment(
        loader=PackageLoader("aisle.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = WORDS[language]
    return environment.get_template("search_report.html").render(
        report=report,
        language=language,
        w=lambda key: words.get(key, key),
        style=Markup(stylesheet()),
        level=percent(report.level),
        worst=worst_tables(report),
        became=lambda one: became(one, words),
        moment=moment,
        told=told,
        range_told=range_told,
        other_language=other_language,
        others=WORDS["zh" if language == "en" else "en"],
    )


@cache
def stylesheet() -> str:
    """The style that stands in the page."""
    return files("aisle.evaluation").joinpath("templates/search_report.css").read_text(encoding="utf-8")


def stylesheet_hash() -> str:
    """What a content security policy calls the style by, such as ``sha256-...``."""
    return "sha256-" + base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
