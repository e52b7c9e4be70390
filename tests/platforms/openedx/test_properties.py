"""Random courses of an LMS, random learners, at random moments: what we count by is what the LMS shows.

What is compared, and how, is what ``aggregator_check_parity`` does. ``TEST_PARITY_EXAMPLES`` asks for more courses than
the usual run tries, ``--hypothesis-seed`` for those of a former run.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import lms_counters
import pytest
from django.core.cache import cache
from django.db import connection, transaction
from edx_django_utils.cache import RequestCache
from hypothesis import given, settings
from hypothesis import strategies as st
from xmodule.modulestore.django import modulestore

from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.platforms.openedx import content, parity
from completion_aggregator.platforms.openedx.platform import OpenEdxPlatform
from completion_aggregator.ports import Sight
from tests.platforms.openedx.authoring import KEY
from tests.platforms.openedx.processes import forget
from tests.platforms.openedx.strategies import (
    COHORTS,
    GATE,
    SHUFFLED,
    TRACKS,
    Plan,
    Somebody,
    courses,
    learners,
    moments,
)

pytestmark = pytest.mark.django_db

PLATFORM = OpenEdxPlatform()
# Each takes hundreds of queries: on a server a tenth of a second and more.
EXAMPLES = int(os.environ.get("TEST_PARITY_EXAMPLES") or (40 if connection.vendor == "sqlite" else 10))
tried = settings(max_examples=EXAMPLES)
also_tried = settings(max_examples=max(EXAMPLES // 2, 1))


@contextmanager
def an_lms(**switches: Any) -> Iterator[None]:
    """Provide an LMS of which nothing is left afterwards."""
    forget_all()
    try:
        with transaction.atomic(), lms_counters.switched(**switches):
            yield
            transaction.set_rollback(True)
    finally:
        forget_all()
        modulestore().clear()


def forget_all() -> None:
    """Be another process of an LMS whose caches are empty."""
    cache.clear()
    RequestCache.clear_all_namespaces()
    forget()


def sights_of(user_ids: list[int]) -> Mapping[int, Sight]:
    """Return the sights of learners as they are stored now; to work them out writes nothing."""
    with lms_counters.counting() as happened:
        found = PLATFORM.sights(KEY, content.graph(KEY)[1], user_ids, now=lms_counters.now())
    assert lms_counters.written(happened) == {}
    return found


def check(
    plan: Plan, people: list[Somebody], times: list[datetime], *, passing_over: bool = False, **switches: Any
) -> None:
    """Compare the trees of all these learners at all these moments."""
    with an_lms(**switches):
        course = plan.author()
        users = [each.join(course, f"user{number}") for number, each in enumerate(people)]
        for moment in times:
            with lms_counters.at(moment):
                sights_of([each.pk for each in users])
                for user in users:
                    found = parity.compare(PLATFORM, KEY, user.pk, clock=lms_counters.now)
                    assert found.differences == ()
                    assert parity.NOT_FILTERED not in found.expected or switches
                    # What is excused is not compared: only where it is what is tried.
                    assert parity.PASSED_OVER not in found.expected or passing_over
        # Compared once each: what is looked at twice was different at first.
        assert lms_counters.counts["get_course_blocks"] == len(users) * len(times)
        assert lms_counters.counts["get_course_in_cache"] == 1
        lms_counters.reset()


some_learners = st.lists(learners(), min_size=1, max_size=4)
some_moments = st.lists(moments(), min_size=1, max_size=3, unique=True)


@tried
@given(courses(shared=False), some_learners, some_moments)
def test_in_trees_we_count_what_the_lms_shows(plan: Plan, people: list[Somebody], times: list[datetime]) -> None:
    check(plan, people, times)


@tried
@given(courses(), some_learners, some_moments)
def test_in_graphs_we_count_what_the_lms_shows(plan: Plan, people: list[Somebody], times: list[datetime]) -> None:
    check(plan, people, times, skipped_blocks_count_as_visited=True)


@also_tried
@given(courses(), some_learners, some_moments)
def test_in_graphs_nothing_differs_but_what_the_lms_passes_over(
    plan: Plan, people: list[Somebody], times: list[datetime]
) -> None:
    check(plan, people, times, passing_over=True)


@also_tried
@given(courses(shared=False), some_learners, some_moments)
def test_a_release_that_filters_library_content_alone_shows_no_less(
    plan: Plan, people: list[Somebody], times: list[datetime]
) -> None:
    check(plan, people, times, skipped_blocks_count_as_visited=True, only_library_content_is_filtered=True)


@also_tried
@given(courses(shared=False), st.lists(learners(), min_size=3, max_size=6), moments())
def test_learners_of_one_profile_are_shown_one_tree(plan: Plan, people: list[Somebody], moment: datetime) -> None:
    with an_lms(), lms_counters.at(moment):
        course = plan.author()
        users = [each.join(course, f"user{number}") for number, each in enumerate(people)]
        shown = {user.pk: parity.tree_of(parity._visit(KEY, user.pk)) for user in users}
        trees: dict[Any, parity.Tree] = {}
        for user_id, sight in sights_of([each.pk for each in users]).items():
            assert trees.setdefault(kind_of(sight), shown[user_id]) == shown[user_id]


def kind_of(sight: Sight) -> tuple[Profile, frozenset[tuple[str, frozenset[str]]]]:
    """Return what decides a learner's tree: the order of draws does not."""
    return sight.profile, frozenset((bank, frozenset(drawn)) for bank, drawn in sight.selections.items())


#: What of a learner may change with what she is, by the field of her profile; of groups, those of these partitions.
REACH: Mapping[str, set[Any]] = {
    "role": {"staff", "beta", "released", GATE, "messaging"},
    "forum_role": {GATE, "messaging"},
    "mode": {TRACKS, GATE, "messaging"},
    "active": {TRACKS, GATE, "messaging"},
    "held_back": {GATE, "messaging"},
    "cohort": {COHORTS},
    "tag": {SHUFFLED},
    "draws": {"selections"},
}


@also_tried
@given(courses(shared=False), learners(), learners(), st.sampled_from(sorted(REACH)), moments())
def test_one_thing_about_a_learner_changes_her_tree_by_its_own_part_of_the_profile_alone(
    plan: Plan, somebody: Somebody, other: Somebody, what: str, moment: datetime
) -> None:
    with an_lms(), lms_counters.at(moment):
        course = plan.author()
        before = somebody.join(course, "before").pk
        after = replace(somebody, **{what: getattr(other, what)}).join(course, "after").pk
        stored = sights_of([before, after])
        if not (stored[before].profile.staff or stored[after].profile.staff):
            assert changed(stored[before], stored[after]) <= REACH[what]
        shown = {user_id: parity.tree_of(parity._visit(KEY, user_id)) for user_id in (before, after)}
        visited = sights_of([before, after])
        if kind_of(visited[before]) == kind_of(visited[after]):
            assert shown[before] == shown[after]


@also_tried
@given(courses(shared=False), learners(), some_moments)
def test_time_changes_what_is_released_and_nothing_else(plan: Plan, somebody: Somebody, times: list[datetime]) -> None:
    with an_lms():
        course = plan.author()
        user_id = somebody.join(course, "user").pk
        with lms_counters.at(min(times)):
            before = sights_of([user_id])[user_id]
        for moment in times:
            with lms_counters.at(moment):
                now = sights_of([user_id])[user_id]
                assert changed(before, now) <= {"released", "messaging"}
                # As promised: until then, nothing of it.
                if before.valid_until is None or moment <= before.valid_until:
                    assert now.profile == before.profile


def changed(before: Sight, after: Sight) -> set[Any]:
    """Return which fields of the profile, which partitions of the groups, and whether selections differ."""
    fields = {name for name in ("staff", "beta", "released", "messaging") if _differ(before, after, name)}
    groups, others = dict(before.profile.groups), dict(after.profile.groups)
    partitions = {number for number in groups.keys() | others.keys() if groups.get(number) != others.get(number)}
    return fields | partitions | ({"selections"} if before.selections != after.selections else set())


def _differ(before: Sight, after: Sight, name: str) -> bool:
    return bool(getattr(before.profile, name) != getattr(after.profile, name))
