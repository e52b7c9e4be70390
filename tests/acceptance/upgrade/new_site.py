"""The site as it is now: ``python -m tests.acceptance.upgrade.new_site import|ask|truth BENCHMARK``. Prints JSON."""

import json
import sys
from importlib import import_module
from typing import Any

import django

from tests.acceptance.upgrade import requests


def main() -> None:
    """Run one command."""
    command, folder = sys.argv[1:]
    sys.path.append(folder)
    dataset = import_module("dataset")
    django.setup()
    if command == "import":
        for course in requests.courses(dataset):
            publish(dataset, course)
    elif command == "truth":
        sys.stdout.write(json.dumps([row for course in requests.courses(dataset) for row in truth(dataset, course)]))
    else:
        sys.stdout.write(requests.answers(dataset))


def publish(dataset: Any, course: Any) -> None:
    """Give the platform the course that the old site had, with the learners who were in it.

    An LMS had it all along: nobody is marked by this.
    """
    from completion.models import BlockCompletion
    from opaque_keys.edx.keys import CourseKey

    from completion_aggregator.course_graph.graph import Block, CompletionMode
    from completion_aggregator.models import AggregatedCourse, StaleCompletion
    from completion_aggregator.platforms.standalone.content import CourseContent
    from completion_aggregator.platforms.standalone.courses import compile_content, store_version
    from completion_aggregator.platforms.standalone.models import Course, Enrollment

    blocks = tuple(
        Block(key=each.key, type=each.type, children=each.children, mode=CompletionMode(dataset.MODES[each.type]))
        for each in course.blocks.values()
    )
    content = CourseContent(course_key=course.key, title=course.key, blocks=blocks)
    waiting = set(StaleCompletion.objects.values_list("pk", flat=True))
    store_version(content, compile_content(content))
    StaleCompletion.objects.exclude(pk__in=waiting).delete()
    AggregatedCourse.objects.update(changed_at=None)
    key = CourseKey.from_string(course.key)
    learners = set(BlockCompletion.objects.filter(context_key=key).values_list("user_id", flat=True))
    stored = Course.objects.get(course_key=key)
    Enrollment.objects.bulk_create(Enrollment(user_id=user_id, course=stored) for user_id in sorted(learners))


def truth(dataset: Any, course: Any) -> list[tuple[str, str, float, float, float]]:
    """Return what the rows of a course should be, by the definition and the completions, with nothing of ours."""
    from completion.models import BlockCompletion
    from opaque_keys.edx.keys import CourseKey

    completions: dict[str, dict[str, tuple[float, None]]] = {}
    rows = BlockCompletion.objects.filter(context_key=CourseKey.from_string(course.key))
    for username, block_key, value in rows.values_list("user__username", "block_key", "completion"):
        completions.setdefault(username, {})[str(block_key)] = (value, None)
    return [
        (username, key, *values[:3])
        for username, done in completions.items()
        for key, values in dataset.documented_values(course, done).items()
    ]


if __name__ == "__main__":
    main()
