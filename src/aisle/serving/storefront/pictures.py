"""Pictures of items: files of the shop's ``pictures`` folder, addresses elsewhere, or a drawn letter.

A picture is only ever shown as an image and sent with a policy under which it runs nothing, whatever is in it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from aisle.domain import Item
from aisle.serving.context import serving_of
from aisle.serving.html import guard

FOLDER = "pictures"
_MEDIA_TYPES = {
    ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".gif": "image/gif", ".avif": "image/avif",
}  # fmt: skip
_AN_HOUR = {"cache-control": "public, max-age=3600"}


def picture_of(item: Item, title: str) -> str:
    """The address of an item's picture; of a drawing where it has none that a page may show."""
    image = item.image or ""
    if image.startswith(("https://", "http://")):
        return image
    drawn = f"{hue_of(item.brand or item.item_id)}/{quote(title.strip()[:1] or '?', safe='')}"
    parts = PurePosixPath(image).parts
    if parts[:1] == (FOLDER,) and ".." not in parts and PurePosixPath(image).suffix.lower() in _MEDIA_TYPES:
        return f"/{quote(image)}?else={drawn}"
    return f"/drawn/{drawn}.svg"


def hue_of(text: str) -> int:
    """A colour for a text, always the same: 0 to 359 degrees."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:4]) % 360


def draw_letter(hue: int, letter: str) -> str:
    """A calm square with a letter in it, SVG of 240 units."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 240">'
        f'<rect width="240" height="240" fill="hsl({hue} 32% 92%)"/>'
        f'<circle cx="120" cy="120" r="66" fill="hsl({hue} 34% 84%)"/>'
        f'<text x="120" y="122" text-anchor="middle" dominant-baseline="central" font-size="68" '
        f'font-family="system-ui,sans-serif" font-weight="600" fill="hsl({hue} 40% 32%)">{escape(letter)}</text></svg>'
    )


async def send_picture(request: Request) -> Response:
    """A file of the shop's ``pictures`` folder, or the drawing that the address names for when there is none."""
    file = _found(serving_of(request).shop.folder.pictures, request.path_params["path"])
    if file is not None:
        media_type = _MEDIA_TYPES[file.suffix.lower()]
        return guard(FileResponse(file, headers=_AN_HOUR, media_type=media_type), is_picture=True)
    hue, _, letter = request.query_params.get("else", "0/?").partition("/")
    return _drawing(hue, letter)


def _found(folder: Path, name: str) -> Path | None:
    """The picture of that name inside ``folder``; None where there is none, and for what can be no name of a file."""
    try:
        file = (folder / name).resolve()
        is_ours = file.suffix.lower() in _MEDIA_TYPES and file.is_relative_to(folder.resolve()) and file.is_file()
    except (OSError, ValueError):  # too long, or with characters that no file system takes
        return None
    return file if is_ours else None


async def send_drawing(request: Request) -> Response:
    """A letter in a colour."""
    return _drawing(request.path_params["hue"], unquote(request.path_params["letter"]))


def _drawing(hue: str, letter: str) -> Response:
    degrees = int(hue) % 360 if hue.isascii() and hue.isdecimal() and len(hue) <= 3 else 0
    shown = letter[:1] if letter[:1].isprintable() else "?"
    response = Response(draw_letter(degrees, shown), headers=_AN_HOUR, media_type="image/svg+xml")
    return guard(response, is_picture=True)
