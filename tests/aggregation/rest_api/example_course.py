"""The course, and its people, that the examples in the description of the API tell of."""

import hashlib
from datetime import UTC, datetime, timedelta

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.cache import cache
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.authtoken.models import Token

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.blocks import Block, CompletionMode
from completion_aggregator.platforms.standalone.content import CourseContent
from completion_aggregator.platforms.standalone.courses import compile_content, store_version
from completion_aggregator.platforms.standalone.models import Cohort, CohortMembership, Course, CourseRole, Enrollment

KEY = CourseKey.from_string("course-v1:DemoX+Moon+2026")
BEGAN = datetime(2026, 9, 1, 8, tzinfo=UTC)
PASSWORD = "to the moon"

#: type, name, title, children
CONTAINERS = (
    ("course", "course", "The Moon", (("chapter", "flight"), ("chapter", "landing"))),
    ("chapter", "flight", "The flight", (("sequential", "ascent"),)),
    ("chapter", "landing", "The landing", (("sequential", "descent"),)),
    ("sequential", "ascent", "Ascent", (("vertical", "engines"),)),
    ("sequential", "descent", "Descent", (("vertical", "fuel"),)),
    ("vertical", "engines", "Engines", (("video", "ignition"), ("problem", "thrust"))),
    ("vertical", "fuel", "Fuel", (("html", "reserves"), ("problem", "remainder"), ("html", "anecdotes"))),
)
OPTIONAL = "anecdotes"
#: In the order in which they were completed.
COMPLETIONS = {
    "ana": {"ignition": 1.0, "thrust": 1.0, "reserves": 1.0, "anecdotes": 1.0},
    "bob": {"ignition": 1.0, "thrust": 0.5},
    "cleo": {},
}


def token_of(name: str) -> str:
    """Return the token of a user: forty hexadecimal digits, as all tokens are."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def usage(kind: str, name: str) -> UsageKey:
    return KEY.make_usage_key(kind, name)


def blocks() -> list[Block]:
    containers = [
        Block(
            key=str(usage(kind, name)),
            type=kind,
            mode=CompletionMode.AGGREGATOR,
            title=title,
            children=tuple(str(usage(*child)) for child in children),
        )
        for kind, name, title, children in CONTAINERS
    ]
    leaves = [
        Block(
            key=str(usage(kind, name)),
            type=kind,
            mode=CompletionMode.COMPLETABLE,
            title=name.title(),
            optional=name == OPTIONAL,
        )
        for parent, *_, children in CONTAINERS
        if parent == "vertical"
        for kind, name in children
    ]
    return containers + leaves


def build() -> None:
    """Make the course and its people; ana and bob have learned, and the service has run."""
    cache.clear()  # it may hold a mean of another test
    store_version_of(CourseContent(course_key=str(KEY), title="The Moon", blocks=tuple(blocks()), partitions=()))
    course = Course.objects.get(course_key=KEY)
    cohort = Cohort.objects.create(course=course, name="Mornings")
    users = get_user_model().objects
    for name, values in COMPLETIONS.items():
        user = users.create_user(name, f"{name}@example.org", PASSWORD)
        Enrollment.objects.create(user=user, course=course, mode="verified" if name == "ana" else "audit")
        complete(user, values)
        Token.objects.create(user=user, key=token_of(name))
    CohortMembership.objects.create(course=course, cohort=cohort, user=users.get(username="bob"))
    teacher = users.create_user("teacher", "teacher@example.org", PASSWORD)
    CourseRole.objects.create(course=course, user=teacher, role="staff")
    users.create_user("root", "root@example.org", PASSWORD, is_staff=True)
    for name in ("teacher", "root"):
        Token.objects.create(user=users.get(username=name), key=token_of(name))
    api.refresh_course(KEY)


def store_version_of(content: CourseContent) -> None:
    store_version(content, compile_content(content))


def complete(user, values: dict[str, float]) -> None:
    types = {name: kind for *_, children in CONTAINERS for kind, name in children}
    for nth, (name, value) in enumerate(values.items()):
        BlockCompletion.objects.submit_completion(user, usage(types[name], name), value)
        moment = BEGAN + timedelta(days=nth)
        BlockCompletion.objects.filter(user=user, block_key=usage(types[name], name)).update(
            created=moment, modified=moment
        )
