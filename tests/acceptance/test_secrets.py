"""A site that is told many secrets, and meets all that can go wrong, says none of them."""

import http.client
import json
import re
import subprocess
from contextlib import closing
from urllib.parse import urlencode

import pytest

from tests.platforms.standalone.test_cli import environment, migrated, migrated_once, run, start

__all__ = ["environment", "migrated", "migrated_once", "run", "start"]  # fixtures

KEY = "signs-everything-that-a-browser-keeps-0123456789-abcdefghij"
PASSWORD = "correct-horse-battery"
SECRETS = {
    "SECRET_KEY": KEY,
    "CACHE_URL": "redis://:cachepass@127.0.0.1:1/1",
    "CELERY_BROKER_URL": "amqp://someone:brokerpass@127.0.0.1:1//",
    "EVENT_BUS_URL": "redis://:buspass@127.0.0.1:1/0",
    "COMPLETION_AGGREGATOR_WEBHOOKS": json.dumps(
        [{"url": "http://someone:hookpass@127.0.0.1:1/in/hookpath?key=hookkey", "secret": "hooksecret-0123456789"}]
    ),
    "COMPLETION_AGGREGATOR_THRESHOLDS": '{"course": [0.5]}',
    "LOG_LEVEL": "DEBUG",
}
HIDDEN = (KEY, PASSWORD, "cachepass", "brokerpass", "buspass", "hookpass", "hookpath", "hookkey", "hooksecret")
MAKE_LEARNER = f"""
from django.contrib.auth import get_user_model
user = get_user_model().objects.create_superuser("ana", password={PASSWORD!r})
"""


def hidden_in(text: str) -> list[str]:
    return [secret for secret in HIDDEN if secret in text]


@pytest.mark.parametrize(
    "command",
    [
        ("aggregator_status", "--json"),
        ("event_bus_status",),
        ("run_aggregator_service",),
    ],
    ids=" ".join,
)
def test_no_command_says_a_secret(run, migrated, command):
    done = run(*command, **SECRETS)
    assert "Traceback" not in done.stderr
    assert hidden_in(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://someone:db/pass@host/name",
        "oracle://someone:dbpass@host/name",
        "postgres://someone:dbpass@[::1/name",
        "sqlite:////none/at/all.sqlite3?password=dbpass",
    ],
)
def test_no_refusal_of_a_database_says_its_password(run, url):
    done = run("aggregator_status", DATABASE_URL=url, LOG_LEVEL="DEBUG")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: DATABASE_URL: expected sqlite:////path/to/file,")
    assert "pass@" not in done.stderr
    assert "dbpass" not in done.stderr


def test_no_answer_and_no_log_of_a_site_says_a_secret(start, run, migrated, environment):
    assert run("shell", "--no-imports", "-c", MAKE_LEARNER).returncode == 0
    token = run("drf_create_token", "ana").stdout.split()[2]
    environment |= {name: value for name, value in SECRETS.items() if name != "CACHE_URL"}
    process: subprocess.Popen[str] = start("serve", "--port", "0", "--interval", "1")
    assert process.stdout
    port = int(process.stdout.readline().split()[1].rstrip("/").rpartition(":")[2])
    seen = []

    def ask(method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request(method, path, body.encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            seen.append(f"{answer.headers}{text}")
            return answer.status, text

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    by_token = {"Authorization": f"Token {token}"}
    page = ask("GET", "/login/")[1]
    csrf = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    cookie = re.search(r"csrftoken=\w+", seen[-1])
    assert csrf
    assert cookie
    login = urlencode({"username": "ana", "password": PASSWORD, "csrfmiddlewaretoken": csrf[1], "next": "/"})
    statuses = [
        ask("POST", "/login/", login, Cookie=cookie[0], **form)[0],
        ask("POST", "/login/", login, **form)[0],  # no cookie: refused
        ask("POST", "/api/token/", urlencode({"username": "ana", "password": f"{PASSWORD}x"}), **form)[0],
        ask("GET", "/completion-aggregator/v2/courses/", **by_token)[0],
        ask("GET", "/completion-aggregator/v2/courses/", Authorization=f"Token {token}x")[0],
        ask("GET", "/completion-aggregator/v2/courses/?levels=%00", **by_token)[0],
        ask("POST", "/completion-aggregator/v1/course/x/", "{", **by_token, **{"Content-Type": "application/json"})[0],
        ask("GET", "/healthz")[0],
        ask("GET", "/nothing")[0],
        ask("GET", "/admin/authtoken/tokenproxy/", **by_token)[0],
    ]
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert statuses == [302, 403, 400, 200, 401, 400, 404, 200, 404, 302]
    assert hidden_in("".join(seen)) == []
    assert hidden_in(output + errors) == []
    assert token not in "".join(seen) + output + errors


def test_a_cache_that_is_down_is_an_error_without_its_password(start, migrated, environment):
    environment |= SECRETS
    process: subprocess.Popen[str] = start("serve", "--port", "0", "--no-service")
    assert process.stdout
    port = int(process.stdout.readline().split()[1].rstrip("/").rpartition(":")[2])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/api/token/", json.dumps({"username": "a", "password": PASSWORD}).encode())
        answer = connection.getresponse()
        text = answer.read().decode()
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert answer.status in {415, 500}
    assert hidden_in(text + output + errors) == []
