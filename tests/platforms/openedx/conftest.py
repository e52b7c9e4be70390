"""The tests of the adapter, inside a small LMS: collected only with ``--ds=test_settings_lms``.

Each begins with an LMS of which nothing is left over: no counts, no switches, empty caches, no request's memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from edx_django_utils.cache import RequestCache

IN_THE_LMS = getattr(settings, "SERVICE_VARIANT", "") == "lms"

# Said in conftest.py, these are the names of files that pytest passes over.
collect_ignore_glob = [] if IN_THE_LMS else ["*"]

if IN_THE_LMS:
    # At their names in the LMS, which need the path that its settings add.
    import authz_store
    import lms_counters


@pytest.fixture(autouse=True)
def fresh_lms() -> Iterator[None]:
    """Begin without what an earlier test left in the process."""
    _forget()
    yield
    _forget()


@pytest.fixture
def new_process() -> Iterator[None]:
    """Be a process that has seen nothing yet, of an LMS without courses afterwards."""
    from xmodule.modulestore.django import modulestore

    from tests.platforms.openedx.processes import forget

    forget()
    yield
    forget()
    modulestore().clear()


def _forget() -> None:
    lms_counters.reset()
    cache.clear()
    RequestCache.clear_all_namespaces()


@pytest.fixture
def authz(db: None) -> Iterator[None]:
    """Move the roles of courses out of the table, for the time of the test."""
    with authz_store.moved_roles():
        yield


@pytest.fixture
def reports(tmp_path: Path, settings: Any) -> Path:
    """Give the LMS a folder for its reports."""
    settings.GRADES_DOWNLOAD = {"STORAGE_TYPE": "localfs", "BUCKET": "", "ROOT_PATH": str(tmp_path)}
    return tmp_path
