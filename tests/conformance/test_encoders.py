"""Every registered encoder keeps the promises of its contract, and so does the one that tests use."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from aisle import registry
from aisle.errors import ConfigError
from aisle.language import RememberingEncoder
from aisle.settings import EncoderConfig
from aisle.storage import SqlEmbeddings
from aisle.testing import HashedWords
from aisle.testing.conformance import check_encoder


class _Embeddings(http.server.BaseHTTPRequestHandler):
    """A server of ``/v1/embeddings``, for encoders that only pass texts on."""

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        vectors = HashedWords(32).encode(texts).tolist()
        rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        body = json.dumps({"object": "list", "model": "served", "data": rows, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Embeddings) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", registry.registered("aisle.encoders"))
def test_a_registered_encoder_keeps_its_promises(kind: str, address: str) -> None:
    implementation = registry.find("aisle.encoders", kind)
    try:
        encoder = implementation.from_config(EncoderConfig(kind=kind))
    except ConfigError:  # it has no model of its own, so it is one that asks a server
        encoder = implementation.from_config(EncoderConfig(kind=kind, model="served", address=address))
    check_encoder(encoder)


def test_the_encoder_of_tests_keeps_its_promises() -> None:
    check_encoder(HashedWords())


def test_an_encoder_that_remembers_keeps_its_promises(tmp_path) -> None:
    check_encoder(RememberingEncoder(HashedWords(), SqlEmbeddings.open(tmp_path / "vectors.db")))
