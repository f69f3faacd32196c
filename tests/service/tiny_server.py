"""The tiny shop behind the real application: in process, or on a port of this machine."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.testclient import TestClient

from aisle.serving.answering import Answering
from aisle.serving.app import create_app
from aisle.serving.context import Serving
from aisle.serving.intake import EventIntake
from aisle.serving.limits import PunctualProtocol
from aisle.serving.metrics import Metrics
from aisle.shop import Shop
from aisle.storage.request_keys import SqlRequestKeys
from aisle.testing import tiny_shop
from aisle.testing.tiny import TinyShop
from tests.flows.conftest import init_without_chance


def fill(folder: Path, tiny: TinyShop, *, is_trained: bool = True) -> Path:
    """A shop folder that holds the tiny shop."""
    with Shop(init_without_chance(folder), clock=tiny.clock) as shop:
        shop.add_items(tiny.items)
        shop.add_users(tiny.users)
        shop.add_documents(tiny.documents)
        shop.add_events(tiny.events)
        if is_trained:
            shop.train()
    return folder


def serve(shop: Shop, *, keys: Any = None, **parts: Any) -> Serving:
    """The parts of a serving process over ``shop``."""
    config = parts.get("config") or shop.settings.serving
    return Serving(
        shop=shop,
        config=config,
        keys=keys,
        metrics=shop.meter if isinstance(shop.meter, Metrics) else Metrics(),
        intake=EventIntake(shop),
        answering=parts.get("answering") or Answering(config.n_threads, config.max_waiting),
        request_keys=SqlRequestKeys.open(shop.folder.database),
    )


@contextmanager
def in_process(trained: Path, folder: Path, **parts: Any) -> Iterator[TestClient]:
    """A client of an application over a copy of ``trained``; its shop is ``client.app.state.serving.shop``."""
    shutil.copytree(trained, folder)
    with Shop.open(folder, clock=tiny_shop().clock, meter=Metrics()) as shop:
        serving = serve(shop, **parts)
        with TestClient(create_app(serving), "http://127.0.0.1", raise_server_exceptions=False) as client:
            yield client
        serving.answering.close()
        serving.request_keys.close()


@contextmanager
def on_a_port(folder: Path) -> Iterator[str]:
    """The address of a real server in a thread of this process."""
    with Shop.open(folder, clock=tiny_shop().clock) as shop:
        serving = serve(shop)
        server = uvicorn.Server(uvicorn.Config(create_app(serving), http=PunctualProtocol, port=0, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
        serving.answering.close()
        serving.request_keys.close()


def wait_until(is_so: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition; fails when it does not come about."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def problem(response: httpx.Response, status: int) -> Mapping[str, Any]:
    """The problem document of ``response``, checked to be one of ``status``."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert {"type", "title", "detail", "instance"} <= document.keys()
    return document
