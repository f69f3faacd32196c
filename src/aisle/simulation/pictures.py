"""Draws a picture of any item: the shape of its category, its colour and its brand's mark, as SVG.

Enters: the codes of one item. Leaves: SVG text of about 900 bytes; equal items give equal pictures.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from aisle.simulation.assortment import PRODUCT, Assortment
from aisle.simulation.vocabulary import Vocabulary

SIZE = 240
PLAIN = "#b9a68c"
"""Colour of what does not come in colours."""
DARK, PALE = "#2d2a26", "#fbf8f2"


def draw_picture(vocabulary: Vocabulary, assortment: Assortment, item_row: int) -> str:
    """The picture of one item, an SVG of 240 x 240 units."""
    leaf = vocabulary.leaves[int(assortment.leaf[item_row])]
    colour = int(assortment.colour[item_row])
    fill = PLAIN if colour < 0 else vocabulary.colour_codes[colour]
    shape = _shapes()[leaf.shape].format(dark=DARK, pale=PALE)
    brand = int(assortment.brand[item_row])
    name = vocabulary.brand_names(assortment.brand[item_row : item_row + 1])[0]
    frame = (
        ""
        if assortment.kind[item_row] == PRODUCT
        else f'<rect x="8" y="8" width="224" height="224" fill="none" stroke="{fill}" stroke-width="6"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img">'
        f"<title>{name.en} {leaf.name.en} / {name.zh}{leaf.name.zh}</title>"
        f'<rect width="{SIZE}" height="{SIZE}" fill="{PALE}"/>{frame}'
        f'<g fill="{fill}" stroke="{DARK}" stroke-opacity="0.3">{shape}</g>'
        f'<g transform="translate(206 34)">{_mark(brand)}</g></svg>'
    )


def _mark(brand: int) -> str:
    """A brand's mark: a polygon whose corners, turn and hue follow from the brand's code."""
    corners = 3 + brand % 5
    return (
        f'<circle r="16" fill="hsl({(brand * 47) % 360} 55% 45%)"/><circle r="9" fill="none" stroke="{PALE}" '
        f'stroke-width="4" stroke-dasharray="{56.5 / corners * 0.6:.1f} {56.5 / corners * 0.4:.1f}" '
        f'transform="rotate({(brand * 31) % 360})"/>'
    )


@cache
def _shapes() -> Mapping[str, str]:
    return tomllib.loads(files("aisle.simulation").joinpath("pictures.toml").read_text(encoding="utf-8"))
