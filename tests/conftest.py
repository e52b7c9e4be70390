"""What every test may ask for: the database it runs on, real courses, a server."""

import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("COMPLETION_AGGREGATOR_SHARED") or REPOSITORY.parent / "shared")

NO_SERVER = (
    "needs a database server; run it with TEST_DATABASE_URL=mysql://root@127.0.0.1:3306/completion"
    " or postgres://postgres@127.0.0.1:5432/completion"
)
NO_SHARED = "needs the folder ../shared beside the project (or COMPLETION_AGGREGATOR_SHARED=path)"

# Stand-ins, some of which have names that pytest would take for tests.
collect_ignore = ["fakes"]

# Cores are shared and servers pause: a slow example is not a wrong one. In CI the examples are the same ones at every
# run, so that a change is judged by what it changes; everybody else's runs look for new ones.
settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("default")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # Processes that share the tests must give them equal names, and gzip writes the time into what it compresses.
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) and len(val) > 16 else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("services") and connection.vendor == "sqlite":
        skip_unless_required(NO_SERVER, "CI_REQUIRE_SERVICES")


def skip_unless_required(reason: str, variable: str) -> None:
    """Skip the test; fail it where the environment promises what it lacks."""
    if os.environ.get(variable):
        pytest.fail(f"{variable} is set, but this test {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the site a folder for its files, which goes with the tests."""
    folder = tmp_path_factory.mktemp("home")
    django_settings.HOME = folder
    return folder


@pytest.fixture
def vendor() -> str:
    """Return ``sqlite``, ``mysql`` (MariaDB too) or ``postgresql``."""
    return connection.vendor


@pytest.fixture
def needs_server(vendor: str) -> str:
    """Return the vendor of the database server; skip the test on SQLite."""
    if vendor == "sqlite":
        skip_unless_required(NO_SERVER, "CI_REQUIRE_SERVICES")
    return vendor


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the golden data and the real courses; skip the test where it is not."""
    if not (SHARED / "golden").is_dir():
        skip_unless_required(NO_SHARED, "CI_REQUIRE_SHARED")
    return SHARED
