"""Templates of one package, with everything escaped."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from aisle.serving.html.prices import price


class Pages:
    """Renders the templates of ``package``. Safe to use from several threads."""

    def __init__(self, package: str, **known: Any) -> None:
        """``known`` stands in every template."""
        self._environment = Environment(
            loader=PackageLoader(package),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(known)
        self._environment.filters["price"] = price
        self._environment.filters["path"] = as_path

    def render(self, template: str, **values: Any) -> str:
        """The page as text."""
        return self._environment.get_template(template).render(**values)


def as_path(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")
