"""How much one caller may ask of a process: size of a body, time to send it, requests a second.

Enters: ASGI messages. Leaves: the same, or a problem. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aisle.serving.problems import TOO_LARGE, TOO_SLOW, Problem

SENDING_SECONDS = 30.0
"""A request must be here by then, its head and its body each; slower callers are hung up on."""
BODY_SECONDS = SENDING_SECONDS + 5.0
"""A connection whose body has not ended by then is closed, answered or not: it would hold a place for good. Later than
a body that somebody reads is answered with 408."""
MOST_HEAD_BYTES = 65_536
"""Address and headers of a request; whoever sends more is hung up on."""
MOST_BUCKETS = 10_000


class RequestSize:
    """ASGI: gives on only bodies of at most ``most_bytes``, announced or not, that come in time.

    A longer one raises ``Problem`` (413) where the body is read, a slower one 408.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float = SENDING_SECONDS) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _content_length(scope)
        n_bytes = 0
        deadline = asyncio.get_running_loop().time() + self._seconds
        is_whole = False

        async def counted() -> Message:
            nonlocal n_bytes, is_whole
            if announced > self._most_bytes:
                raise self._too_large(announced)
            if is_whole:  # whoever waits now waits for the caller to hang up
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                what = f"the body did not come within {self._seconds:g} s"
                raise Problem(TOO_SLOW, what, headers={"connection": "close"}) from error
            if message["type"] == "http.request":
                n_bytes += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if n_bytes > self._most_bytes:
                    raise self._too_large(n_bytes)
            return message

        await self._app(scope, counted, send)

    def _too_large(self, n_bytes: int) -> Problem:
        what = f"the body has {n_bytes} bytes or more; {self._most_bytes} are allowed, send it in parts"
        return Problem(TOO_LARGE, what, headers={"connection": "close"})


class Buckets:
    """A token bucket for each caller: ``per_second`` requests on average, a second's worth at once.

    To be used from one thread. The oldest callers are forgotten when there are very many.
    """

    def __init__(self, per_second: float, seconds: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._seconds = seconds
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> int:
        """0 when the caller may go on, else whole seconds until it may."""
        if self._per_second <= 0.0:
            return 0
        now = self._seconds()
        level, at = self._buckets.pop(caller, (self._most, now))
        level = min(self._most, level + (now - at) * self._per_second)
        wait = 0 if level >= 1.0 else math.ceil((1.0 - level) / self._per_second)
        self._buckets[caller] = (level - 1.0 if not wait else level, now)
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return wait


class PunctualProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP, hanging up on callers who connect and do not send a whole request in time, head and body each.

    Nor may a head be endless: uvicorn keeps all of it in memory.
    """

    _patience: asyncio.TimerHandle | None = None
    _is_in_head = True
    _n_head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on; what came and ended no head counts."""
        self._n_head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._n_head_bytes > MOST_HEAD_BYTES:
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(SENDING_SECONDS, transport.close)

    def on_message_begin(self) -> None:
        """Begin to wait for the head of the next request."""
        super().on_message_begin()
        self._is_in_head = True
        self._stop_waiting()
        self._patience = self.loop.call_later(SENDING_SECONDS, self.transport.close)

    def on_headers_complete(self) -> None:
        """The head is here; begin to wait for the end of the body, whether or not anybody reads it."""
        self._is_in_head, self._n_head_bytes = False, 0
        self._stop_waiting()
        self._patience = self.loop.call_later(BODY_SECONDS, self.transport.close)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request is here."""
        self._n_head_bytes = 0
        self._stop_waiting()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
