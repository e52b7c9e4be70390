from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.platforms.standalone.courses import compile_content, store_version
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    CourseRole,
    Enrollment,
    GroupAssignment,
)
from completion_aggregator.platforms.standalone.platform import StandalonePlatform
from tests.platforms.standalone.builders import (
    GROUPED,
    KEY,
    SHUFFLED,
    TEAMS,
    TRACKS,
    content,
    course,
    leaf,
    learner,
    usage,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PARTITIONS = (GROUPED, SHUFFLED, TRACKS, TEAMS)


@pytest.fixture
def platform() -> StandalonePlatform:
    return StandalonePlatform()


@pytest.fixture
def divided():
    """A course in which every partition restricts a block, and one block opens later."""
    restricted = [
        leaf(f"p{each.id}-{group}", group_access={each.id: frozenset({group})})
        for each in PARTITIONS
        for group in sorted(each.groups)
    ]
    later = leaf("later", start=datetime(2027, 1, 1, tzinfo=UTC), days_early_for_beta=30)
    return course(leaf("open"), later, *restricted, partitions=PARTITIONS)


def sight(platform, user, now=NOW):
    _, graph = platform.course_graph(KEY)
    return platform.sights(KEY, graph, [user.pk], now=now)[user.pk]


def test_the_version_is_the_content_hash_of_the_current_graph(platform, django_assert_num_queries):
    course()
    graph = compile_content(content())
    with django_assert_num_queries(1):
        assert platform.course_version(KEY) == graph.content_hash
    with django_assert_num_queries(1):
        version, stored = platform.course_graph(KEY)
    assert (version, stored.to_bytes()) == (graph.content_hash, graph.to_bytes())


@pytest.mark.parametrize("ask", ["course_version", "course_graph"])
def test_an_unknown_course_is_said_to_be_unknown(platform, ask):
    course()
    with pytest.raises(UnknownCourse, match=r"course-v1:Org\+small\+1"):
        getattr(platform, ask)(CourseKey.from_string("course-v1:Org+small+1"))


def test_a_learner_without_anything_is_in_no_group(platform, divided):
    found = sight(platform, learner("ana", is_active=False))
    groups = ((50, None), (100, None), (200, None), (300, None))
    assert found.profile == Profile(released=0, groups=groups)
    assert found.valid_until == datetime(2027, 1, 1, tzinfo=UTC)


def test_groups_come_from_the_cohort_the_assignment_and_the_mode(platform, divided):
    ana = learner("ana", mode="verified")
    cohort = Cohort.objects.create(course=divided, name="A", partition_id=100, group_id=2)
    CohortMembership.objects.create(user=ana, course=divided, cohort=cohort)
    GroupAssignment.objects.create(user=ana, course=divided, partition_id=200, group_id=1)
    assert sight(platform, ana).profile.groups == ((50, 2), (100, 2), (200, 1), (300, None))


def test_a_group_that_the_partition_does_not_have_is_none(platform, divided):
    ana = learner("ana", mode="audit")
    cohort = Cohort.objects.create(course=divided, name="A", partition_id=100, group_id=99)
    CohortMembership.objects.create(user=ana, course=divided, cohort=cohort)
    GroupAssignment.objects.create(user=ana, course=divided, partition_id=200, group_id=99)
    assert sight(platform, ana).profile.groups == ((50, 1), (100, None), (200, None), (300, None))


def test_a_cohort_of_another_partition_or_without_one_gives_no_group(platform, divided):
    ana, ben = learner("ana"), learner("ben")
    for user, partition, group in ((ana, 200, 1), (ben, None, None)):
        cohort = Cohort.objects.create(course=divided, name=user.username, partition_id=partition, group_id=group)
        CohortMembership.objects.create(user=user, course=divided, cohort=cohort)
        assert dict(sight(platform, user).profile.groups)[100] is None


@pytest.mark.parametrize(("mode", "group"), [("audit", 1), ("verified", 2), ("credit", 2), ("unheard-of", 1)])
def test_an_active_enrollment_has_the_track_of_its_mode(platform, divided, mode, group):
    assert dict(sight(platform, learner("ana", mode=mode)).profile.groups)[50] == group


def test_everybody_is_verified_alike_and_sees_graded_content(platform):
    gate = Partition(51, "content_type_gate", frozenset({1, 2}))
    check = Partition(100, "verification", frozenset({0, 1}))
    limited = [leaf(f"p{each.id}", group_access={each.id: frozenset({1})}) for each in (gate, check)]
    course(*limited, leaf("full", group_access={51: frozenset({2})}), partitions=(gate, check))
    assert dict(sight(platform, learner("ana")).profile.groups) == {51: 2, 100: 1}


def test_an_inactive_enrollment_has_no_track(platform, divided):
    assert dict(sight(platform, learner("ana", is_active=False)).profile.groups)[50] is None


@pytest.mark.parametrize("role", ["staff", "limited_staff", "instructor"])
def test_course_staff_see_everything(platform, divided, role):
    ana = learner("ana")
    CourseRole.objects.create(user=ana, course=divided, role=role)
    assert sight(platform, ana).profile == Profile(staff=True)


def test_site_staff_see_everything_also_when_inactive(platform, divided):
    user = learner("ana", is_staff=True)
    user.is_active = False
    user.save()
    assert sight(platform, user).profile == Profile(staff=True)


def test_roles_need_an_active_user(platform, divided):
    for role in CourseRole.Role.values:
        user = learner(role)
        user.is_active = False
        user.save()
        CourseRole.objects.create(user=user, course=divided, role=role)
        profile = sight(platform, user).profile
        assert not profile.staff
        assert not profile.beta


def test_beta_testers_wait_less(platform, divided):
    ana = learner("ana")
    CourseRole.objects.create(user=ana, course=divided, role="beta_testers")
    found = sight(platform, ana)
    assert found.profile.beta
    assert found.valid_until == datetime(2026, 12, 2, tzinfo=UTC)


def test_unreleased_blocks_are_open_when_the_setting_says_so(platform, divided, settings):
    settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
    found = sight(platform, learner("ana"))
    assert (found.profile.released, found.valid_until) == (1, None)


def test_a_role_in_another_course_is_none_here(platform, divided):
    other = type(divided).objects.create(course_key=CourseKey.from_string("course-v1:Org+Other+1"))
    ana = learner("ana")
    CourseRole.objects.create(user=ana, course=other, role="staff")
    assert not sight(platform, ana).profile.staff


def test_sights_answer_for_everybody_asked_for_with_the_same_queries(platform, divided, django_assert_num_queries):
    _, graph = platform.course_graph(KEY)
    users = [learner(f"learner{number}").pk for number in range(30)]
    for some in (users[:1], users, [*users, 999_999]):
        with django_assert_num_queries(1) as queries:
            found = platform.sights(KEY, graph, some, now=NOW)
        assert set(found) == set(some)
        assert all(query["sql"].lstrip("(").startswith("SELECT") for query in queries.captured_queries)


def test_the_progress_of_one_learner_takes_three_queries(platform, divided, django_assert_num_queries):
    ana = learner("ana").pk
    api.progress_of(ana, KEY)
    with django_assert_num_queries(3):
        api.progress_of(ana, KEY)


def test_enrolled_learners_are_the_active_ones_in_the_order_of_their_ids(platform):
    course()
    users = [learner(name, is_active=name != "ben").pk for name in ("cy", "ben", "ana")]
    assert list(platform.enrolled_user_ids(KEY)) == [users[0], users[2]]
    assert platform.enrolled_courses(users[0]) == [KEY]
    assert platform.enrolled_courses(users[1]) == []


def test_courses_are_those_with_content(platform):
    divided = course()
    type(divided).objects.create(course_key=CourseKey.from_string("course-v1:A+Empty+1"))
    assert platform.course_keys() == [KEY]


def test_a_newer_version_is_the_current_one(platform):
    course()
    newer = content(leaf("one"), leaf("three"))
    store_version(newer, compile_content(newer))
    assert platform.course_version(KEY) == compile_content(newer).content_hash


def test_course_keys_differ_by_case_on_every_database(platform):
    divided = course()
    other = type(divided).objects.create(course_key=CourseKey.from_string("course-v1:org+small+1"))
    ana = learner("ana")
    assert {each.course_id for each in Enrollment.objects.filter(user=ana)} == {divided.pk, other.pk}
    assert list(platform.enrolled_user_ids(KEY)) == [ana.pk]


def test_what_is_graded_is_what_the_last_file_of_this_content_said(platform):
    course()
    assert platform.graded(KEY) is None
    small = content()
    one, two = usage("html", "one"), usage("html", "two")
    for said, known in (({one, two}, {one, two}), ({one}, {one}), (None, {one}), (set(), set())):
        graded = None if said is None else frozenset(said)
        stored = store_version(replace(small, graded=graded), compile_content(small))
        assert (stored.number, stored.changed) == (1, False)
        assert platform.graded(KEY) == known
    with pytest.raises(UnknownCourse):
        platform.graded(CourseKey.from_string("course-v1:A+Empty+1"))
