"""Processes that use a site: ``python -m tests.load.people ROLE``. Each request is a transaction, and none may fail.

A request whose own connection was dropped by the test fails on any site: the connections that it had are told with it.
"""

import argparse
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, Final, TypeAlias

import django

Request: TypeAlias = Callable[[], None]


class Person:
    """Somebody who asks for something again and again, *rate* times a second at most."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.seed, self.rate, self.courses = arguments.seed, arguments.rate, arguments.courses
        self.learners = range(arguments.part, arguments.learners, arguments.parts)
        self.dice = Random(f"{arguments.seed} {arguments.role} {arguments.part}")
        self.done: Counter[str] = Counter()
        self.failed: list[dict[str, Any]] = []
        self.slowest = 0.0
        self.stopped = False
        self._had: set[int] = set()

    def live(self) -> None:
        """Go on until SIGTERM."""
        from django.db.backends.signals import connection_created

        connection_created.connect(lambda connection, **_: self._had.add(id_of(connection)), weak=False)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        actions = self.actions()
        names, weights = [each.__name__ for _, each in actions], [weight for weight, _ in actions]
        by_name = {each.__name__: each for _, each in actions}
        due = time.monotonic()
        while not self.stopped:
            (name,) = self.dice.choices(names, weights)
            self._request(name, by_name[name])
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def actions(self) -> list[tuple[int, Request]]:
        raise NotImplementedError

    def _request(self, name: str, request: Request) -> None:
        from django.db import DatabaseError, close_old_connections, connection, transaction
        from edx_django_utils.cache import RequestCache

        close_old_connections()
        RequestCache.clear_all_namespaces()
        start = time.perf_counter()
        try:
            connection.ensure_connection()
        except DatabaseError:
            # Cut while it was opened, before anybody knew its id; whether the server took it is not ours to test.
            self.done["cut off while connecting"] += 1
            return
        try:
            self._had = {id_of(connection)}
            with transaction.atomic():
                request()
        except (DatabaseError, AssertionError) as error:
            told = {"request": name, "connections": sorted(self._had), "error": f"{type(error).__name__}: {error}"}
            self.failed.append(told)
            connection.close()
        self.slowest = max(self.slowest, time.perf_counter() - start)
        self.done[name] += 1

    def key(self) -> Any:
        from tests.load import school

        return school.course_key(self.dice.randrange(self.courses))

    def learner(self) -> Any:
        from django.contrib.auth import get_user_model

        from tests.load import school

        return get_user_model()._default_manager.get(username=school.username(self.dice.choice(self.learners)))

    def leaf(self, key: Any) -> Any:
        from opaque_keys.edx.keys import UsageKey

        from completion_aggregator.aggregation.courses import graph_of

        return UsageKey.from_string(self.dice.choice(graph_of(key).completable_keys))


class Learners(Person):
    """Learners who complete blocks, each in this process alone: two at once is a matter of edx-completion."""

    def actions(self) -> list[tuple[int, Request]]:
        return [(70, self.complete), (15, self.complete_some), (10, self.complete_by_post), (5, self.forget)]

    def complete(self) -> None:
        from completion.models import BlockCompletion

        BlockCompletion.objects.submit_completion(self.learner(), self.leaf(self.key()), self._value())

    def complete_some(self) -> None:
        from completion.models import BlockCompletion

        key = self.key()
        blocks = [(self.leaf(key), self._value()) for _ in range(self.dice.randint(2, 25))]
        BlockCompletion.objects.submit_batch_completion(self.learner(), blocks)

    def complete_by_post(self) -> None:
        key, user = self.key(), self.learner()
        url = f"/completion-aggregator/v0/course/{key}/blocks/{self.leaf(key)}/"
        answered(lambda client: client.post(url, {"completion": 1.0}, content_type="application/json"), user.username)

    def forget(self) -> None:
        from completion.models import BlockCompletion

        completed = BlockCompletion.objects.filter(user=self.learner(), context_key=self.key())
        for each in completed.order_by("pk")[: self.dice.randint(1, 3)]:
            each.delete()

    def _value(self) -> float:
        return self.dice.choice((1.0, 1.0, 1.0, 0.5, 0.25, 1 / 3, 0.0))


class Office(Person):
    """People who move learners between cohorts, enrol and unenrol them, rename them, and force a refresh."""

    def actions(self) -> list[tuple[int, Request]]:
        return [(40, self.move), (25, self.enroll), (10, self.role), (10, self.rename), (15, self.force)]

    def move(self) -> None:
        from completion_aggregator.platforms.standalone.models import Cohort, CohortMembership

        cohort = self.dice.choice(list(Cohort.objects.filter(course__course_key=self.key()).order_by("pk")))
        user = self.learner()
        member = CohortMembership.objects.filter(user=user, course=cohort.course).first()
        member = member or CohortMembership(user=user, course=cohort.course)
        member.cohort = cohort
        member.save()

    def enroll(self) -> None:
        from completion_aggregator.platforms.standalone.models import Enrollment

        enrollment = Enrollment.objects.get(user=self.learner(), course__course_key=self.key())
        enrollment.is_active = not enrollment.is_active
        enrollment.save()

    def role(self) -> None:
        from completion_aggregator.platforms.standalone.models import Course, CourseRole

        course = Course.objects.get(course_key=self.key())
        role, made = CourseRole.objects.get_or_create(user=self.learner(), course=course, role=CourseRole.Role.STAFF)
        if not made:
            role.delete()

    def rename(self) -> None:
        # She is called as before when the request ends, and by another name in between.
        user, name = self.learner(), ""
        for name in (f"{user.username}x", user.username):
            user.username = name
            user.save()

    def force(self) -> None:
        from completion_aggregator.aggregation import api

        api.mark_course_stale(self.key(), user_ids=[self.learner().pk for _ in range(5)], force=True)


class Author(Person):
    """Somebody who publishes courses, and goes back to earlier contents."""

    def actions(self) -> list[tuple[int, Request]]:
        return [(1, self.publish)]

    def publish(self) -> None:
        from completion_aggregator.platforms.standalone.courses import compile_content, store_version
        from tests.load import school

        number, version = self.dice.randrange(self.courses), self.dice.randrange(school.VERSIONS)
        content = school.content(self.seed, number, version)
        store_version(content, compile_content(content))


class Readers(Person):
    """People who look at progress, their own and everybody's."""

    def actions(self) -> list[tuple[int, Request]]:
        return [(3, self.own), (2, self.of_all), (1, self.stats), (2, self.of_class), (1, self.summary)]

    def own(self) -> None:
        name = self.learner().username
        self._get(f"v1/course/{self.key()}/?username={name}&requested_fields=chapter,sequential,vertical", name)

    def of_all(self) -> None:
        self._get(f"v1/course/{self.key()}/?requested_fields=chapter&page_size=50")

    def stats(self) -> None:
        self._get(f"v1/stats/{self.key()}/?requested_fields=chapter")

    def of_class(self) -> None:
        self._get(f"v2/courses/{self.key()}/learners/")

    def summary(self) -> None:
        self._get(f"v2/courses/{self.key()}/summary/")

    def _get(self, path: str, username: str | None = None) -> None:
        from tests.load import school

        answered(lambda client: client.get(f"/completion-aggregator/{path}"), username or school.STAFF)


ROLES: Final = {"learners": Learners, "office": Office, "author": Author, "readers": Readers}


def answered(ask: Callable[[Any], Any], username: str) -> None:
    """Ask the API, through all of the site's middleware; raise AssertionError for an answer that says it failed.

    404 is an answer: a learner who is not enrolled in a course has no progress there to show.
    """
    from django.test import Client

    token = f"Token {token_of(username)}"
    client = Client(raise_request_exception=True, headers={"Host": "localhost", "Authorization": token})
    answer = ask(client)
    if answer.status_code not in (200, 201, 404):
        raise AssertionError(f"{answer.status_code}: {answer.content[:300]!r}")


def token_of(username: str) -> str:
    """Return the token that the school gave to a user: known in advance, as it is a test's."""
    return f"{username:0>40}"[:40]


def id_of(connection: Any) -> int:
    """Return the id by which the server knows a connection."""
    raw = connection.connection
    return int(raw.thread_id() if connection.vendor == "mysql" else raw.info.backend_pid)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=[*ROLES, "pace"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--courses", type=int, required=True)
    parser.add_argument("--learners", type=int, required=True)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--each", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "completion_aggregator.platforms.standalone.settings")
    django.setup()
    if arguments.role == "pace":
        from tests.load.latency import pace

        stop = Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        arguments.out.write_text(json.dumps(pace(arguments, stop.is_set)))
        return
    person = ROLES[arguments.role](arguments)
    person.live()
    told = {"done": person.done, "failed": person.failed, "slowest": person.slowest}
    arguments.out.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
