"""A real HTTP server that speaks ``/v1/chat/completions``; what it answers is up to the test."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answering = Callable[[list[dict[str, str]]], str]
"""From the messages of a request to the text of the answer."""


def last_word(messages: list[dict[str, str]]) -> str:
    """The last message again, in capitals."""
    return messages[-1]["content"].upper()


@dataclass
class Fault:
    """What happens to one request in place of an answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class ChatServer(ThreadingHTTPServer):
    """Answers with ``answering``; each of ``faults`` befalls one request, in order."""

    daemon_threads = True

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.answering = answering
        self.faults: deque[Fault] = deque()
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away while it was made to wait is part of the tests."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Request(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.keys.append(self.headers["Authorization"])
        try:
            fault = self.server.faults.popleft()
        except IndexError:
            message = {"role": "assistant", "content": self.server.answering(asked["messages"])}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            answer = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
            fault = Fault(body=json.dumps({**answer, "choices": [choice]}).encode())
        time.sleep(fault.seconds)
        self.send_response(fault.status)
        for name, value in {"Content-Type": "application/json", **fault.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(fault.body)))
        self.end_headers()
        self.wfile.write(fault.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def chat_server(answering: Answering = last_word) -> Iterator[ChatServer]:
    """The server, running."""
    with ChatServer(answering) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()
