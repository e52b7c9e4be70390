"""Compare the trees that we count by with those that the LMS shows."""

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from secrets import randbelow
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.arguments import course_key, natural, positive
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.meter import meter
from completion_aggregator.platforms.openedx import parity
from completion_aggregator.platforms.openedx.platform import OpenEdxPlatform
from completion_aggregator.ports import get_platform


class Command(BaseCommand):
    """Look at a course with the eyes of some of its learners, in two ways."""

    help = (
        "Compare, for some learners of a course, the blocks that we count with those that the LMS shows. Prints the"
        " differences and exits with 1 if there are any. NOTE: asking the LMS is a visit of each of these learners;"
        " it assigns them to the groups of experiments and to cohorts, draws from item banks, stores that and emits its"
        " events."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the course, and whom to compare."""
        parser.add_argument("course", type=course_key, metavar="COURSE", help="such as course-v1:ORG+COURSE+RUN")
        parser.add_argument(
            "--sample", type=positive, default=50, metavar="N",
            help="compare so many enrolled learners, of all kinds that the course tells apart (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument("--user", action="append", metavar="NAME", help="compare this user; may be repeated")
        parser.add_argument("--seed", type=natural, help="draw the sample that a former run has drawn with this seed")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Renew the content, compare, print."""
        platform = get_platform()
        if not isinstance(platform, OpenEdxPlatform):
            raise CommandError("There is no LMS here to compare with: this site has courses of its own.")
        key, seed = options["course"], randbelow(2**32) if options["seed"] is None else options["seed"]
        try:
            platform.renew(key)
            user_ids = _named(options["user"]) if options["user"] else parity.sample(
                platform, key, options["sample"], seed=seed
            )  # fmt: skip
            found = list(_compared(platform, key, user_ids))
        except CompletionAggregatorError as error:
            raise CommandError(str(error)) from error
        self._tell(key, None if options["user"] else seed, found, as_json=options["json"])
        if different := sum(bool(each.differences) for each in found):
            raise CommandError(f"{different:,} of {len(found):,} learners see another tree than we count by.")

    def _tell(self, key: CourseKey, seed: int | None, found: list[parity.Comparison], *, as_json: bool) -> None:
        if as_json:
            shown = {"course_id": str(key), "seed": seed, "learners": [asdict(each) for each in found]}
            self.stdout.write(json.dumps(shown, indent=2))
            return
        for each in found:
            for one in each.differences:
                self.stdout.write(f"user {each.user_id}: {_words(one)}")
        for reason, learners in Counter(reason for each in found for reason in each.expected).items():
            self.stdout.write(f"As expected, of {learners:,} learners: {reason}.")
        drawn = "" if seed is None else f", drawn with --seed {seed}"
        self.stdout.write(f"{key}: {len(found):,} learners compared{drawn}.")


def _named(names: list[str]) -> list[int]:
    users = get_user_model()._default_manager
    ids = {name: users.filter(username=name).values_list("pk", flat=True).first() for name in names}
    if missing := [name for name, user_id in ids.items() if user_id is None]:
        raise CommandError(f"There is no user {', '.join(missing)}.")
    return [user_id for user_id in ids.values() if user_id is not None]


def _compared(platform: OpenEdxPlatform, key: CourseKey, user_ids: list[int]) -> Iterator[parity.Comparison]:
    with meter("Comparing", len(user_ids), sys.stderr) as progress:
        for done, user_id in enumerate(user_ids, start=1):
            yield parity.compare(platform, key, user_id)
            progress.show(done, f"{done:,} of {len(user_ids):,} learners")


def _words(one: parity.Difference) -> str:
    if one.ours and one.theirs:
        where = f"is {one.ours} times in ours and {one.theirs} times in theirs"
    else:
        where = "is only in ours" if one.ours else "is only in theirs"
    more = f", with {one.below:,} blocks more" if one.below else ""
    return f"{one.block} {where}, below {one.parent}{more}; {one.rules}"
