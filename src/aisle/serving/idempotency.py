"""The ``Idempotency-Key`` header (IETF draft-ietf-httpapi-idempotency-key-header): a request sent again is the same.

Enters: a request and its body. Leaves: when it came, which for a request sent again is when it came first. An event
without an id is known by its content and its time; with the time of the first request the same body makes the same
events, in whichever worker, and what makes a known event a duplicate does the rest.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from starlette.requests import Request

from aisle.serving.context import serving_of
from aisle.serving.problems import INVALID, KEY_REUSED, Problem

IDEMPOTENCY_KEY = "Idempotency-Key"
IDEMPOTENCY_KEY_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[!-~]+$",
    "description": "Names this request, best by a new UUID: sent again with it, the same body is stored once. For "
    "events that have neither an `event_id` nor a `time_ms`; the others are stored once anyway. Kept for ever, and for "
    "each API key apart.",
}
_KEY = re.compile(r"[!-~]{1,255}")
_HASH_BYTES = 16


async def came_at(request: Request, body: bytes, form: str) -> int:
    """When the request came in, UTC milliseconds: under a key that is known, when it came first.

    Args:
        request: what may carry the header.
        body: what was sent.
        form: how it is to be read; the same bytes read otherwise are another request.

    Raises:
        Problem: the key cannot be one, or was sent before with another body (422).
        UnavailableError: the key cannot be written down now.
    """
    serving = serving_of(request)
    now_ms = serving.shop.clock()
    key = _key_of(request)
    if key is None:
        return now_ms
    # What one caller calls a request says nothing of another caller's.
    key_hash = _hash(getattr(request.state, "key_id", "").encode(), key.encode())
    body_hash = _hash(form.encode(), body)
    first = await serving.answering.run_aside(serving.request_keys.first, key_hash, body_hash, now_ms)
    if first.body_hash != body_hash:
        what = "this key was sent before with another body or format; take a new key for a new request"
        raise Problem(KEY_REUSED, what, field=IDEMPOTENCY_KEY)
    return first.time_ms


def _key_of(request: Request) -> str | None:
    """The key, with or without the quotes that the draft wants around it; None where there is none."""
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if not given:
        return None
    bare = given[0].strip()
    key = bare[1:-1] if len(bare) >= 2 and bare[0] == bare[-1] == '"' else bare
    if len(given) > 1 or _KEY.fullmatch(key) is None:
        what = f"{IDEMPOTENCY_KEY}: allowed is one, of 1 to 255 visible ASCII characters without blanks, such as a UUID"
        raise Problem(INVALID, what, field=IDEMPOTENCY_KEY)
    return key


def _hash(*parts: bytes) -> bytes:
    return blake2b(b"\0".join(parts), digest_size=_HASH_BYTES).digest()
