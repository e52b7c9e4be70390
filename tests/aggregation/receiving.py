"""Who is told of thresholds: a web server that answers as a test wants, and a receiver that writes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection

from completion_aggregator.api import ThresholdReached, threshold_reached

SECRET = "a secret of the tests"
#: Seconds that a slow answer takes.
SLOW = 0.3


class Endpoint:
    """A server on this machine. ``answers``: what it does next, then always 204; never to ``refused`` users."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[int | str] = []
        self.refused: set[int] = set()
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.closing = Event()
        self.lock = Lock()

    @property
    def setting(self) -> dict[str, str]:
        return {"url": self.url, "secret": SECRET}

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, headers, _ in self.posts]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for *_, body in self.posts]


@contextmanager
def endpoint(path: str = "/hook?token=in-the-address") -> Iterator[Endpoint]:
    """Serve until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with told.lock:
                told.posts.append((self.command + " " + self.path, dict(self.headers), body))
                answer = told.answers.pop(0) if told.answers else 204
            if told.refused and json.loads(body)["user_id"] in told.refused:
                answer = 404
            if answer == "slow":
                told.closing.wait(SLOW)
                self.send_response(204)
                self.end_headers()
            elif answer == "hang":
                told.closing.wait(30)
            elif answer == "drip":
                while not told.closing.wait(0.05):
                    self.wfile.write(b"H")
                    self.wfile.flush()
            else:
                self.send_response(int(answer))
                if answer in (302, 307):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Mind no client that is gone."""

    with Server(("127.0.0.1", 0), Handler) as server:
        told = Endpoint(f"http://127.0.0.1:{server.server_address[1]}{path}")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield told
        finally:
            told.closing.set()
            server.shutdown()
            thread.join()


def badge(sender: Any, reached: ThresholdReached, **_: Any) -> None:
    """Write a row, as what awards a badge does."""
    Group.objects.create(name=f"{reached.username} {reached.block_key.block_id} {reached.crossing}")


def deliver_and_hang(pipe: Any, text: str, with_receiver: bool) -> None:
    """Be a service that stops for ever before its first statement with *text*."""
    from completion_aggregator.aggregation import api

    def hang(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if text in sql:
            pipe.send(sql)
            sleep(600)
        return execute(sql, params, many, context)

    if with_receiver:
        threshold_reached.connect(badge)
    with connection.execute_wrapper(hang):
        api.deliver()
    pipe.send("done")
