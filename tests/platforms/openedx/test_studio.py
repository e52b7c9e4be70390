"""Studio as a process of its own: what is done there is what the LMS goes by, and the LMS stays out of it."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.platforms.openedx.starting import REPOSITORY, start

#: What must not be there because of us while Studio starts; xmodule is as much Studio's as the LMS's.
OF_THE_LMS = ("lms", "cms", "openedx", "common")
# As in Studio: a publish, a library, and a member of the course team who learns in the course.
WORK = """
import django, json, sys
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from opaque_keys.edx.keys import CourseKey
from opaque_keys.edx.locator import LibraryLocator
from common.djangoapps.student.models import CourseEnrollment
from common.djangoapps.student.roles import CourseStaffRole
from openedx.core.djangoapps.content.course_overviews.models import CourseOverview
from xmodule.modulestore.django import SignalHandler
key = CourseKey.from_string("course-v1:Org+Course+Run")
CourseOverview.objects.create(id=key, _location=key.make_usage_key("course", "course"), org="Org", version=1)
ann = User.objects.create(username="ann")
CourseEnrollment.objects.create(user=ann, course_id=key)
CourseStaffRole(key).add_users(ann)
for each in (key, LibraryLocator("Org", "Library")):
    SignalHandler(None).send("course_published", course_key=each)
print(json.dumps(sorted(name for name in sys.modules if name.partition(".")[0] == "lms")))
"""


@pytest.fixture
def studio(tmp_path, vendor):
    if vendor != "sqlite":
        pytest.skip("a process of its own, with a database of its own: done once, in the run on SQLite")
    database = tmp_path / "studio.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "TEST_LMS_VARIANT": "cms",
            "TEST_DATABASE_URL": f"sqlite:///{database}",
            "DJANGO_SETTINGS_MODULE": "test_settings_lms",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return database, json.loads(done.stdout)


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_studio_leaves_a_row_for_what_is_published_and_for_whom_it_gives_a_role(studio):
    database, of_the_lms = studio
    noted = "SELECT course_key FROM completion_aggregator_aggregatedcourse WHERE changed_at IS NOT NULL"
    stale = "SELECT DISTINCT username, course_key, block_key FROM completion_aggregator_stalecompletion"
    assert rows(database, noted) == [("course-v1:Org+Course+Run",)]
    assert [(name, key) for name, key, _ in rows(database, stale)] == [("ann", "course-v1:Org+Course+Run")]
    assert of_the_lms == []


def test_studio_starts_without_any_of_the_lms():
    studio = start("cms")
    assert [name for name in studio["imported"] if name.partition(".")[0] in OF_THE_LMS] == []
    assert "completion_aggregator.platforms.openedx" in studio["imported"]
    assert (studio["problems"], studio["status"]) == ([], 404)
