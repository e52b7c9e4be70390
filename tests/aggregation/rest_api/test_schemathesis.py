"""The running service against its description: Schemathesis makes up requests and looks at what is answered."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.db import connection
from waffle.models import Switch

from tests.aggregation.rest_api import example_course
from tests.conftest import skip_unless_required
from tests.platforms.standalone.test_cli import MODULE, environment_of

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
#: Made-up requests for each operation, in each phase.
EXAMPLES = 8
SECONDS = 300


@pytest.fixture(autouse=True)
def needs_schemathesis():
    if find_spec("schemathesis") is None:
        skip_unless_required("needs schemathesis: python3 scripts/bootstrap.py dev", "CI_REQUIRE_FUZZ")


@pytest.fixture
def service(transactional_db, tmp_path) -> Iterator[str]:
    """Serve the course of the examples as a site is served, without rates; return its address."""
    # Tests that empty the tables take away what a migration put there.
    Switch.objects.update_or_create(name="completion.enable_completion_tracking", defaults={"active": True})
    example_course.build()
    environment = environment_of(tmp_path) | {
        "DATABASE_URL": database_url(),
        "LOG_LEVEL": "ERROR",
        "API_RATE_USER": "none",
        "API_RATE_ANONYMOUS": "none",
        "API_RATE_LOGIN": "none",
    }
    command = [sys.executable, "-u", "-m", MODULE, "serve", "--port", "0", "--no-service"]
    with subprocess.Popen(command, env=environment, stdout=-1, text=True) as process:
        assert process.stdout
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found
        yield found[0]
        process.terminate()


def database_url() -> str:
    """Return the address of the database of these tests."""
    given = os.environ.get("TEST_DATABASE_URL")
    name = str(connection.settings_dict["NAME"])
    return f"{given.rpartition('/')[0]}/{name}" if given else f"sqlite:///{name}"


@pytest.mark.slow
@pytest.mark.parametrize("user", ["ana", "teacher", "root", None])
def test_no_request_is_answered_in_a_way_that_is_not_described(service, user, tmp_path):
    token = [] if user is None else ["--header", f"Authorization: Token {example_course.token_of(user)}"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"),
            *("run", f"{service}api/openapi.json", "--max-examples", str(EXAMPLES), "--seed", "1", *token),
        ],
        cwd=tmp_path,
        env=environment_of(tmp_path) | {"SCHEMATHESIS_HOOKS": "tests.aggregation.rest_api.fuzz_hooks"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]
