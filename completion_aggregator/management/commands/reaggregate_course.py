"""Mark courses for aggregation from scratch."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.ports import get_platform


class Command(BaseCommand):
    """Mark every enrolled learner of courses for aggregation from scratch."""

    help = (
        "Mark every learner with an active enrollment in these courses for aggregation from scratch. The next"
        " run_aggregator_service does it; only rows that turn out different are written. To find and mend what is"
        " wrong, aggregator_reconcile is the better command: it marks those alone who differ."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the courses, or all."""
        parser.add_argument("course_keys", nargs="*", metavar="COURSE", help="such as course-v1:ORG+COURSE+RUN")
        parser.add_argument("-a", "--all", action="store_true", help="every course of the platform")
        parser.add_argument("--routing-key", help="kept for scripts of 4.x, which took it and ignored it; so does this")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check every key before the first row is written."""
        if bool(options["course_keys"]) == options["all"]:
            raise CommandError("Name the courses, or say --all; not both, not neither.")
        keys = get_platform().course_keys() if options["all"] else [_checked(text) for text in options["course_keys"]]
        for key in keys:
            self.stdout.write(f"{key}: {api.mark_course_stale(key, force=True):,} learners marked.")
        self.stdout.write("run_aggregator_service does the rest.")


def _checked(text: str) -> CourseKey:
    try:
        key = CourseKey.from_string(text)
        get_platform().course_version(key)
    except InvalidKeyError:
        raise CommandError(f"{text!r} is no course key; one looks like course-v1:ORG+COURSE+RUN.") from None
    except CompletionAggregatorError as error:
        raise CommandError(str(error)) from None
    return key
