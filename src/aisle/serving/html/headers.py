"""Headers that keep a page from doing what its own files do not do."""

from __future__ import annotations

from starlette.responses import Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http: https:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture opened by itself runs nothing and loads nothing; drawings may colour themselves."""


def guard(response: Response, *, is_picture: bool = False, style: str | None = None) -> Response:
    """``response`` with the headers set; no script or style stands inside a page, nothing may frame it.

    ``style``: the hash (``sha256-...``) of the one style that may.
    """
    policy = _POLICY if style is None else _POLICY.replace("style-src 'self'", f"style-src 'self' '{style}'")
    response.headers["content-security-policy"] = _PICTURE_POLICY if is_picture else policy
    response.headers["x-content-type-options"] = "nosniff"
    # A form of ours must tell where it comes from, or the check of POST requests would refuse it.
    response.headers["referrer-policy"] = "same-origin"
    response.headers["cross-origin-opener-policy"] = "same-origin"
    return response
