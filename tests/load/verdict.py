"""What must be so at the end: everything stored is as from scratch, nothing waits, nobody was forgotten."""

import time
from collections.abc import Sequence
from typing import Any, Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.standalone.content import CourseContent
from tests.load.crew import Member

#: How a row came to be, which may differ; what it says may not.
HISTORY: Final = frozenset({"id", "as_of", "error", "begun", "graph_version", "profile", "leaf_count"})


def make_school(seed: int, *, courses: int, learners: int) -> None:
    """Import the first versions of the seed's courses, as ``make_courses`` does."""
    from tests.load import school

    make_courses([school.content(seed, number, 0) for number in range(courses)], learners=learners)


def make_courses(contents: Sequence[CourseContent], *, learners: int) -> None:
    """Import these courses, enrol everybody in each, and aggregate them."""
    from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
    from django.contrib.auth import get_user_model
    from rest_framework.authtoken.models import Token
    from waffle.models import Switch

    from completion_aggregator.aggregation import api
    from completion_aggregator.platforms.standalone.courses import compile_content, store_version
    from completion_aggregator.platforms.standalone.models import Cohort, Course, Enrollment
    from tests.load import school
    from tests.load.people import token_of

    Switch.objects.update_or_create(name=ENABLE_COMPLETION_TRACKING_SWITCH.name, defaults={"active": True})
    model = get_user_model()
    people = [model(username=school.username(number)) for number in range(learners)]
    model._default_manager.bulk_create([*people, model(username=school.STAFF, is_staff=True)])
    users = list(model._default_manager.order_by("pk"))
    Token.objects.bulk_create([Token(user=user, key=token_of(user.username)) for user in users])
    enrolled = [user for user in users if user.username != school.STAFF]
    for content in contents:
        store_version(content, compile_content(content))
        key = CourseKey.from_string(content.course_key)
        course = Course.objects.get(course_key=key)
        for name, partition, group in school.COHORTS:
            Cohort.objects.create(course=course, name=name, partition_id=partition, group_id=group)
        Enrollment.objects.bulk_create([Enrollment(user=user, course=course) for user in enrolled])
        api.mark_course_stale(key, force=True)
        api.refresh_course(key)


def waiting() -> dict[str, int]:
    """Return how much of each kind there is still to do."""
    from completion_aggregator.models import AggregatedCourse, Delivery, StaleCompletion

    left = {
        "stale rows": StaleCompletion.objects.filter(resolved=False).count(),
        "changed courses": AggregatedCourse.objects.exclude(changed_at=None).count(),
        "deliveries": Delivery.objects.filter(delivered_at=None, due_at__isnull=False).count(),
    }
    return {name: count for name, count in left.items() if count}


def drained(patience: float, members: Sequence[Member], *, since: float) -> tuple[dict[str, float], dict[str, int]]:
    """Wait until nothing is left to do; return when each kind was done, in seconds *since* then, and what is left."""
    from django.db import close_old_connections

    done, left = dict[str, float](), waiting()
    end = time.monotonic() + patience
    while left and time.monotonic() < end:
        for member in members:
            member.keep()
        time.sleep(0.1)
        close_old_connections()
        before, left = left, waiting()
        done |= {name: round(time.monotonic() - since, 1) for name in before.keys() - left.keys()}
    return done | {"all": round(time.monotonic() - since, 1)}, left


def troubles() -> list[str]:
    """Return what is wrong with what is stored, compared with a run from scratch: nothing, if all went well."""
    from django.contrib.auth import get_user_model

    from completion_aggregator.aggregation import api
    from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress

    found = [f"set aside: {row}" for row in CourseProgress.objects.exclude(set_aside_at=None)]
    found += [f"failed: {row}: {row.error}" for row in CourseProgress.objects.filter(attempts__gt=0)]
    found += [f"course with an error: {row}: {row.error}" for row in AggregatedCourse.objects.exclude(error="")]
    found += _crossings()
    before = _rows(), _states()
    users = list(get_user_model()._default_manager.order_by("pk").values_list("pk", flat=True))
    keys = [row.course_key for row in AggregatedCourse.objects.all()]
    learners = {
        key: set(CourseProgress.objects.filter(course__course_key=key).values_list("user_id", flat=True))
        for key in keys
    }
    Aggregator.objects.all().delete()
    CourseProgress.objects.all().delete()
    for key in keys:
        api.mark_course_stale(key, user_ids=[pk for pk in users if pk in learners[key]], force=True)
        api.refresh_course(key)
    for name, stored, scratch in zip(("tallies", "states"), before, (_rows(), _states()), strict=True):
        for place in sorted(stored.keys() | scratch.keys()):
            if stored.get(place) != scratch.get(place):
                found.append(f"{name} {place}: {stored.get(place)}, from scratch {scratch.get(place)}")
    return found


def stored() -> dict[str, int]:
    """Return how many rows there are of what counts."""
    from completion.models import BlockCompletion

    from completion_aggregator.models import Aggregator, CourseProgress, Crossing, Delivery, StaleCompletion

    models = (BlockCompletion, StaleCompletion, CourseProgress, Aggregator, Crossing, Delivery)
    return {model.__name__: model._default_manager.count() for model in models}


def _rows() -> dict[Any, Any]:
    from completion_aggregator.models import Aggregator

    place = ("user_id", "course_key", "block_key", "aggregation_name")
    values = (
        "earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent", "last_modified",
    )  # fmt: skip
    found = Aggregator.objects.values_list(*place, *values)
    return {tuple(map(str, row[:4])): row[4:] for row in found}


def _states() -> dict[Any, Any]:
    from completion_aggregator.models import CourseProgress

    names = [each.attname for each in CourseProgress._meta.concrete_fields if each.attname not in HISTORY]
    return {
        (row["user_id"], row["course_id"]): {name: _plain(value) for name, value in row.items()}
        for row in CourseProgress.objects.values(*names)
    }


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _crossings() -> list[str]:
    """Return where thresholds and percents disagree; each is told once, by its event's id."""
    from completion_aggregator.conf import thresholds
    from completion_aggregator.models import CourseProgress, Crossing, Delivery

    wanted = thresholds().get("course", ())
    found = [f"not delivered: {row}: {row.error}" for row in Delivery.objects.filter(delivered_at=None)]
    above: dict[tuple[int, int, float], int] = {}
    for row in Crossing.objects.filter(block_type="course", left_at=None):
        above[row.course_id, row.user_id, row.threshold] = above.get((row.course_id, row.user_id, row.threshold), 0) + 1
    for state in CourseProgress.objects.filter(possible__gt=0):
        for threshold in wanted:
            times = above.get((state.course_id, state.user_id, threshold), 0)
            if times != int(state.earned / state.possible >= threshold):
                found.append(f"crossings of {state} at {threshold}: {times} open")
    return found
