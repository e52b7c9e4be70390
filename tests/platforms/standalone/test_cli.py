import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from completion_aggregator.platforms.standalone.management.commands.serve import Command as Serve

MODULE = "completion_aggregator.platforms.standalone.cli"
REPOSITORY = Path(__file__).parents[3]


def environment_of(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"COMPLETION_AGGREGATOR_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def environment(tmp_path):
    return environment_of(tmp_path / "home")


@pytest.fixture
def run(environment):
    def run_it(*arguments: str, program: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *(("-c", program) if program else ("-m", MODULE)), *arguments]
        return subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
        )

    return run_it


@pytest.fixture(scope="session")
def migrated_once(tmp_path_factory):
    home = tmp_path_factory.mktemp("migrated")
    subprocess.run([sys.executable, "-m", MODULE, "migrate", "-v0"], env=environment_of(home), timeout=120, check=True)
    return home


@pytest.fixture
def migrated(migrated_once, tmp_path):
    """A home folder with a database that has its tables."""
    shutil.copytree(migrated_once, tmp_path / "home")


@pytest.fixture
def start(environment):
    def start_it(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-m", MODULE, *arguments]
        return subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, stderr=-1, text=True)

    return start_it


def said(found: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    assert "Traceback" not in found.stderr
    return found.returncode, found.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",)])
def test_help_begins_with_our_commands(run, arguments):
    found = run(*arguments)
    assert said(found) == (0, "")
    ours = ["demo", "import_course", "import_enrollments", "import_completions", "run_aggregator_service", "migrate"]
    places = [found.stdout.index(f"\n  {name} ") for name in ours]
    assert places == sorted(places)


def test_help_of_a_command_needs_no_database(run, tmp_path):
    found = run("import_completions", "--help")
    assert found.returncode == 0
    assert "username,course_id,block_id,completion" in found.stdout
    assert not (tmp_path / "home" / "completion.sqlite3").exists()


def test_the_first_command_makes_the_database_and_says_so_in_a_line(run, tmp_path):
    status, errors = said(run("aggregator_status"))
    assert (status, errors) == (0, f"Making the database {tmp_path / 'home' / 'completion.sqlite3'}\n")
    assert said(run("aggregator_status")) == (0, "")


@pytest.mark.parametrize("command", ["aggregator_status", "migrate"])
def test_the_database_is_for_its_owner_alone_in_a_folder_that_is_not(run, tmp_path, command):
    (tmp_path / "home").mkdir(mode=0o755)
    assert run(command).returncode == 0
    file = tmp_path / "home" / "completion.sqlite3"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}


def test_a_database_without_our_tables_is_said(run, tmp_path):
    sqlite3.connect(tmp_path / "empty.sqlite3").close()
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    status, errors = said(run("aggregator_status", DATABASE_URL=url))
    assert status == 1
    assert "Run: completion-aggregator migrate" in errors


@pytest.mark.parametrize("command", ["aggregator_status", "migrate"])
@pytest.mark.parametrize("scheme", ["mysql", "postgres"])
def test_a_database_that_cannot_be_reached_is_named_without_its_password(run, command, scheme):
    pytest.importorskip({"mysql": "MySQLdb", "postgres": "psycopg"}[scheme])
    status, errors = said(run(command, DATABASE_URL=f"{scheme}://someone:hunter2@127.0.0.1:1/name"))
    assert status == 1
    assert f"Cannot reach the database {scheme}://someone:***@127.0.0.1:1/name" in errors
    assert "DATABASE_URL" in errors
    assert "hunter2" not in errors


def test_a_setting_that_cannot_be_read_is_named(run):
    assert said(run("check", COMPLETION_AGGREGATOR_BATCH_SIZE="many")) == (
        1, "Error: COMPLETION_AGGREGATOR_BATCH_SIZE='many': expected a whole number above zero.\n"
    )  # fmt: skip
    assert said(run("check", LOG_LEVEL="nonsense")) == (
        1, "Error: LOG_LEVEL='nonsense': expected DEBUG, INFO, WARNING, ERROR or CRITICAL.\n"
    )  # fmt: skip
    status, errors = said(run("check", DATABASE_URL="mysq://someone:hunter2@db/name"))
    assert (status, "hunter2" in errors) == (1, False)


def test_a_setting_that_can_be_read_but_cannot_work_stops_the_start(run):
    status, errors = said(run("serve", "--port", "0", COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES="a.B"))
    assert status == 1
    assert "COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES names 'a.B', which cannot be imported" in errors


def test_a_cache_that_cannot_work_stops_the_start(run):
    expected = "expected redis://host:6379/1, memcache://host:11211 or locmemcache://"
    assert said(run("check", CACHE_URL="redis://:hunter2@host:port/1")) == (1, f"Error: CACHE_URL: {expected}.\n")
    hide = (
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *p: None if n == 'redis' else f(n, *p);"
    )
    start = "from completion_aggregator.platforms.standalone.cli import main; main(['check'])"
    found = run(program=f"{hide}{start}", CACHE_URL="redis://:hunter2@host/1")
    install = "pip install 'completion-aggregator[standalone,redis]'"
    assert said(found) == (1, f"Error: CACHE_URL: redis needs a driver that is not installed. Run: {install}\n")


def test_a_command_that_fails_says_why(run):
    status, errors = said(run("import_course", "nowhere.tar.gz"))
    assert status == 1
    assert "nowhere.tar.gz" in errors


def test_an_unknown_command_is_said(run):
    status, errors = said(run("import_curse"))
    assert status == 1
    assert "Unknown command: 'import_curse'" in errors


def test_a_reader_that_stops_reading_is_no_error(start):
    with start("help", "--commands") as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, "")


def test_an_interrupt_ends_with_a_sentence(start, migrated):
    with start("import_completions", "-") as process:
        process.stdin.write("username,course_id,block_id,completion\n" * 10_000)  # more than a pipe holds: it reads
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors


def test_the_system_checks_have_nothing_to_say(run):
    found = run("check")
    assert (found.returncode, found.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_the_migrations_are_complete(run):
    assert said(run("makemigrations", "--check", "--dry-run"))[0] == 0


def test_a_completion_can_be_saved_after_migrate(run, migrated):
    script = (
        "from django.contrib.auth import get_user_model; from completion.models import BlockCompletion;"
        "from opaque_keys.edx.keys import UsageKey;"
        "user = get_user_model().objects.create_user('ana');"
        "key = UsageKey.from_string('block-v1:O+C+R+type@html+block@h');"
        "print(BlockCompletion.objects.submit_completion(user, key, 1.0)[1])"
    )
    found = run("shell", "--no-imports", "-c", script)
    assert (found.returncode, found.stdout) == (0, "True\n")


@pytest.mark.parametrize("options", [("--no-service",), ("--interval", "1")])
def test_serve_answers_and_stops_cleanly(start, migrated, options):
    process = start("serve", "--port", "0", *options)
    try:
        address = process.stdout.readline().split()[1]
        assert (
            urllib.request.urlopen(f"{address}healthz", timeout=30).read() == b'{"status": "ok", "database": "sqlite"}'
        )
        page = urllib.request.urlopen(address, timeout=30).read().decode()
        style = page.split('rel="stylesheet" href="')[1].split('"')[0]
        assert urllib.request.urlopen(address + style.removeprefix("/"), timeout=30).status == 200
    finally:
        process.terminate()
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "Stopped.\n", "")


def test_a_port_that_is_taken_is_said(start, run, migrated):
    process = start("serve", "--port", "0", "--no-service")
    try:
        port = process.stdout.readline().split()[1].rstrip("/").rsplit(":", 1)[1]
        status, errors = said(run("serve", "--port", port, "--no-service"))
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert status == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in errors


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--port", "99999", "must be a whole number from 0 to 65535, not '99999'"),
        ("--port", "http", "must be a whole number from 0 to 65535, not 'http'"),
        ("--threads", "0", "must be a whole number from 1 on, not '0'"),
        ("--threads", "1.5", "must be a whole number from 1 on, not '1.5'"),
        ("--interval", "", "must be a whole number from 0 on, not ''"),
        ("--trusted-proxy", "nonsense", "must be an IP address such as 127.0.0.1 or ::1, or *, not 'nonsense'"),
        ("--trusted-proxy", "10.0.0.0/8", "must be an IP address such as 127.0.0.1 or ::1, or *, not '10.0.0.0/8'"),
        ("--trusted-proxy", "", "must be an IP address such as 127.0.0.1 or ::1, or *, not ''"),
    ],
)
def test_an_option_of_serve_that_cannot_work_is_said(option, value, why):
    with pytest.raises(CommandError, match=f"^{re.escape(f'Error: argument {option}: {why}')}$"):
        Serve().create_parser("completion-aggregator", "serve").parse_args([option, value])


@pytest.mark.parametrize(
    ("option", "value", "taken"),
    [
        ("--port", "0", 0),
        ("--port", "65535", 65_535),
        ("--threads", "1", 1),
        ("--interval", "0", 0),
        ("--trusted-proxy", "*", "*"),
        ("--trusted-proxy", "10.0.0.7", "10.0.0.7"),
        ("--trusted-proxy", "0:0:0:0:0:0:0:1", "::1"),
        ("--trusted-proxy", "FE80::A", "fe80::a"),
    ],
)
def test_an_option_of_serve_is_taken_as_the_server_needs_it(option, value, taken):
    options = Serve().create_parser("completion-aggregator", "serve").parse_args([option, value])
    assert getattr(options, option.removeprefix("--").replace("-", "_")) == taken


def test_a_host_that_is_none_is_said(run, migrated):
    status, errors = said(run("serve", "--host", "192.0.2.1", "--port", "0", "--no-service"))
    assert (status, "Cannot listen on 192.0.2.1:0: " in errors) == (1, True)
    status, errors = said(run("serve", "--host", "no host", "--port", "0", "--no-service"))
    assert (status, "Cannot listen on no host:0: it is no address of this machine." in errors) == (1, True)


@pytest.mark.parametrize(("options", "statuses"), [((), [400, 429]), (("--trusted-proxy", "127.0.0.1"), [400, 400])])
def test_only_a_proxy_that_is_named_says_who_asks(start, migrated, environment, options, statuses):
    environment["API_RATE_ANONYMOUS"] = "1/min"
    process = start("serve", "--port", "0", "--no-service", *options)
    assert process.stdout
    url = process.stdout.readline().split()[1] + "api/token/"
    answered = [status_of(url, {"X-Forwarded-For": f"192.0.2.{nth}"}) for nth in (1, 2)]
    process.terminate()
    process.communicate(timeout=30)
    assert answered == statuses


def status_of(url: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, b"{}", headers | {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)
    with error.value as answer:
        return answer.code
