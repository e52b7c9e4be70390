"""The REST API, on the standalone platform and its tables."""

from io import StringIO
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from opaque_keys.edx.keys import CourseKey

from benchmarks import course as courses
from benchmarks.cost import Result
from benchmarks.places import dataset
from benchmarks.requests import COURSES, STAFF, measure, repeated, requests_of


class Site:
    """A course with many learners, the first of whom takes further courses of its size."""

    def __init__(self, chapters: int, count: int) -> None:
        self.generator = dataset()
        name = self.generator.course_key
        keys = [name(f"C{chapters * 80}"), *(name(f"X{nth:02d}") for nth in range(1, COURSES))]
        self.courses = [self.generator.build_course(key, chapters=chapters) for key in keys]
        self.count = count

    def learners(self, course: Any) -> list[Any]:
        """Return the generated learners of a course."""
        return list(self.generator.build_learners(course, self.count if course is self.courses[0] else 1))


def load(site: Site) -> Result:
    """Make the database anew, with courses, learners, enrollments and completions, and refresh everybody."""
    from completion_aggregator.aggregation import api

    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    users = get_user_model()._default_manager
    users.bulk_create(users.model(username=each.username) for each in site.learners(site.courses[0]))
    users.create(username=STAFF, is_staff=True)
    ids = dict(users.values_list("username", "pk"))
    for course in site.courses:
        courses.store(course, site.generator.MODES)
        learners = site.learners(course)
        courses.enroll(course, [ids[each.username] for each in learners])
        for some in (learners[start : start + 100] for start in range(0, len(learners), 100)):
            done = [(ids[each.username], key, *fact) for each in some for key, fact in each.completions.items()]
            courses.insert(course, done)
        api.mark_course_stale(CourseKey.from_string(course.key))
    call_command("run_aggregator_service", stdout=StringIO(), stderr=StringIO())
    return {"waiting": api.status().waiting}


def ask(site: Site, work: str, body: Path) -> Result:
    """Measure the request of *work*; and again with a session, which a browser has and ``body`` is not told of."""
    from rest_framework.test import APIClient

    request = requests_of(site.courses[0].key, site.learners(site.courses[1])[0].username)[work]
    found = measure(request, body)
    client = APIClient()
    client.force_login(get_user_model()._default_manager.get(username=request.username))
    session = repeated(client, request)
    return found | {f"session_{name}": session[name] for name in ("cpu_s", "queries")}
