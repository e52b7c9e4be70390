import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from completion_aggregator.tracking.clickhouse.connection import ClickhouseFailed, connected
from completion_aggregator.tracking.clickhouse.target import Target
from tests.tracking.clickhouse.engine import free_port


@contextmanager
def answering(status: int, body: str, code: str = "") -> Iterator[Target]:
    """A server that answers whatever it is asked with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            if code:
                self.send_header("X-ClickHouse-Exception-Code", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Target("127.0.0.1", server.server_port, "learning", "loader")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refusal(target: Target) -> str:
    with pytest.raises(ClickhouseFailed) as caught:
        connected(target, "hidden")
    said = str(caught.value)
    assert "hidden" not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ["AUTHENTICATION_FAILED", "REQUIRED_PASSWORD", "WRONG_PASSWORD", "UNKNOWN_USER"])
def test_a_wrong_password_is_a_sentence(name):
    body = f"Code: 516. DB::Exception: loader: Authentication failed.\nIf you have ... ({name}) (version 26.9)\n"
    with answering(403, body, "516") as target:
        assert refusal(target) == (
            f"{target} does not take the user loader with this password: set CLICKHOUSE_PASSWORD"
        )


def test_what_the_server_refuses_is_a_sentence():
    body = "Code: 497. DB::Exception: loader: Not enough privileges.\n Grant SELECT. (ACCESS_DENIED) (version 26.9)\n"
    with answering(500, body, "497") as target:
        assert refusal(target) == f"{target} refuses: loader: Not enough privileges. Grant SELECT."


@pytest.mark.parametrize(("status", "body"), [(200, "<html>\nHello</html>"), (200, ""), (404, "<html>\nno</html>")])
def test_a_server_of_something_else_is_a_sentence(status, body):
    with answering(status, body) as target:
        assert refusal(target).startswith(str(target))


def test_nobody_there_is_a_sentence(capfd):
    # Other tests of the same process set up logging as a service does.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    target = Target("127.0.0.1", free_port(), "learning")
    said = refusal(target)
    assert said.startswith(f"{target} cannot be reached, or the connection broke: ")
    assert said.endswith("Connection refused. Run it again when it answers: what was committed stays.")
    assert capfd.readouterr() == ("", "")
