"""Courses, people and clients on the tables of the standalone platform: real roles, real sessions."""

import json
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    CourseVersion,
    Enrollment,
)
from tests.aggregation.builders import KEY, SMALL, Node, complete, course

PREFIX = "/completion-aggregator/"


def published(graph: CourseGraph, *, mobile: bool = False) -> Course:
    """Make *graph* the content of its course, as an import does."""
    key = CourseKey.from_string(graph.course_key)
    row, _ = Course.objects.get_or_create(course_key=key, defaults={"mobile_available": mobile})
    row.current, _ = CourseVersion.objects.get_or_create(
        course=row,
        content_hash=graph.content_hash,
        defaults={"number": row.versions.count() + 1, "graph": graph.to_bytes()},
    )
    row.save()
    return row


def small(key: CourseKey = KEY, *, chapters: tuple[Node, ...] = SMALL, mobile: bool = False) -> CourseKey:
    """Publish a small course."""
    published(course(*chapters, key=key), mobile=mobile)
    return key


def keys(count: int) -> list[CourseKey]:
    return [CourseKey.from_string(f"course-v1:Test+Course+{nth:02}") for nth in range(1, count + 1)]


def person(name: str, *courses: CourseKey, is_active: bool = True, **fields: Any) -> Any:
    """A user who is enrolled in *courses*; *is_active*: whether those enrollments are."""
    user = get_user_model()._default_manager.create(username=name, **fields)
    for key in courses:
        enroll(user, key, is_active=is_active)
    return user


def people(count: int, key: CourseKey = KEY) -> list[Any]:
    """Many learners of one course, by id; made in bulk, so that nothing is marked stale."""
    model = get_user_model()
    model._default_manager.bulk_create([model(username=f"learner{n:05}") for n in range(count)])
    users = list(model._default_manager.filter(username__startswith="learner").order_by("pk"))
    row = Course.objects.get(course_key=key)
    Enrollment.objects.bulk_create([Enrollment(user=user, course=row) for user in users])
    return users


def enroll(user: Any, key: CourseKey, *, is_active: bool = True) -> None:
    Enrollment.objects.create(user=user, course=Course.objects.get(course_key=key), is_active=is_active)


def leave(user: Any, key: CourseKey) -> None:
    Enrollment.objects.filter(user=user, course__course_key=key).update(is_active=False)


def give_role(user: Any, role: str, key: CourseKey = KEY) -> Any:
    CourseRole.objects.create(user=user, course=Course.objects.get(course_key=key), role=role)
    return user


def cohort(name: str, *members: Any, key: CourseKey = KEY) -> int:
    """Make a cohort; return its id."""
    row = Course.objects.get(course_key=key)
    made = Cohort.objects.create(course=row, name=name)
    for user in members:
        CohortMembership.objects.create(user=user, course=row, cohort=made)
    return made.pk


def completed(user: Any, *names: str, key: CourseKey = KEY) -> None:
    for name in names:
        complete(user, name, key=key)


def refreshed(*courses: CourseKey) -> None:
    """Let the service run, and the means be worked out anew."""
    for key in courses or (KEY,):
        api.refresh_course(key)
    cache.clear()


def client_of(user: Any) -> Client:
    """A client with a real session; None: nobody."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def get(user: Any, path: str, **parameters: Any) -> Any:
    return client_of(user).get(PREFIX + path, parameters)


def post(user: Any, path: str, body: Any) -> Any:
    return client_of(user).post(PREFIX + path, json.dumps(body), content_type="application/json")


def answer(response: Any) -> tuple[int, Any]:
    """Return the status, and the body as JSON where it is."""
    is_json = response.headers.get("Content-Type") == "application/json"
    return response.status_code, response.json() if is_json else response.content.decode()


def facts() -> set[tuple[str, str, float]]:
    rows = BlockCompletion.objects.values_list("user__username", "block_key", "completion")
    return {(name, str(block), value) for name, block, value in rows}
