"""A store, and logs as a site with damage in them would have."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from completion_aggregator.tracking.store import Store
from tests.tracking.builders import new_store

HERE = Path(__file__).parent
DATABASES = {"db", "transactional_db", "django_db_setup", "needs_server", "vendor"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run once what asks no database of the site: on a server, only what does."""
    if not os.environ.get("TEST_DATABASE_URL"):
        return
    elsewhere = [item for item in items if HERE in item.path.parents and not _asks_database(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in set(elsewhere)]


def _asks_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return any(item.iter_markers("django_db")) or any(item.iter_markers("services")) or bool(fixtures & DATABASES)


@dataclass(frozen=True, slots=True)
class GeneratedLog:
    """Logs in a folder, and what the generator says of them."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def paths(self) -> list[Path]:
        return [self.folder / name for name in self.manifest["files"]]


def generated(shared: Path, folder: Path, *options: str) -> GeneratedLog:
    generator = shared / "bench" / "tracking" / "gen_tracking_log.py"
    subprocess.run([sys.executable, generator, "--out", folder, *options], check=True, stdout=subprocess.DEVNULL)
    return GeneratedLog(folder, json.loads((folder / "manifest.json").read_text()))


@pytest.fixture(scope="session")
def generated_log(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> GeneratedLog:
    """Return 4,000 lines in four plain files, damaged as real ones are."""
    folder = tmp_path_factory.mktemp("generated")
    return generated(shared_data, folder, "--events", "4000", "--files", "4", "--seed", "7", "--users", "2000")


@pytest.fixture(scope="session")
def generated_gz(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> GeneratedLog:
    """Return the same lines in gzip files."""
    options = ("--events", "4000", "--files", "4", "--seed", "7", "--users", "2000", "--gz")
    return generated(shared_data, tmp_path_factory.mktemp("generated-gz"), *options)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return new_store(tmp_path)
