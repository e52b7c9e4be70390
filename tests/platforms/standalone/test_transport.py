"""The site over TLS, behind a proxy, and without: what Django's own checks of a deployment say, and what is served."""

import http.client
import re
import subprocess
from contextlib import closing

import pytest

from completion_aggregator.platforms.standalone.celery import app
from tests.platforms.standalone.test_cli import environment, migrated, migrated_once, run, said, start

__all__ = ["environment", "migrated", "migrated_once", "run", "start"]  # fixtures

OVER_TLS = {"HTTPS": "true", "ALLOWED_HOSTS": "progress.example.org"}
PRINT = "import django; django.setup(); from django.conf import settings; print([getattr(settings, n) for n in {!r}])"
SETTINGS = {"DJANGO_SETTINGS_MODULE": "completion_aggregator.platforms.standalone.settings"}


def test_the_checks_of_a_deployment_have_nothing_to_say_over_tls(run):
    done = run("check", "--deploy", "--fail-level", "WARNING", **OVER_TLS)
    assert said(done) == (0, "")
    assert done.stdout == "System check identified no issues (2 silenced).\n"


def test_without_tls_they_say_what_is_open(run):
    status, errors = said(run("check", "--deploy", "--fail-level", "WARNING"))
    assert status == 1
    assert re.findall(r"security\.W\d+", errors) == ["security.W004", "security.W008", "security.W012", "security.W016"]


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, [0, False]), ({"HTTPS": "true"}, [2_592_000, True]), ({"HTTPS": "true", "HSTS_SECONDS": "0"}, [0, True])],
)
def test_browsers_are_told_for_how_long(run, given, found):
    names = ["SECURE_HSTS_SECONDS", "SECURE_SSL_REDIRECT"]
    assert run(program=PRINT.format(names), **SETTINGS, **given).stdout == f"{found}\n"


def test_no_header_is_believed_but_by_the_server(run):
    names = ["SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT"]
    assert run(program=PRINT.format(names), **SETTINGS, **OVER_TLS).stdout == "[None, False, False]\n"


def test_passwords_are_checked_and_a_session_lasts_a_working_day(run):
    program = (
        "import django; django.setup(); from django.conf import settings;"
        "from django.contrib.auth.password_validation import get_default_password_validators as found;"
        "print(len(found()), settings.SESSION_COOKIE_AGE, settings.SESSION_COOKIE_HTTPONLY,"
        " settings.SESSION_COOKIE_SAMESITE, settings.CSRF_COOKIE_SAMESITE)"
    )
    assert run(program=program, **SETTINGS).stdout == "4 43200 True Lax Lax\n"


def test_workers_take_json_alone():
    assert (list(app.conf.accept_content), app.conf.task_serializer) == (["json"], "json")


def test_a_server_without_its_proxy_would_send_everybody_in_circles(run, migrated):
    status, errors = said(run("serve", "--port", "0", "--no-service", **OVER_TLS))
    assert status == 1
    assert "name the proxy that does with --trusted-proxy ADDRESS, or unset HTTPS." in errors


def test_a_server_that_others_reach_without_tls_says_so(start, migrated):
    process = start("serve", "--host", "0.0.0.0", "--port", "0", "--no-service")
    process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert errors.startswith("Passwords and tokens travel unencrypted to other machines")


@pytest.fixture
def ask(start, migrated, environment):
    """Ask a server behind a proxy that ends TLS."""
    environment |= OVER_TLS
    process: subprocess.Popen[str] = start("serve", "--port", "0", "--no-service", "--trusted-proxy", "127.0.0.1")
    assert process.stdout
    port = int(process.stdout.readline().split()[1].rstrip("/").rpartition(":")[2])

    def asked(path: str, *, scheme: str, method: str = "GET", **headers: str):
        given = {"Host": "progress.example.org", "X-Forwarded-Proto": scheme, "X-Forwarded-For": "192.0.2.1"}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request(method, path, headers=given | headers)
            answer = connection.getresponse()
            answer.read()
            return answer

    yield asked
    process.terminate()
    assert process.communicate(timeout=30)[1] == ""  # refusals are answers, and fill no log


def test_behind_its_proxy_the_site_is_reached_over_tls_alone(ask):
    plain = ask("/login/?next=/", scheme="http")
    assert (plain.status, plain.headers["Location"]) == (301, "https://progress.example.org/login/?next=/")
    page = ask("/login/", scheme="https")
    assert (page.status, page.headers["Strict-Transport-Security"]) == (200, "max-age=2592000")
    assert {"Secure", "SameSite=Lax"} <= set(page.headers["Set-Cookie"].split("; "))
    # A probe comes to the machine itself, by any name.
    assert ask("/healthz", scheme="http", Host="10.0.0.7").status == 200
    assert ask("/login/", scheme="https", Host="elsewhere.example.org").status == 400
    assert ask("/api/token/", scheme="https", method="POST", **{"Content-Length": "5000000"}).status == 413
