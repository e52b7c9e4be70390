"""A course that was deleted from the LMS: nothing waits for it for ever, once somebody says so."""

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.models import AggregatedCourse, CourseTree
from tests.aggregation.builders import KEY, SMALL, complete, course, learner
from tests.fakes.platform import FakePlatform

OTHER = CourseKey.from_string("course-v1:Test+Course+2")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_kept(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.1]}
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [{"url": "http://localhost:9/", "secret": "0123456789abcdef"}]


def worked_in(platform: FakePlatform, course_key: CourseKey) -> None:
    """Leave something in every table that has anything of courses."""
    graph = course(*SMALL, key=course_key)
    platform.publish(graph)
    users = [learner(platform, f"{name} in {course_key.run}", course_key) for name in ("ana", "ben")]
    for user in users:
        complete(user, "a", key=course_key)
    api.refresh_course(course_key)
    complete(users[0], "b", key=course_key)
    row = AggregatedCourse.objects.get(course_key=course_key)
    CourseTree.objects.create(course=row, graph_version="v", profile="p", tree=b"t", kept_at=timezone.now())
    api.keep_content(course_key, "v", graph)


def clean_up(*arguments: str) -> str:
    out = StringIO()
    call_command("run_aggregator_cleanup", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def rows() -> dict[str, int]:
    models = apps.get_app_config("completion_aggregator").get_models()
    return {each.__name__: each._default_manager.count() for each in models}


def test_all_that_is_kept_of_it_goes_and_nothing_of_another(platform: FakePlatform) -> None:
    worked_in(platform, OTHER)
    clean_up()
    wanted = rows()
    assert [name for name, count in wanted.items() if not count] == ["CacheGroupInvalidation"]
    worked_in(platform, KEY)
    platform.graphs.pop(str(KEY))

    text = clean_up("--course", str(KEY))

    assert text.splitlines()[0] == (
        f"{KEY}: 3 stale rows, 16 tallies, 2 rows of progress, 2 thresholds reached, 2 deliveries removed."
    )
    assert rows() == wanted
    assert KEY not in {each.course_key for each in api.status().courses}
    assert clean_up("--course", str(KEY)).splitlines()[0] == f"{KEY}: nothing removed."


def test_of_a_course_that_is_there_nothing_is_removed(platform: FakePlatform) -> None:
    for key in (KEY, OTHER):
        worked_in(platform, key)
    platform.graphs.pop(str(OTHER))
    wanted = rows()
    with pytest.raises(CommandError, match=r"Nothing was deleted: the platform has course-v1:Test\+Course\+1\."):
        clean_up("--course", str(OTHER), "--course", str(KEY))
    assert rows() == wanted


def test_what_waits_for_it_is_shown_until_then(platform: FakePlatform) -> None:
    platform.publish(course(*SMALL, key=OTHER))
    learner(platform, "ana")
    api.mark_stale("ana", KEY)
    call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())
    (shown,) = api.status().courses
    assert (shown.course_key, shown.waiting, shown.error) == (KEY, 1, f"There is no course {KEY}.")

    clean_up("--course", str(KEY))

    assert (api.status().waiting, api.status().courses) == (0, ())
