"""A serving process: it loads the shop, answers from a socket that listens already, and ends without losing anything.

Started by ``supervisor.py`` as ``python -m aisle.serving.workers``. Enters: a socket, a pipe on which to say that it is
ready, and one that closes when the supervisor is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn
import uvloop

from aisle.errors import AisleError, UnavailableError
from aisle.serving.answering import Answering
from aisle.serving.app import create_app
from aisle.serving.context import Serving
from aisle.serving.intake import EventIntake
from aisle.serving.keys import Keys
from aisle.serving.limits import PunctualProtocol
from aisle.serving.logs import write_logs
from aisle.serving.metrics import Metrics
from aisle.serving.supervisor import FAILED, FAILED_STATUS, GRACE_SECONDS, READY
from aisle.settings import ServingConfig
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys
from aisle.storage.request_keys import SqlRequestKeys

KEPT_SECONDS = 75
"""How long an idle connection is kept for its next request."""
SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter from another that wants it; Python's own 5 ms are half an answer."""


def work(root: Path, config: ServingConfig, listening: socket.socket, ready_to: int) -> None:
    """Load the shop, serve it until SIGTERM, finish what was begun. Raises ``AisleError`` when it cannot be loaded."""
    sys.setswitchinterval(SWITCH_SECONDS)
    metrics = Metrics()
    with Shop.open(root, meter=metrics) as shop:
        keys = open_keys(shop)
        answering = Answering(config.n_threads, config.max_waiting)
        request_keys = SqlRequestKeys.open(shop.folder.database)
        serving = Serving(shop, config, keys, metrics, EventIntake(shop), answering, request_keys, is_ready=False)
        shop.load()
        shop.follow(config.follow_ms / 1000)
        gc.collect()
        gc.freeze()  # what was loaded stays: looking through it again and again would halt every answer
        metrics.before_telling(lambda: note_state(serving))
        metrics.keep_history()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(serving, listening, ready_to))
        finally:
            answering.close()
            metrics.close()
            request_keys.close()
            if keys:
                keys.close()


async def serve(serving: Serving, listening: socket.socket, ready_to: int) -> None:
    """Answer from ``listening`` until the process is told to end; whatever was acknowledged is stored by then."""
    server = Server(
        uvicorn.Config(
            create_app(serving),
            http=PunctualProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        ),
        serving,
        ready_to,
    )
    await server.serve(sockets=[listening])
    await serving.intake.drain()


class Server(uvicorn.Server):
    """Uvicorn's server, which tells when it answers and, first of all, when it stops."""

    def __init__(self, config: uvicorn.Config, serving: Serving, ready_to: int) -> None:
        super().__init__(config)
        self._serving = serving
        self._ready_to = ready_to

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._serving.is_ready = True
        os.write(self._ready_to, READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, finish what is under way."""
        self._serving.is_ready = False
        await super().shutdown(sockets)


def open_keys(shop: Shop) -> Keys | None:
    """The shop's keys; None where none was ever made."""
    records = SqlKeys.open(shop.folder.database)
    if records.read():
        return Keys(records)
    records.close()
    return None


def note_state(serving: Serving) -> None:
    """Tell the metrics how this process stands."""
    live = serving.shop.live
    in_service = live.stages.lineup.versions
    trained = {
        name: manifest.created_ms
        for name, artifacts in serving.shop.versions_of.items()
        if name in in_service
        for manifest in artifacts.versions(name)
        if manifest.version == in_service[name]
    }
    waiting = {"questions": serving.answering.n_inside, "events": serving.intake.n_waiting}
    lag = sum(serving.shop.records.count_since(live.follower.seq).values())
    serving.metrics.set_state(lag, serving.shop.outbox.n_lost, waiting, trained)


def end_with(parent: int) -> None:
    """End this process, as if asked to, when the other end of the pipe ``parent`` is closed."""

    def wait() -> None:
        os.read(parent, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="aisle-parent", daemon=True).start()


def main() -> None:
    """Read what the supervisor gives and work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--config", required=True, help="ServingConfig as JSON")
    for name in ("--listening", "--ready-to", "--parent"):
        parser.add_argument(name, type=int, required=True, help="a file descriptor")
    given = parser.parse_args()
    write_logs(sys.stderr)
    end_with(given.parent)
    config = ServingConfig.model_validate_json(given.config)
    try:
        work(given.root, config, socket.socket(fileno=given.listening), given.ready_to)
    except AisleError as error:
        os.write(given.ready_to, FAILED + f"{type(error).__name__}: {error}".encode())
        # What passes by itself, such as a locked database, is worth another try.
        sys.exit(1 if isinstance(error, UnavailableError) else FAILED_STATUS)


if __name__ == "__main__":
    main()
