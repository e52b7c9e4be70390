"""The figures of a course are those of the learners who are there, added up one by one."""

from math import isclose
from typing import Any, Final

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.api import CourseFigures
from completion_aggregator.models import CourseProgress
from tests.aggregation.builders import KEY, SMALL, complete, course, small, wipe
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db

OTHER: Final = CourseKey.from_string("course-v1:Test+Other+1")
UNKNOWN: Final = CourseKey.from_string("course-v1:No+Such+Course")
ROLES: Final = ("staff", "instructor", "beta_testers")
NAMES: Final = "abcef"

#: A learner: what she completed, whether she was refreshed after it, is enrolled still, her roles, her cohort.
learners_ = st.fixed_dictionaries({
    "done": st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.1, 0.3, 0.7, 1.0]), max_size=5),
    "refreshed": st.booleans(),
    "enrolled": st.booleans(),
    "roles": st.sets(st.sampled_from(ROLES), max_size=2),
    "cohort": st.sampled_from([None, 1, 2]),
})  # fmt: skip


@pytest.fixture(autouse=True)
def asynchronous(settings: Any) -> Any:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    cache.clear()
    yield
    cache.clear()


def clean(platform: FakePlatform) -> None:
    get_user_model()._default_manager.all().delete()
    wipe()  # after them: completions that go leave stale rows
    cache.clear()
    for each in (platform.graphs, platform.enrolled, platform.roles, platform.cohorts):
        each.clear()
    small(platform)
    platform.publish(course(*SMALL, key=OTHER))


def build(platform: FakePlatform, people: list[dict[str, Any]], key: CourseKey = KEY) -> list[Any]:
    """Make the class; return its users."""
    model = get_user_model()._default_manager
    users = [model.get_or_create(username=f"learner{nth}")[0] for nth in range(len(people))]
    for user, each in zip(users, people, strict=True):
        if each["enrolled"]:
            platform.enrolled.setdefault(str(key), []).append(user.pk)
        for role in each["roles"]:
            platform.roles.setdefault(str(key), {}).setdefault(role, []).append(user.pk)
        if each["cohort"]:
            platform.cohorts.setdefault(each["cohort"], []).append(user.pk)
        for name, value in each["done"].items():
            complete(user, name, value, key=key)
        if each["refreshed"]:
            api.refresh_learner(user.username, key)
    return users


def earned(each: dict[str, Any]) -> float:
    return float(sum(each["done"].values())) if each["refreshed"] else 0.0


def naive_mean(people: list[dict[str, Any]]) -> float:
    there = [each for each in people if each["enrolled"] and not each["roles"]]
    return sum(earned(each) / 5 for each in there) / len(there) if there else 0.0


def naive_figures(
    people: list[dict[str, Any]], cohort: int | None, without: set[str]
) -> tuple[int, float, float, float]:
    there = [
        each
        for each in people
        if each["enrolled"] and not each["roles"] & without and (cohort is None or each["cohort"] == cohort)
    ]
    total = sum(map(earned, there))
    possible = 5.0 if any(each["refreshed"] and each["done"] for each in there) else 0.0
    percent = total / (possible * len(there)) if possible and there else 0.0
    return len(there), total / len(there) if there else 0.0, possible, percent


def close(figures: CourseFigures, right: tuple[float, ...]) -> bool:
    found = (figures.learners, figures.earned, figures.possible, figures.percent)
    return all(isclose(a, b, rel_tol=1e-12, abs_tol=1e-15) for a, b in zip(found, right, strict=True))


def hypothetical(examples: int) -> Any:
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@hypothetical(40)
@given(st.lists(learners_, max_size=6), st.sampled_from([None, 1, 2, 3]), st.sets(st.sampled_from([*ROLES, "nobody"])))
def test_figures_are_the_sums_of_who_is_there(
    platform: FakePlatform, people: list[dict[str, Any]], cohort: int | None, without: set[str]
) -> None:
    clean(platform)
    build(platform, people)
    assert close(
        api.course_figures(KEY, cohort_id=cohort, without_roles=sorted(without)), naive_figures(people, cohort, without)
    )


@hypothetical(40)
@given(st.lists(learners_, max_size=5), st.lists(learners_, max_size=5))
def test_means_are_of_who_is_enrolled_without_a_role_in_that_course(
    platform: FakePlatform, here: list[dict[str, Any]], there: list[dict[str, Any]]
) -> None:
    clean(platform)
    build(platform, here)
    build(platform, there, OTHER)
    found = api.course_means([OTHER, UNKNOWN, KEY])
    assert list(found) == [OTHER, UNKNOWN, KEY]
    assert isclose(found[KEY], naive_mean(here), rel_tol=1e-12)
    assert isclose(found[OTHER], naive_mean(there), rel_tol=1e-12)
    assert found[UNKNOWN] == 0.0
    assert 0.0 <= found[KEY] <= 1.0


def everybody(count: int, **fields: Any) -> list[dict[str, Any]]:
    each = {"done": dict.fromkeys(NAMES, 1.0), "refreshed": True, "enrolled": True, "roles": set(), "cohort": None}
    return [each | fields for _ in range(count)]


def test_means_are_kept_for_a_while_and_take_one_query_for_all_that_are_not(
    platform: FakePlatform, settings: Any
) -> None:
    clean(platform)
    users = build(platform, everybody(2))
    with CaptureQueriesContext(connection) as context:
        assert api.course_means([KEY]) == {KEY: 1.0}
        assert api.course_means([KEY, OTHER, UNKNOWN]) == {KEY: 1.0, OTHER: 0.0, UNKNOWN: 0.0}
        assert api.course_means([UNKNOWN, KEY]) == {UNKNOWN: 0.0, KEY: 1.0}
        assert api.course_means([]) == {}
    assert len(context) == 2
    CourseProgress.objects.filter(user_id=users[0].pk).update(percent=0.0)
    assert api.course_means([KEY]) == {KEY: 1.0}
    settings.COMPLETION_AGGREGATOR_MEAN_CACHE_SECONDS = 0
    cache.clear()
    assert api.course_means([KEY]) == {KEY: 0.5}
    CourseProgress.objects.update(percent=0.0)
    assert api.course_means([KEY]) == {KEY: 0.0}


def test_courses_whose_keys_differ_in_case_have_means_of_their_own(platform: FakePlatform) -> None:
    clean(platform)
    other = CourseKey.from_string(str(KEY).replace("Test+Course", "test+course"))
    platform.publish(course(*SMALL, key=other))
    build(platform, everybody(1))
    build(platform, everybody(1, done={}, refreshed=False), other)
    assert api.course_means([KEY, other]) == {KEY: 1.0, other: 0.0}
    assert api.course_figures(other) == CourseFigures(learners=1, earned=0.0, possible=0.0, percent=0.0)


def test_figures_of_nobody_are_zeros(platform: FakePlatform) -> None:
    clean(platform)
    nothing = CourseFigures(learners=0, earned=0.0, possible=0.0, percent=0.0)
    assert api.course_figures(UNKNOWN) == api.course_figures(KEY) == nothing
    assert api.course_figures(KEY, cohort_id=999, without_roles=["staff"]) == nothing


def test_figures_take_one_query(platform: FakePlatform) -> None:
    clean(platform)
    build(platform, everybody(3))
    with CaptureQueriesContext(connection) as context:
        assert api.course_figures(KEY, without_roles=["staff"]).learners == 3
    assert len(context) == 1


def test_the_means_of_more_courses_than_fit_into_one_statement_are_found(platform: FakePlatform) -> None:
    keys = [CourseKey.from_string(f"course-v1:Test+Course+{nth}") for nth in range(501)]
    assert api.course_means(keys) == dict.fromkeys(keys, 0.0)
