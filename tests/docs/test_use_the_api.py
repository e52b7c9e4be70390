"""The page for clients of the API, run against a demo that is served; and a server that breaks off."""

import shutil
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import skip_unless_required
from tests.docs.desk import REPOSITORY, run, surroundings
from tests.docs.pages import READERS_SITE, differences, fences, is_shown, programs, script

PAGE = (REPOSITORY / "docs" / "how-to" / "use-the-api.md").read_text()
QUESTIONS = ("My courses", "One learner", "A class", "A section report", "A nightly export")
YESTERDAY = "yesterday's file\n"


@pytest.fixture(autouse=True)
def once(vendor: str) -> None:
    if vendor != "sqlite":
        pytest.skip("the page is run once, in the run on SQLite")


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        skip_unless_required("needs curl", "CI_REQUIRE_CURL")


def test_every_question_is_answered_with_curl_and_with_python():
    parts = PAGE.split("\n## ")
    for question in QUESTIONS:
        (part,) = (each for each in parts if each.startswith(f"{question}\n"))
        assert "\n$ curl " in part or "\ncurl " in part
        assert programs(part), question


@pytest.mark.usefixtures("curl")
def test_every_command_prints_what_the_page_shows(demo_site, tmp_path):
    page = demo_site.here(PAGE)
    done = run(["bash", "-c", script(page)], tmp_path, demo_site.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    assert not differences(page, done.stdout)


def test_every_program_prints_what_the_page_shows(demo_site, tmp_path):
    write_files(tmp_path, demo_site.address)
    for whose, username in (("learner", "demo1_00003"), ("staff", "maria")):
        (tmp_path / f"{whose}.headers").write_text(f"Authorization: Token {demo_site.token(username)}\n")
    for program, shown in programs(demo_site.here(PAGE)):
        done = run([sys.executable, "-"], tmp_path, demo_site.environment, text=program)
        assert done.returncode == 0, f"{program}\n{done.stdout}"
        assert is_shown(done.stdout, shown), f"{program}\nprints\n{done.stdout}"


@pytest.mark.usefixtures("curl")
def test_an_export_that_breaks_off_leaves_the_file_of_yesterday(breaking_off, tmp_path):
    write_files(tmp_path, breaking_off)
    (tmp_path / "staff.headers").write_text("Authorization: Token 0\n")
    (tmp_path / "progress.csv").write_text(YESTERDAY)
    done = run(["sh", "nightly-export"], tmp_path, surroundings(tmp_path))
    assert done.returncode != 0
    assert "curl: " in done.stdout
    assert (tmp_path / "progress.csv").read_text() == YESTERDAY


def test_an_export_in_python_that_breaks_off_leaves_the_file_of_yesterday(breaking_off, tmp_path):
    write_files(tmp_path, breaking_off)
    (tmp_path / "staff.headers").write_text("Authorization: Token 0\n")
    (tmp_path / "progress.ndjson").write_text(YESTERDAY)
    (program,) = (program for program, _ in programs(PAGE) if "progress.ndjson" in program)
    done = run([sys.executable, "-"], tmp_path, surroundings(tmp_path), text=program)
    assert "IncompleteRead" in done.stdout
    assert (tmp_path / "progress.ndjson").read_text() == YESTERDAY


class BreakingOff(BaseHTTPRequestHandler):
    """Begins every answer, and never ends one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"40\r\nusername,course_id")
        self.close_connection = True

    def log_request(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def breaking_off() -> Iterator[str]:
    """Serve nothing that is whole, and return where."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BreakingOff) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_files(folder: Path, address: str) -> None:
    """Write the files that the page lets its reader write, of a site at *address*."""
    for fence in fences(PAGE.replace(READERS_SITE, address)):
        if fence.file:
            (folder / fence.file).write_text(fence.body)
