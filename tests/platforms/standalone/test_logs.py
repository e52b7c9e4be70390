"""Logs say what was done and what failed, and never who anybody is."""

import json
import subprocess
import sys

import pytest

from tests.platforms.standalone.test_cli import MODULE, environment_of

#: A learner as an import names her; none of this may come back in a line of the log.
NAME, ADDRESS, PASSWORD = "zz-most-private", "zz-address@example.org", "zz-pass-word"
KEY = "course-v1:Demo+Sky101+2026"

#: Breaks what it can: refreshes that fail with her name in the error, a receiver that does, a course that is none.
WRECK = f"""
import django; django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from completion.models import BlockCompletion
from completion_aggregator.aggregation import api, state
from completion_aggregator.models import StaleCompletion
from completion_aggregator.platforms.standalone.models import Course, Enrollment
user = get_user_model().objects.create_user("{NAME}", "{ADDRESS}", "{PASSWORD}")
course = Course.objects.get()
Enrollment.objects.create(user=user, course=course, is_active=True)
api.mark_course_stale(course.course_key, force=True)
StaleCompletion.objects.create(username="{NAME}", course_key="course-v1:No+Such+Course", force=True)
StaleCompletion.objects.create(username="{NAME}-gone", course_key=course.course_key, force=True)
store = state.store
def failing(course_id, states, **given):
    if any(each.user_id == user.pk for each in states):
        raise ValueError("cannot store a row")
    store(course_id, states, **given)
state.store = failing
for _ in range(6):
    try:
        call_command("run_aggregator_service")
    except Exception:
        pass
state.store = store
call_command("run_aggregator_service", "--retry-set-aside")
from django.test import Client
client = Client(raise_request_exception=False, headers={{"host": "localhost"}})
for path in ("/login/", "/api/token/"):
    client.post(path, {{"username": "{NAME}", "password": "wrong"}})
    client.post(path, {{"username": "{NAME}", "password": "{PASSWORD}"}})
client.get(f"/completion-aggregator/v1/course/{{course.course_key}}/?username={NAME}")
client.get("/readyz")
user.username = "{NAME}-2"; user.save()
call_command("run_aggregator_service")
call_command("aggregator_retire_user", "{NAME}-2")
user.delete()
"""


@pytest.mark.slow
def test_no_line_of_a_whole_life_names_anybody(tmp_path):
    environment = environment_of(tmp_path / "home") | {
        "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json",
        "DJANGO_SETTINGS_MODULE": "completion_aggregator.platforms.standalone.settings",
        "COMPLETION_AGGREGATOR_THRESHOLDS": '{"course": [0.1], "chapter": [0.5]}',
    }  # fmt: skip
    (tmp_path / "rows.csv").write_text(
        f"username,course_id,block_key,completion\n{NAME},{KEY},no-key,1\n{NAME},{KEY},,7\n"
    )
    said = []
    for arguments in (
        ["-m", MODULE, "demo", "--learners", "20"],
        ["-c", WRECK],
        ["-m", MODULE, "import_completions", str(tmp_path / "rows.csv")],
    ):
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert "Traceback" not in [line.strip() for line in done.stderr.splitlines()][:1], done.stderr[-3000:]
        said += done.stderr.splitlines()
    lines = [json.loads(line) for line in said if line.startswith("{")]
    events = {line["event"] for line in lines}
    assert {"refreshed", "refresh failed", "set aside", "turn", "imported", "retired", "reconciled"} <= events
    for line in lines:
        text = json.dumps(line)
        for private in (NAME, ADDRESS, PASSWORD, "demo1_"):
            assert private not in text, text[:2000]
    batch = next(line for line in lines if line["event"] == "refreshed")
    assert {"course", "learners", "written", "removed", "resolved", "failed", "unknown", "seconds"} <= batch.keys()


def test_a_form_of_lines_that_there_is_none_of_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "check"],
        env=environment_of(tmp_path) | {"LOG_FORMAT": "xml"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "Error: LOG_FORMAT='xml': expected text or json.\n")
