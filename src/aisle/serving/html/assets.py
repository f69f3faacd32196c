"""Style sheets, scripts and icons of the pages: named by their content, so that a browser may keep them for good."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from aisle.serving.html.headers import guard

_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    media_type: str
    fingerprint: str


class Assets:
    """The files in ``static/`` of a package, read once."""

    def __init__(self, package: str, under: str) -> None:
        """``under`` is the path they are served below, such as ``/static``."""
        self._under = under
        self._assets = {
            file.name: Asset(content, _MEDIA_TYPES[file.name.rpartition(".")[2]], hashlib.sha256(content).hexdigest())
            for file in files(package).joinpath("static").iterdir()
            if file.name.rpartition(".")[2] in _MEDIA_TYPES
            for content in (file.read_bytes(),)
        }

    def address(self, name: str) -> str:
        """Where a page finds ``name``; another address whenever its content is another."""
        return f"{self._under}/{self._assets[name].fingerprint[:16]}/{name}"

    async def send(self, request: Request) -> Response:
        """The file that ``name`` among the path's parameters asks for; 404 where there is none."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return guard(Response(status_code=404))
        is_this_one = request.path_params["fingerprint"] == asset.fingerprint[:16]
        cached = _FOR_GOOD if is_this_one else "no-cache"
        return guard(Response(asset.content, headers={"cache-control": cached}, media_type=asset.media_type))
