from datetime import UTC, datetime, timedelta

import lms_counters
import pytest
from common.djangoapps.course_modes.models import CourseMode
from common.djangoapps.student.models import CourseAccessRole, CourseEnrollment
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lms.djangoapps.courseware.models import StudentModule
from openedx.core.djangoapps.course_groups.models import CohortMembership
from openedx.core.djangoapps.user_api.models import UserCourseTag

from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.platforms.openedx import gating, lms, sights
from completion_aggregator.platforms.openedx.tables import IDS_PER_QUERY
from completion_aggregator.ports import Sight
from tests.course_graph.builders import bank, course, leaf
from tests.platforms.openedx.graphs import (
    COHORTS,
    GATE,
    KEY,
    ORG,
    OTHER,
    SHUFFLED,
    TRACKS,
    VERIFICATION,
    bank_key,
    banked,
    divided,
    problems,
    teams,
)
from tests.platforms.openedx.people import (
    audit_and_verified,
    cohort,
    draw,
    enroll,
    gate,
    give_forum_role,
    give_org_role,
    give_role,
    learner,
    mode,
    tag,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OPENS = datetime(2026, 12, 1, tzinfo=UTC)
STAFF = Sight(Profile(staff=True))
EVERYTHING = (COHORTS, SHUFFLED, TRACKS, GATE, VERIFICATION, teams(7))


@pytest.fixture(autouse=True)
def nothing_remembered():
    gating.forget()
    yield
    gating.forget()


def sight(user, graph, now=NOW):
    (found,) = sights.of_learners(KEY, graph, [user.pk], now=now).values()
    return found


def both(course_key, graph, user):
    """The sight that one has among the learners of a course, and among her courses."""
    (found,) = sights.of_learners(course_key, graph, [user.pk], now=NOW).values()
    assert sights.of_learner(user.pk, {course_key: graph}, now=NOW) == {course_key: found}
    return found


def later():
    """A course with a block that opens later, ten days before for beta testers."""
    return course(leaf("open"), leaf("later", start=OPENS, days_early_for_beta=10))


# --- staff and beta testers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["staff", "limited_staff", "instructor"])
def test_staff_of_the_course_see_everything(name):
    ann = learner("ann")
    give_role(name, ann, KEY)
    assert sight(ann, later()) == STAFF


@pytest.mark.parametrize("name", ["staff", "instructor"])
def test_staff_of_the_organization_see_everything(name):
    ann = learner("ann")
    give_org_role(name, ann, ORG)
    assert sight(ann, later()) == STAFF


@pytest.mark.parametrize("is_active", [True, False])
def test_staff_of_the_site_see_everything_active_or_not(is_active):
    assert sight(learner("ann", is_staff=True, is_active=is_active), later()) == STAFF


@pytest.mark.parametrize("name", ["data_researcher", "beta_testers"])
def test_other_roles_do_not(name):
    ann = learner("ann")
    give_role(name, ann, KEY)
    give_role("staff", ann, OTHER)
    give_org_role("data_researcher", ann, ORG)
    give_org_role("staff", ann, "Elsewhere")
    assert not sight(ann, later()).profile.staff


@pytest.mark.parametrize("name", ["staff", "beta_testers"])
def test_the_roles_of_an_inactive_user_count_for_nothing(name):
    ann = learner("ann")
    give_role(name, ann, KEY)
    give_org_role("staff", ann, ORG)
    User.objects.update(is_active=False)
    assert sight(ann, later()) == Sight(Profile(), OPENS)


def test_a_role_in_an_organization_in_other_letters_is_one_in_another():
    ann = learner("ann")
    give_org_role("staff", ann, "org")
    assert sight(ann, later()) == Sight(Profile(), OPENS)


def test_a_role_in_a_course_in_other_letters_is_one_in_another():
    ann, graph, like_key = learner("ann"), course(leaf("a")), KEY.replace(run=str(KEY.run).lower())
    give_role("staff", ann, like_key)
    assert both(KEY, graph, ann) == Sight(Profile())
    assert both(like_key, graph, ann) == STAFF


@pytest.fixture
def unasked():
    """A process that has not asked yet what superusers are."""
    lms.superusers_are_staff.cache_clear()
    yield
    lms.superusers_are_staff.cache_clear()


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize(("counts", "expected"), [(False, Sight(Profile())), (True, STAFF)])
def test_superusers_see_what_the_release_lets_them_see(counts, expected):
    with lms_counters.switched(superusers_are_global_staff=counts):
        assert both(KEY, course(leaf("a")), learner("root", is_superuser=True)) == expected


def test_beta_testers_see_what_opens_early():
    ann = learner("ann")
    give_role("beta_testers", ann, KEY)
    early = OPENS - timedelta(days=10)
    assert sight(ann, later()) == Sight(Profile(beta=True), early)
    assert sight(ann, later(), early + timedelta(seconds=1)) == Sight(Profile(beta=True, released=1))
    assert sight(ann, course(leaf("later", start=OPENS))) == Sight(Profile(), OPENS)


@pytest.mark.usefixtures("authz")
def test_roles_count_that_are_not_in_the_table():
    people = {name: learner(name) for name in ("staff", "limited_staff", "instructor")}
    for name, user in people.items():
        give_role(name, user, KEY)
    assert not CourseAccessRole.objects.exists()
    ben = learner("ben")
    ids = [each.pk for each in people.values()]
    found = sights.of_learners(KEY, later(), [*ids, ben.pk], now=NOW)
    assert found == dict.fromkeys(ids, STAFF) | {ben.pk: Sight(Profile(), OPENS)}
    for user_id in (*ids, ben.pk):
        assert sights.of_learner(user_id, {KEY: later()}, now=NOW) == {KEY: found[user_id]}


@pytest.mark.usefixtures("authz")
def test_roles_of_the_table_count_also_where_roles_are_kept_elsewhere():
    ann, ben = learner("ann"), learner("ben")
    CourseAccessRole.objects.create(user=ann, org=KEY.org, course_id=KEY, role="staff")
    give_org_role("staff", ben, ORG)
    assert sights.of_learners(KEY, later(), [ann.pk, ben.pk], now=NOW) == {ann.pk: STAFF, ben.pk: STAFF}


def test_who_does_not_exist_sees_what_everybody_sees():
    assert sights.of_learners(KEY, later(), [17], now=NOW) == {17: Sight(Profile(), OPENS)}
    assert sights.of_learner(17, {KEY: later()}, now=NOW) == {KEY: Sight(Profile(), OPENS)}


# --- dates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(OPENS, Sight(Profile(), OPENS), id="at the moment"),
        pytest.param(OPENS + timedelta(microseconds=1), Sight(Profile(released=1)), id="after"),
    ],
)
def test_a_block_is_open_after_the_moment_it_starts(now, expected):
    assert sight(learner("ann"), later(), now) == expected


def without_dates(settings, how):
    match how:
        case "ours":
            settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
        case "a feature":
            settings.FEATURES = settings.FEATURES | {"DISABLE_START_DATES": True}
        case "a setting":
            settings.DISABLE_START_DATES = True


@pytest.mark.parametrize("how", ["ours", "a feature", "a setting"])
def test_dates_do_not_matter_where_they_are_switched_off(settings, how):
    without_dates(settings, how)
    assert sight(learner("ann"), later()) == Sight(Profile(released=1))


@pytest.mark.parametrize("days", [-1, 1])
def test_a_sight_holds_until_the_first_of_release_and_end_of_upgrades(days):
    ends = OPENS + timedelta(days=days)
    audit_and_verified(KEY, expires=ends)
    gate(KEY)
    ann, ben = enroll(learner("ann"), KEY).user, enroll(learner("ben"), KEY, "verified").user
    graph = divided(GATE, others=[leaf("later", start=OPENS)])
    found = sights.of_learners(KEY, graph, [ann.pk, ben.pk], now=NOW)
    assert {user_id: each.valid_until for user_id, each in found.items()} == {
        ann.pk: min(OPENS, ends),
        ben.pk: OPENS,
    }


# --- draws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "expected"), [((2, 9), 9), ((9, 2), 9), ((None, 9), None), ((9, None), None), ((-2, 3), 3)]
)
def test_an_upgrade_is_on_offer_while_any_currency_of_it_is(ends, expected):
    dates = [None if days is None else NOW + timedelta(days=days) for days in ends]
    mode(KEY, "audit")
    for currency, expires in zip(("eur", "usd"), dates, strict=True):
        CourseMode.objects.create(course_id=KEY, mode_slug="verified", currency=currency, _expiration_datetime=expires)
    gate(KEY)
    ann = learner("ann")
    enroll(ann, KEY, "audit")
    CourseEnrollment.objects.update(created=NOW)
    until = None if expected is None else NOW + timedelta(days=expected)
    assert sight(ann, divided(GATE)) == Sight(Profile(groups=((GATE.id, 1),), messaging=(GATE.id,)), until)


def test_a_sight_tells_what_was_drawn_staff_included():
    ann, ben, cleo = learner("ann"), learner("ben"), learner("cleo", is_staff=True)
    for user, chosen in ((ann, 0), (cleo, 1)):
        draw(user, bank_key(), [problems(2)[chosen]])
    assert sights.of_learners(KEY, banked(1, 2), [ann.pk, ben.pk, cleo.pk], now=NOW) == {
        ann.pk: Sight(Profile(), None, {str(bank_key()): (str(problems(2)[0]),)}),
        ben.pk: Sight(Profile()),
        cleo.pk: Sight(Profile(staff=True), None, {str(bank_key()): (str(problems(2)[1]),)}),
    }


# --- cost ----------------------------------------------------------------------------------------------------------


def tables_asked(graph, ids):
    """The tables of the LMS that are read for these learners, beside those of users and roles."""
    with CaptureQueriesContext(connection) as queries:
        sights.of_learners(KEY, graph, ids, now=NOW)
    models = (CourseEnrollment, CohortMembership, UserCourseTag, StudentModule)
    return {model for model in models if any(model._meta.db_table in each["sql"] for each in queries)}, len(queries)


@pytest.mark.parametrize(
    ("graph", "tables", "queries"),
    [
        pytest.param(later(), set(), 2, id="nothing"),
        pytest.param(divided(COHORTS), {CohortMembership}, 3, id="cohorts"),
        pytest.param(divided(SHUFFLED), {UserCourseTag}, 3, id="random"),
        pytest.param(divided(TRACKS), {CourseEnrollment}, 4, id="tracks"),
        pytest.param(divided(VERIFICATION), set(), 2, id="verification"),
        pytest.param(banked(1, 2), {StudentModule}, 3, id="banks"),
    ],
)
def test_only_what_matters_in_the_course_is_asked(graph, tables, queries):
    assert tables_asked(graph, [learner("ann").pk]) == (tables, queries)


@pytest.fixture
def school():
    """500 learners of a course with everything, in every way there is."""
    audit_and_verified(KEY)
    gate(KEY)
    people = User.objects.bulk_create([User(username=f"u{number}") for number in range(500)])
    CourseEnrollment.objects.bulk_create(
        [
            CourseEnrollment(user=user, course_id=KEY, mode=("audit", "verified")[number % 2])
            for number, user in enumerate(people)
        ]
    )
    red = cohort(KEY, "red", partition=COHORTS.id, group=2)
    CohortMembership.objects.bulk_create(
        [CohortMembership(user=user, course_id=KEY, course_user_group=red) for user in people[::3]]
    )
    for user in people[:5]:
        tag(user, KEY, SHUFFLED.id, 1)
        draw(user, bank_key(), problems(1))
    give_forum_role("Moderator", people[0], KEY)
    give_role("beta_testers", people[1], KEY)
    give_role("staff", people[2], KEY)
    return people


def everything():
    return divided(*EVERYTHING, others=[bank(str(bank_key()), 1, *(leaf(str(each)) for each in problems(2)))])


def test_one_learner_costs_the_queries_of_many_and_nothing_is_written(school):
    graph = everything()
    with CaptureQueriesContext(connection) as of_one:
        sights.of_learners(KEY, graph, [school[6].pk], now=NOW)  # she audits, and has a cohort
    with CaptureQueriesContext(connection) as of_all, lms_counters.counting() as happened:
        found = sights.of_learners(KEY, graph, [user.pk for user in school], now=NOW)
    assert len(of_one) == len(of_all) == 12
    assert all(each["sql"].lstrip("( ").startswith("SELECT") for each in of_all)
    assert lms_counters.written(happened) == {}
    assert not happened
    assert len(found) == 500
    assert len({each.profile for each in found.values()}) == 4 + 5  # by mode and cohort, and those who are special


def test_a_sight_does_not_depend_on_whose_sights_are_asked_together(school):
    graph = everything()
    together = sights.of_learners(KEY, graph, [user.pk for user in school], now=NOW)
    for user in school[:8]:
        assert sights.of_learners(KEY, graph, [user.pk], now=NOW) == {user.pk: together[user.pk]}
        assert sights.of_learner(user.pk, {KEY: graph}, now=NOW) == {KEY: together[user.pk]}


def test_ids_are_asked_for_in_pieces_that_a_statement_can_hold():
    ids = range(1, 3 * IDS_PER_QUERY + 2)
    with CaptureQueriesContext(connection) as queries:
        found = sights.of_learners(KEY, later(), ids, now=NOW)
    assert (list(found), len(queries)) == (list(ids), 8)


def test_nobody_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert sights.of_learners(KEY, everything(), [], now=NOW) == {}
        assert sights.of_learner(1, {}, now=NOW) == {}


def test_many_courses_of_one_learner_cost_the_queries_of_one_course(school):
    keys = [KEY, *(KEY.replace(run=f"r{number}") for number in range(12))]
    graph = everything()
    for key in keys[1:]:
        audit_and_verified(key)
        gate(key)
        enroll(school[6], key)
    ann = school[6]
    sights.of_learner(ann.pk, dict.fromkeys(keys, graph), now=NOW)  # the gates are remembered
    with CaptureQueriesContext(connection) as of_one:
        sights.of_learner(ann.pk, {KEY: graph}, now=NOW)
    with CaptureQueriesContext(connection) as of_many, lms_counters.counting() as happened:
        found = sights.of_learner(ann.pk, dict.fromkeys(keys, graph), now=NOW)
    assert len(of_many) == len(of_one) == 11
    assert lms_counters.written(happened) == {}
    assert found == {key: sights.of_learners(key, graph, [ann.pk], now=NOW)[ann.pk] for key in keys}
