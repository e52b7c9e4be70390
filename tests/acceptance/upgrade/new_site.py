"""The site as it is now: ``python -m tests.acceptance.upgrade.new_site import|ask BENCHMARK``. Prints JSON."""

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
    else:
        sys.stdout.write(requests.answers(dataset))


def publish(dataset: Any, course: Any) -> None:
    """Give the platform the course that the old site had, with the learners who were in it."""
    from completion.models import BlockCompletion
    from opaque_keys.edx.keys import CourseKey

    from completion_aggregator.course_graph.graph import Block, CompletionMode
    from completion_aggregator.platforms.standalone.content import CourseContent
    from completion_aggregator.platforms.standalone.courses import compile_content, store_version
    from completion_aggregator.platforms.standalone.models import Course, Enrollment

    blocks = tuple(
        Block(key=each.key, type=each.type, children=each.children, mode=CompletionMode(dataset.MODES[each.type]))
        for each in course.blocks.values()
    )
    content = CourseContent(course_key=course.key, title=course.key, blocks=blocks)
    store_version(content, compile_content(content))
    key = CourseKey.from_string(course.key)
    learners = set(BlockCompletion.objects.filter(context_key=key).values_list("user_id", flat=True))
    stored = Course.objects.get(course_key=key)
    Enrollment.objects.bulk_create(Enrollment(user_id=user_id, course=stored) for user_id in sorted(learners))


if __name__ == "__main__":
    main()
