import json
import logging
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.db import DataError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from opaque_keys.edx.keys import CourseKey
from openedx_events.analytics.data import TrackingLogData
from openedx_events.analytics.signals import TRACKING_EVENT_EMITTED
from openedx_events.learning import signals

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.event_bus import completions, places, receivers, retention
from completion_aggregator.platforms.standalone.event_bus.effects import Effect
from completion_aggregator.platforms.standalone.imports import facts as facts_module
from completion_aggregator.platforms.standalone.models import (
    CohortMembership,
    Course,
    CourseRole,
    Enrollment,
    LastEvent,
    LmsUser,
    RejectedEvent,
)
from tests.platforms.standalone.builders import KEY, course, facts, learner, stale_rows, usage
from tests.platforms.standalone.event_bus_builders import (
    at,
    cohort,
    complete,
    completion_log,
    enrollment,
    person,
    role,
    send,
)

pytestmark = pytest.mark.django_db

ONE, TWO = usage("html", "one"), usage("html", "two")
OTHER = CourseKey.from_string("course-v1:Org+Other+1")


@pytest.fixture(autouse=True)
def connected(monkeypatch):
    """Connect the receivers, for this test alone."""
    monkeypatch.setattr(receivers, "tally", receivers.Tally())
    places._with_content.clear()
    receivers.connect()
    yield
    for signal in receivers.TAKERS:
        signal.disconnect(dispatch_uid=f"completion-aggregator-{signal.event_type}")


@pytest.fixture(autouse=True)
def small(connected):
    """A course with the blocks one and two."""
    return course()


@pytest.fixture
def ana(small):
    """A learner whom the LMS calls 7 and ana, enrolled."""
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment())
    StaleCompletion.objects.all().delete()
    return get_user_model().objects.get(username="ana")


def effects():
    return dict(receivers.tally.counts)


def enrollments():
    rows = Enrollment.objects.order_by("user__username")
    return list(rows.values_list("user__username", "mode", "is_active"))


def accounts():
    return set(LmsUser.objects.values_list("lms_id", "user__username"))


def rejects():
    return list(RejectedEvent.objects.order_by("id").values_list("reason", flat=True))


def test_a_completion_is_stored_with_its_times_and_marks_the_learner(ana):
    complete("one", 0.5, minutes=5)
    (row,) = BlockCompletion.objects.all()
    assert (row.user, row.context_key, str(row.block_key), row.block_type) == (ana, KEY, ONE, "html")
    assert (row.completion, row.modified, row.created) == (0.5, at(5), at(0))
    assert stale_rows() == {("ana", str(KEY), ONE)}


def test_the_same_event_again_writes_nothing(ana):
    complete("one", 0.5, minutes=5)
    StaleCompletion.objects.all().delete()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        complete("one", 0.5, minutes=5)
    assert [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))] == []
    assert (facts(), stale_rows()) == ({("ana", ONE): 0.5}, set())


def test_an_older_event_does_not_overwrite_a_newer_value_and_a_newer_lower_one_does(ana):
    complete("one", 1.0, minutes=5)
    complete("one", 0.2, minutes=4)
    assert facts() == {("ana", ONE): 1.0}
    complete("one", 0.0, minutes=6)
    assert facts() == {("ana", ONE): 0.0}


def test_of_two_values_of_one_time_the_first_stands(ana):
    complete("one", 1.0, minutes=5)
    StaleCompletion.objects.all().delete()
    complete("one", 0.3, minutes=5)
    assert (facts(), stale_rows()) == ({("ana", ONE): 1.0}, set())


def test_what_an_event_costs_is_bounded(ana):
    complete("one", minutes=1)  # the course is known from here on
    counts = {}
    for name, arguments in {"new": ("two", 1.0), "changed": ("two", 0.5), "repeated": ("two", 0.5)}.items():
        with CaptureQueriesContext(connection) as queries:
            complete(*arguments, minutes={"new": 2, "changed": 3, "repeated": 3}[name])
        counts[name] = len([q for q in queries if "SAVEPOINT" not in q["sql"]])
    assert counts == {"new": 5, "changed": 4, "repeated": 2}


def test_a_learner_never_seen_is_a_placeholder_until_the_name_is_told():
    complete("one", user_id=7)
    assert accounts() == {(7, "lms-7")}
    send(signals.COURSE_ENROLLMENT_CREATED, 3, enrollment=enrollment())
    assert accounts() == {(7, "ana")}
    assert (facts(), enrollments()) == ({("ana", ONE): 1.0}, [("ana", "audit", True)])
    assert ("ana", str(KEY), None) in stale_rows()


def test_the_context_tells_the_name_of_the_learner_but_not_of_somebody_who_acts_for_her():
    complete("one", user_id=7, context={"user_id": 1, "username": "staff"})
    assert accounts() == {(7, "lms-7")}
    complete("two", user_id=7, context={"user_id": 7, "username": "ana"}, minutes=1)
    assert accounts() == {(7, "ana")}


def test_a_user_from_an_import_becomes_the_account_of_that_name():
    imported = learner("ana")
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment())
    complete("one", user_id=7)
    assert LmsUser.objects.get().user == imported
    assert facts() == {("ana", ONE): 1.0}
    assert get_user_model().objects.count() == 1


def test_a_placeholder_and_an_imported_user_who_are_one_become_one():
    complete("one", 0.4, user_id=7, minutes=1)
    complete("two", 0.4, user_id=7, minutes=1)
    imported = learner("ana")
    BlockCompletion.objects.submit_completion(imported, KEY.make_usage_key("html", "two"), 0.9)  # now, so newer
    send(signals.COURSE_ENROLLMENT_CHANGED, 3, enrollment=enrollment(mode="verified", minutes=0))
    assert accounts() == {(7, "ana")}
    assert list(get_user_model().objects.values_list("pk", "username")) == [(imported.pk, "ana")]
    assert facts() == {("ana", ONE): 0.4, ("ana", TWO): 0.9}
    assert enrollments() == [("ana", "verified", True)]
    assert ("ana", str(KEY), None) in stale_rows()


def test_an_account_that_somebody_logs_in_with_is_not_removed_by_becoming_another(ana):
    get_user_model().objects.filter(pk=ana.pk).update(password="pbkdf2_sha256$1$x$y")
    learner("ana-maria")
    send(signals.COURSE_ENROLLMENT_CHANGED, 3, enrollment=enrollment(person(name="ana-maria")))
    assert accounts() == {(7, "ana-maria")}
    assert set(get_user_model().objects.values_list("username", flat=True)) == {"ana", "ana-maria"}
    assert enrollments() == [("ana-maria", "audit", True)]


def test_a_rename_is_followed_and_loses_no_waiting_work(ana):
    complete("one", minutes=1)
    send(signals.COURSE_ENROLLMENT_CHANGED, 2, enrollment=enrollment(person(name="ana-maria")))
    assert accounts() == {(7, "ana-maria")}
    assert ("ana-maria", str(KEY), None) in stale_rows()
    aggregation.refresh_learner("ana-maria", KEY)
    assert aggregation.progress_of(ana.pk, KEY).course.earned == 1.0


def test_an_older_event_does_not_bring_an_old_name_back(ana):
    send(signals.COURSE_ENROLLMENT_CHANGED, 5, enrollment=enrollment(person(name="ana-maria")))
    send(signals.COHORT_MEMBERSHIP_CHANGED, 4, cohort=cohort("red"))
    assert accounts() == {(7, "ana-maria")}


def test_a_name_that_was_given_to_another_account_moves_with_it(ana):
    send(signals.COURSE_ENROLLMENT_CREATED, 9, enrollment=enrollment(person(8, "ana")))
    assert accounts() == {(7, "lms-7"), (8, "ana")}
    send(signals.COURSE_ENROLLMENT_CHANGED, 10, enrollment=enrollment(person(7, "ana-maria")))
    assert accounts() == {(7, "ana-maria"), (8, "ana")}
    assert [name for name, _, _ in enrollments()] == ["ana", "ana-maria"]


def test_an_older_event_does_not_take_a_name_from_its_new_owner(ana):
    send(signals.COURSE_ENROLLMENT_CREATED, -5, enrollment=enrollment(person(8, "ana")))
    assert accounts() == {(7, "ana"), (8, "lms-8")}


def test_a_learner_who_is_called_like_a_placeholder_gets_no_other_learners_work():
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment(person(99, "lms-7")))
    complete("one", user_id=7)
    (name,) = [name for lms_id, name in accounts() if lms_id == 7]
    assert name.startswith("lms-7-")
    assert facts() == {(name, ONE): 1.0}


def test_nothing_else_of_a_person_is_taken_over(ana):
    assert (ana.email, ana.first_name, ana.last_name, ana.has_usable_password()) == ("", "", "", False)


def test_enrollments_are_made_changed_and_ended(ana):
    assert enrollments() == [("ana", "audit", True)]
    send(signals.COURSE_ENROLLMENT_CHANGED, 2, enrollment=enrollment(mode="verified"))
    assert enrollments() == [("ana", "verified", True)]
    assert stale_rows() == {("ana", str(KEY), None)}
    send(signals.COURSE_UNENROLLMENT_COMPLETED, 3, enrollment=enrollment(mode="verified", is_active=True))
    assert enrollments() == [("ana", "verified", False)]
    assert Enrollment.objects.get().created == at(0)


def test_a_late_event_does_not_begin_an_enrollment_again_that_ended(ana):
    send(signals.COURSE_UNENROLLMENT_COMPLETED, 3, enrollment=enrollment())
    StaleCompletion.objects.all().delete()
    send(signals.COURSE_ENROLLMENT_CREATED, 1, enrollment=enrollment())
    assert (enrollments(), stale_rows()) == ([("ana", "audit", False)], set())
    send(signals.COURSE_ENROLLMENT_CHANGED, 4, enrollment=enrollment())
    assert enrollments() == [("ana", "audit", True)]


def test_an_enrollment_told_twice_marks_nobody(ana):
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment())
    send(signals.COURSE_ENROLLMENT_CHANGED, 1, enrollment=enrollment())
    assert stale_rows() == set()
    assert LastEvent.objects.get().moment == at(1)


def test_a_learner_is_in_the_cohort_that_was_told_last(ana):
    send(signals.COHORT_MEMBERSHIP_CHANGED, 2, cohort=cohort("red"))
    assert stale_rows() == {("ana", str(KEY), None)}
    send(signals.COHORT_MEMBERSHIP_CHANGED, 4, cohort=cohort("blue"))
    send(signals.COHORT_MEMBERSHIP_CHANGED, 3, cohort=cohort("green"))
    assert list(CohortMembership.objects.values_list("user__username", "cohort__name")) == [("ana", "blue")]


def test_roles_come_and_go_and_a_late_event_brings_none_back(ana):
    send(signals.COURSE_ACCESS_ROLE_ADDED, 1, course_access_role_data=role("staff"))
    send(signals.COURSE_ACCESS_ROLE_ADDED, 1, course_access_role_data=role("beta_testers"))
    assert set(CourseRole.objects.values_list("user__username", "role")) == {("ana", "staff"), ("ana", "beta_testers")}
    StaleCompletion.objects.all().delete()
    send(signals.COURSE_ACCESS_ROLE_REMOVED, 3, course_access_role_data=role("staff"))
    assert stale_rows() == {("ana", str(KEY), None)}
    send(signals.COURSE_ACCESS_ROLE_ADDED, 2, course_access_role_data=role("staff"))
    assert set(CourseRole.objects.values_list("role", flat=True)) == {"beta_testers"}


def test_roles_that_show_nobody_more_are_ignored(ana):
    send(signals.COURSE_ACCESS_ROLE_ADDED, 1, course_access_role_data=role("data_researcher"))
    assert (CourseRole.objects.count(), effects()[Effect.IGNORED]) == (0, 1)


@pytest.mark.parametrize(
    "changes",
    [{"user_id": None}, {"course_id": "library-v1:Org+Lib"}, {"course_id": "lib:Org:Lib"}],
)
def test_what_is_of_nobody_or_of_no_course_is_ignored(changes):
    complete("one", **changes)
    assert (effects(), facts(), accounts(), rejects()) == ({Effect.IGNORED: 1}, {}, set(), [])


def test_other_entries_of_the_tracking_log_are_ignored():
    log = TrackingLogData(name="edx.ui.lms.link_clicked", timestamp=at(0), data="no json", context="")
    send(TRACKING_EVENT_EMITTED, 0, tracking_log=log)
    assert (effects(), rejects()) == ({Effect.IGNORED: 1}, [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user_id": "7"}, "user_id is not an id"),
        ({"user_id": True}, "user_id is not an id"),
        ({"user_id": 2**63}, "user_id is not an id"),
        ({"course_id": "Small"}, "not a course key"),
        ({"course_id": None}, "course_id is missing"),
        ({"block_id": "one"}, "not a block key"),
        ({"block_id": ONE.replace("Small", "Large")}, "the block is of another course"),
        ({"block_id": usage("html", "x" * 250)}, "not a block key"),
        ({"completion": "1.0"}, "the completion is not a number"),
        ({"completion": True}, "the completion is not a number"),
        ({"completion": float("nan")}, "the completion is not between 0 and 1"),
        ({"completion": 1.5}, "the completion is not between 0 and 1"),
        ({"completion": None}, "the completion is not a number"),
        ({"modified": "yesterday"}, "not an ISO 8601 time"),
        ({"modified": None}, "modified is missing"),
        ({"modified": "2999-01-01T00:00:00Z"}, "modified after the event was sent"),
        ({"modified": at(6).isoformat()}, "modified after the event was sent"),
    ],
)
def test_what_cannot_be_taken_is_kept_aside_with_the_reason(changes, reason, caplog):
    complete("one", **changes)
    assert (rejects(), effects(), facts(), accounts()) == ([reason], {Effect.REJECTED: 1}, {}, set())
    kept = RejectedEvent.objects.get()
    assert kept.event_type == TRACKING_EVENT_EMITTED.event_type
    assert json.loads(kept.data)["name"] == "edx.completion.block_completion.changed"
    assert [record.levelname for record in caplog.records if "rejected" in record.message] == ["WARNING"]


def test_a_reject_holds_no_name_and_no_address(small):
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment(mode="x" * 101))
    kept = RejectedEvent.objects.get().data
    assert '"id": 7' in kept
    assert "ana" not in kept.lower()


@pytest.mark.parametrize("data", ["{", "[]", "7", "[" * 100_000])
def test_data_that_is_no_object_is_kept_aside(data):
    log = TrackingLogData(name=completions.COMPLETION_CHANGED, timestamp=at(0), data=data, context="{}")
    send(TRACKING_EVENT_EMITTED, 0, tracking_log=log)
    assert (len(rejects()), effects()) == (1, {Effect.REJECTED: 1})


def test_a_fault_of_ours_keeps_the_event_aside_and_is_raised(monkeypatch):
    def broken(told, moment):
        raise TypeError("ours")

    monkeypatch.setattr(receivers, "TAKERS", {TRACKING_EVENT_EMITTED: ("tracking_log", broken)})
    with pytest.raises(TypeError, match="ours"):
        complete("one")
    assert (rejects(), effects()) == (["unforeseen: TypeError"], {Effect.REJECTED: 1})


def test_completions_and_enrollments_of_a_course_to_come_wait_for_its_import():
    Course.objects.all().delete()
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment())
    complete("one")
    assert (facts(), enrollments()) == ({("ana", ONE): 1.0}, [("ana", "audit", True)])
    assert stale_rows() == set()
    assert [(each.course_key, each.title, each.current) for each in Course.objects.all()] == [(KEY, "Small", None)]
    course()
    list(aggregation.settle_changes())
    assert stale_rows() == {("ana", str(KEY), None)}
    aggregation.refresh_learner("ana", KEY)
    assert aggregation.progress_of(get_user_model().objects.get().pk, KEY).course.earned == 1.0


@pytest.mark.parametrize("name", ["ana maria", "jos\u00e9 \u0639\u0644\u064a", "a.b@c+d-e_f"])
def test_an_account_may_be_called_what_learners_of_an_lms_are_called(name):
    send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment(person(name=name)))
    complete("one", context={"user_id": 7, "username": name})
    assert (accounts(), facts(), rejects()) == ({(7, name)}, {(name, ONE): 1.0}, [])


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", " ", "ana ", "<b>", "x" * 151, "\ud800"])
def test_what_nobody_can_be_called_is_no_name_and_nothing_is_lost_for_it(name):
    complete("one", context={"user_id": 7, "username": name})
    send(signals.COURSE_ENROLLMENT_CREATED, 1, enrollment=enrollment(person(name=name)))
    assert (accounts(), facts(), rejects()) == ({(7, "lms-7")}, {("lms-7", ONE): 1.0}, [])
    assert enrollments() == [("lms-7", "audit", True)]
    complete("one", 0.5, minutes=2, context={"user_id": 7, "username": "ana"})
    assert (accounts(), facts(), enrollments()) == ({(7, "ana")}, {("ana", ONE): 0.5}, [("ana", "audit", True)])


def enroll_both():
    """Enroll ana in the course, and in one that was never imported; in both she has completed something."""
    for key in (KEY, OTHER):
        block = str(key.make_usage_key("html", "one"))
        complete("one", user_id=7, course_id=str(key), block_id=block)
        send(signals.COURSE_ENROLLMENT_CREATED, 0, enrollment=enrollment(course_key=key))
    StaleCompletion.objects.all().delete()


@pytest.mark.parametrize("imported", [False, True], ids=["renamed", "become one"])
def test_another_name_marks_nobody_in_a_course_that_was_never_imported(imported):
    enroll_both()
    if imported:
        learner("ana-maria")
    send(signals.COURSE_ENROLLMENT_CHANGED, 2, enrollment=enrollment(person(name="ana-maria"), mode="verified"))
    assert accounts() == {(7, "ana-maria")}
    assert {course_key for _, course_key, _ in stale_rows()} == {str(KEY)}


def test_a_deleted_course_of_which_completions_are_left_is_not_marked(ana):
    complete("one", minutes=1)
    Course.objects.all().delete()
    StaleCompletion.objects.all().delete()
    send(signals.COHORT_MEMBERSHIP_CHANGED, 2, cohort=cohort("red", person(name="ana-maria")))
    assert (accounts(), stale_rows()) == ({(7, "ana-maria")}, set())


def test_a_tally_is_told_in_a_line_each_minute(caplog, monkeypatch):
    monkeypatch.setattr(receivers, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, logger=receivers.log.name):
        complete("one")
    assert [each.message for each in caplog.records if each.name == receivers.log.name] == [
        "events written=1 unchanged=0 ignored=0 rejected=0"
    ]


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_an_event_waits(monkeypatch, caplog):
    waits: list[float] = []
    store = facts_module.store_newest

    def away_at_first(*args, **options):
        if len(waits) < 3:
            raise OperationalError("server has gone away")
        return store(*args, **options)

    monkeypatch.setattr(completions, "store_newest", away_at_first)
    monkeypatch.setattr("time.sleep", waits.append)
    complete("one")
    assert waits == [0.2, 0.4, 0.8]
    assert (facts(), effects(), rejects()) == ({("lms-7", ONE): 1.0}, {Effect.WRITTEN: 1}, [])
    assert len(stale_rows()) == 1


def test_the_log_of_a_completion_is_what_edx_completion_writes(ana):
    told = json.loads(completion_log().data)
    assert set(told) == {"user_id", "course_id", "block_id", "block_type", "completion", "modified", "created"}


def test_what_was_sent_in_the_future_is_kept_aside(ana):
    ahead = (datetime.now(UTC) - at(0)) / timedelta(minutes=1) + 6
    send(signals.COURSE_ENROLLMENT_CHANGED, ahead, enrollment=enrollment(mode="verified"))
    assert (rejects(), enrollments()) == (["sent in the future, by our clock"], [("ana", "audit", True)])
    send(signals.COURSE_ENROLLMENT_CHANGED, ahead - 4, enrollment=enrollment(mode="verified"))
    assert enrollments() == [("ana", "verified", True)]


def fails_with(error):
    """Return what fails so, and the list of its calls."""
    calls: list[object] = []

    def take(told, moment):
        calls.append(told)
        raise error

    return take, calls


def caused(error, **cause):
    error.__cause__ = type("DriverError", (Exception,), cause)()
    return error


ABOUT_DATA = {
    "mysql": OperationalError(1366, "Incorrect string value: 'zoe@x'"),
    "postgresql": caused(DataError("invalid byte sequence for zoe@x"), sqlstate="22021"),
    "sqlite": caused(DataError("string or blob too big: zoe@x"), sqlite_errorcode=18),
}
UNKNOWN = {
    "mysql": OperationalError(1999, "no such number"),
    "postgresql": caused(OperationalError("index row size exceeds"), sqlstate="54000"),
    "sqlite": caused(OperationalError("no such function"), sqlite_errorcode=1),
}
PASSING = {
    "mysql": OperationalError(1213, "Deadlock found"),
    "postgresql": caused(OperationalError("deadlock detected"), sqlstate="40P01"),
    "sqlite": caused(OperationalError("database is locked"), sqlite_errorcode=261),
}


class Enough(BaseException):
    """Ends what would go on without end; not an Exception, which the signal would swallow."""


@pytest.fixture
def waits(monkeypatch):
    """The pauses that are made, none of which takes time; the 100th is not survived."""
    found: list[float] = []

    def wait(pause):
        found.append(pause)
        if len(found) == 100:
            raise Enough

    monkeypatch.setattr("time.sleep", wait)
    return found


def test_data_that_the_database_does_not_take_is_kept_aside_at_once(monkeypatch, waits, caplog):
    take, calls = fails_with(ABOUT_DATA[connection.vendor])
    monkeypatch.setattr(receivers, "TAKERS", {TRACKING_EVENT_EMITTED: ("tracking_log", take)})
    complete("one")
    assert (len(calls), waits, effects()) == (1, [], {Effect.REJECTED: 1})
    (reason,) = rejects()
    assert reason.startswith("the database does not take it: ")
    assert "zoe" not in reason + caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_a_database_that_answers_refuses_time_and_again_is_kept_aside(monkeypatch, waits):
    take, calls = fails_with(UNKNOWN[connection.vendor])
    monkeypatch.setattr(receivers, "TAKERS", {TRACKING_EVENT_EMITTED: ("tracking_log", take)})
    complete("one")
    assert (len(calls), len(waits), effects(), len(rejects())) == (9, 9, {Effect.REJECTED: 1}, 1)


@pytest.mark.django_db(transaction=True)
def test_what_passes_is_waited_for_without_end(monkeypatch, waits):
    take, _ = fails_with(PASSING[connection.vendor])
    monkeypatch.setattr(receivers, "TAKERS", {TRACKING_EVENT_EMITTED: ("tracking_log", take)})
    with pytest.raises(Enough):
        complete("one")
    assert (len(waits), max(waits), rejects()) == (100, 30.0, [])


def test_an_emoji_in_the_name_of_a_cohort_is_stored_or_kept_aside_and_holds_up_nothing(ana, waits):
    send(signals.COHORT_MEMBERSHIP_CHANGED, 2, cohort=cohort("\N{SLIGHTLY SMILING FACE}"))
    assert CohortMembership.objects.count() + RejectedEvent.objects.count() == 1
    assert waits == []


def test_of_an_undecodable_message_neither_names_nor_addresses_are_kept():
    pytest.importorskip("edx_event_bus_redis")
    from completion_aggregator.platforms.standalone.event_bus.consumer import Consumer

    about = SimpleNamespace(event_type="t", id="e1", time=at(0))
    message = SimpleNamespace(event_metadata=about, event_data=b"\x08ana\x1eana@example.org")
    consumer = object.__new__(Consumer)
    consumer.record_event_consuming_error({}, EOFError(), message)
    kept = RejectedEvent.objects.get()
    assert (kept.event_id, kept.event_type, kept.reason) == ("e1", "t", "undecodable: EOFError")
    assert json.loads(kept.data) == {"bytes": 20, "sha256": sha256(message.event_data).hexdigest()}


def test_rejected_events_are_deleted_after_90_days():
    for days in (89, 91):
        received = datetime.now(UTC) - timedelta(days=days)
        RejectedEvent.objects.create(event_id=str(days), event_type="t", reason="r", received=received)
    assert retention.forget_old() == 1
    assert RejectedEvent.objects.get().event_id == "89"


def test_with_a_user_her_rejected_events_are_deleted_and_nobody_elses(ana):
    complete("one", 2.0, user_id=7)
    complete("one", 2.0, user_id=77)
    send(signals.COURSE_ENROLLMENT_CHANGED, 0, enrollment=enrollment(mode="x" * 101))
    send(signals.COURSE_ENROLLMENT_CHANGED, 0, enrollment=enrollment(person(17, "ben"), mode="x" * 101))
    assert len(rejects()) == 4
    ana.delete()
    kept = [json.loads(data) for data in RejectedEvent.objects.order_by("id").values_list("data", flat=True)]
    assert [json.loads(each["data"])["user_id"] if "data" in each else each["user"]["id"] for each in kept] == [77, 17]
