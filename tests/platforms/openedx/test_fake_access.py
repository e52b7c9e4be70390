"""What the fake of the LMS promises of who sees what, and of what that costs.

Numbers are those of the list of what a fake must satisfy.
"""

import logging
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import lms_counters
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from lms.djangoapps.course_blocks.api import get_course_blocks
from lms.djangoapps.courseware.models import StudentModule
from opaque_keys.edx.keys import CourseKey, LearningContextKey
from openedx.core.djangoapps.content.block_structure.api import (
    get_course_in_cache,
)
from openedx.core.djangoapps.user_api.course_tag.api import BulkCourseTags
from openedx.core.djangoapps.user_api.models import UserCourseTag
from xmodule.item_bank_block import ItemBankMixin
from xmodule.modulestore.django import COURSE_PUBLISHED, SignalHandler

from completion_aggregator.platforms.openedx import lms
from tests.platforms.openedx import people
from tests.platforms.openedx.authoring import (
    KEY,
    Course,
    allowed,
    author,
    block,
    draft,
    partition,
    publish_library,
    seen,
    split_test,
)
from tests.platforms.openedx.strategies import BANKS, MONDAY, Plan, Somebody, courses, learners

pytestmark = pytest.mark.django_db
NEVER = datetime(2099, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)
_numbers = count()


# --- 6: dates ---
def test_a_block_opens_strictly_after_its_start_and_earlier_for_beta_testers():
    course = author(block("html", "a", start=MONDAY), days_early_for_beta=1.0)
    ann, beta = people.learner("ann"), people.learner("beta")
    people.give_role("beta_testers", beta, KEY)
    moments = [MONDAY - timedelta(days=1), MONDAY - timedelta(days=1) + _INSTANT, MONDAY, MONDAY + _INSTANT]
    found = []
    for moment in moments:
        with lms_counters.at(moment):
            found.append((seen(course, ann), seen(course, beta)))
    assert found == [([], []), ([], ["a"]), ([], ["a"]), (["a"], ["a"])]


def test_a_course_that_has_not_begun_has_no_blocks_at_all():
    course = author(block("html", "a"), start=NEVER)
    assert len(get_course_blocks(people.learner("ann"), course.root)) == 0
    assert seen(course, people.learner("bob"), allow_start_dates_in_future=True) == ["a"]


# --- 7: staff ---


def test_staff_see_everything_but_what_was_not_drawn_and_all_branches_in_place_of_a_split_test(settings):
    course = author(
        block("html", "later", start=NEVER), block("html", "hidden", visible_to_staff_only=True),
        split_test("s", 101, {1: block("html", "one"), 2: block("html", "two")}),
        block("library_content", "bank", block("html", "x"), block("html", "y"), max_count=1),
        block("html", "grouped", group_access={101: [1]}),
        partitions=(partition(101, 1, 2, scheme="random"),),
    )  # fmt: skip
    staff = people.learner("staff")
    people.give_role("staff", staff, KEY)
    people.draw(staff, course.usage("bank"), [course.usage("y")])
    with lms_counters.counting() as happened:
        found = seen(course, staff)
    assert found == ["later", "hidden", "bank", "y", "grouped", "one", "two"]
    assert lms_counters.written(happened) == {}


# --- 8, 11: item banks ---


def _bank(kind: str = "library_content", size: int = 2) -> Course:
    return author(block(kind, "bank", *(block("problem", name) for name in "pqrs"), max_count=size))


@pytest.mark.parametrize("kind", ["library_content", "itembank"])
def test_a_draw_is_made_once_written_and_told(kind):
    course, ann = _bank(kind), people.learner("ann")
    with lms_counters.counting() as first:
        drawn = seen(course, ann)
    with lms_counters.counting() as second:
        again = seen(course, ann)
    assert [len(drawn), again] == [3, drawn]
    assert [lms_counters.written(first), lms_counters.written(second)] == [{"selection_writes": 1, "events": 1}, {}]
    ((name, data),) = lms_counters.events
    prefix = {"library_content": "edx.librarycontentblock", "itembank": "edx.itembankblock"}[kind]
    assert [name, len(data["added"]), data["previous_count"]] == [f"{prefix}.content.assigned", 2, 0]


def test_a_draw_is_completed_and_what_is_too_much_or_gone_is_dropped():
    course = _bank()
    few, many, gone = (people.learner(name) for name in ("few", "many", "gone"))
    p, q, r = (course.usage(name) for name in "pqr")
    people.draw(few, course.usage("bank"), [p])
    people.draw(many, course.usage("bank"), [p, q, r])
    people.draw(gone, course.usage("bank"), [q, KEY.make_usage_key("problem", "gone"), r])
    found = [seen(course, each) for each in (few, many, gone)]
    assert "p" in found[0]
    assert set(found[1]) < {"bank", "p", "q", "r"}
    assert [len(each) for each in found] == [3, 3, 3]
    assert found[2] == ["bank", "q", "r"]
    assert [name for name, _ in lms_counters.events] == [
        "edx.librarycontentblock.content.assigned", "edx.librarycontentblock.content.removed"
    ]  # fmt: skip
    # Two were written; of the third, what is gone stays in the row, for the draw itself did not change.
    stored = StudentModule.objects.get(student=gone)
    assert [lms_counters.counts["selection_writes"], '"gone"' in stored.state] == [2, True]


def test_a_bank_that_is_hidden_is_drawn_from_all_the_same():
    course = author(block("chapter", "c", block("itembank", "b", block("html", "x")), visible_to_staff_only=True))
    assert seen(course, people.learner("ann")) == []
    assert lms_counters.counts["selection_writes"] == 1


def test_the_order_is_that_of_the_draw():
    course, ann = _bank(size=3), people.learner("ann")
    people.draw(ann, course.usage("bank"), [course.usage(name) for name in "srp"])
    assert seen(course, ann) == ["bank", "s", "r", "p"]


def test_a_switch_leaves_item_banks_that_are_no_libraries_whole_as_releases_did():
    course, ann = _bank("itembank"), people.learner("ann")
    with lms_counters.switched(only_library_content_is_filtered=True), lms_counters.counting() as happened:
        assert seen(course, ann) == ["bank", "p", "q", "r", "s"]
    assert lms_counters.written(happened) == {}


def test_banks_are_told_by_their_class_and_blocks_have_their_modes():
    classes = dict(lms.block_classes())
    assert {name for name, each in classes.items() if issubclass(each, ItemBankMixin)} == set(BANKS)
    assert {name: getattr(each, "completion_mode", None) for name, each in classes.items()} == {
        **dict.fromkeys(
            ("course", "chapter", "sequential", "vertical", "conditional", "randomize", "split_test", "library_content",
             "itembank"), "aggregator",
        ), **dict.fromkeys(("html", "video", "problem"), "completable"), "discussion": "excluded",
    }  # fmt: skip


def test_what_a_bank_counts_as_is_frozen_when_it_iscollected(settings):
    settings.FEATURES = settings.FEATURES | {"MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW": True}
    course = _bank()
    settings.FEATURES = settings.FEATURES | {"MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW": False}
    assert get_course_in_cache(KEY).get_xblock_field(course.usage("bank"), "completion_mode") == "completable"


# --- 9: groups are given on being asked for ---


def _grouped() -> Course:
    return author(
        *(
            block("html", f"{number}-{group}", group_access={number: [group]})
            for number in (100, 101)
            for group in (1, 2)
        ),
        partitions=(partition(100, 1, 2), partition(101, 1, 2, scheme="random")),
    )


def test_a_random_group_is_assigned_at_the_first_look_and_kept():
    course, ann = _grouped(), people.learner("ann")
    with lms_counters.counting() as happened:
        found = seen(course, ann)
    assert lms_counters.written(happened) == {"tag_writes": 1, "events": 1}
    assert found == [f"101-{UserCourseTag.objects.get().value}"] == seen(course, ann)
    assert lms_counters.events[0][0] == "xmodule.partitions.assigned_user_to_partition"


def test_a_random_group_is_not_assigned_while_tags_are_prefetched():
    course, ann = _grouped(), people.learner("ann")
    BulkCourseTags.prefetch(KEY, [ann])
    with lms_counters.counting() as happened:
        assert seen(course, ann) == []
    assert lms_counters.written(happened) == {}


def test_a_cohort_is_assigned_at_the_first_look_and_stands_for_its_group():
    course, ann, bob = _grouped(), people.learner("ann"), people.learner("bob")
    people.cohort(KEY, "one", partition=100, group=1, members=[bob])
    for user in (ann, bob):
        people.tag(user, KEY, 101, 2)
    with lms_counters.counting() as happened:
        assert [seen(course, ann), seen(course, bob), seen(course, ann)] == [["101-2"], ["100-1", "101-2"], ["101-2"]]
    assert lms_counters.written(happened) == {"cohort_writes": 1}


# --- 10: the gate, and messages that keep a block ---


def _gated(until: datetime | None) -> Course:
    people.overview(KEY)
    people.gate(KEY)
    people.audit_and_verified(KEY, expires=until)
    return author(
        block("problem", "graded", graded=True), block("problem", "weightless", graded=True, weight=0.0),
        block("html", "text", graded=True), block("problem", "both", graded=True, group_access={100: [1]}),
        block("html", "cohort", group_access={100: [1]}), partitions=(partition(100, 1),),
    )  # fmt: skip


def test_a_denial_with_a_message_keeps_the_block_also_where_another_partition_denies_it():
    course, ann = _gated(NEVER), people.learner("ann")
    people.enroll(ann, KEY, "audit")
    structure = get_course_blocks(people.reloaded(ann), course.root)
    found = {key.block_id: structure.get_xblock_field(key, "authorization_denial_reason") for key in structure}
    assert found == {
        "course": None, "graded": "Feature-based Enrollments", "weightless": None, "text": None, "both": "partition 100"
    }  # fmt: skip


def test_once_the_verified_mode_has_expired_the_gate_hides():
    course, ann, paid = _gated(MONDAY), people.learner("ann"), people.learner("paid")
    people.enroll(ann, KEY, "audit")
    people.enroll(paid, KEY, "verified")
    found = []
    for moment in (MONDAY, MONDAY + _INSTANT):
        with lms_counters.at(moment):
            found.append((seen(course, ann), seen(course, paid)))
    with_gate, without = ["graded", "weightless", "text", "both"], ["weightless", "text"]
    for_who_paid = ["graded", "weightless", "text"]
    assert found == [(with_gate, for_who_paid), (without, for_who_paid)]


def test_the_gate_is_in_the_collected_groups_of_graded_and_scored_blocks():
    _gated(NEVER)
    assert allowed() == {
        "course": {}, "graded": {51: {2}}, "weightless": {}, "text": {}, "both": {100: {1}, 51: {2}},
        "cohort": {100: {1}},
    }  # fmt: skip


# --- 12: signals ---


@pytest.fixture
def heard():
    """The keys that COURSE_PUBLISHED was sent with."""
    keys: list[Any] = []

    def receiver(course_key, **_):
        keys.append(course_key)
        raise RuntimeError("a receiver that is wrong")

    COURSE_PUBLISHED.connect(receiver)
    yield keys
    COURSE_PUBLISHED.disconnect(receiver)


def test_publishing_is_told_only_where_studio_is_and_a_wrong_receiver_stops_nobody(heard, caplog):
    caplog.set_level(logging.CRITICAL)
    course = draft(block("html", "a"))
    course.publish()
    assert heard == []
    course.publish(as_studio=True)
    library = LearningContextKey.from_string("library-v1:Org+Library")
    publish_library(library)
    assert heard == [KEY, library]


def test_signals_can_be_switched_off(heard):
    with SignalHandler.course_published.for_state(is_enabled=False):
        draft(block("html", "a")).publish(as_studio=True)
    assert heard == []
    assert [each.name for each in SignalHandler.all_signals()] == [
        "pre_publish", "course_published", "course_deleted", "library_updated", "item_deleted"
    ]  # fmt: skip


# --- 17: cost ---


def test_a_look_costs_ten_queries_and_two_for_each_bank():
    banks = [block("itembank", f"bank{n}", block("html", f"h{n}"), max_count=1) for n in range(3)]
    course = author(*banks, partitions=(partition(100, 1, 2),))
    ann = people.learner("ann")
    people.overview(KEY)
    people.enroll(ann, KEY, "audit")
    people.cohort(KEY, "one", partition=100, group=1, members=[ann])
    seen(course, ann)
    user = people.reloaded(ann)
    with CaptureQueriesContext(connection) as queries:
        get_course_blocks(user, course.root)
    assert len(queries) == 10 + 2 * 3


# --- all of it ---


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(plan=courses(), who=learners())
def test_a_second_look_shows_the_same_and_writes_nothing(plan: Plan, who: Somebody):
    key = CourseKey.from_string(f"course-v1:Org+Random{next(_numbers)}+Run")
    course = plan.author(key)
    user = who.join(course, f"learner of {key.course}")
    first = get_course_blocks(user, course.root)
    with lms_counters.counting() as happened:
        second = get_course_blocks(people.reloaded(user), course.root)
    assert {each: second.get_children(each) for each in second} == {each: first.get_children(each) for each in first}
    assert lms_counters.written(happened) == {}
