"""Whom the LMS retires, the store of tracking logs forgets: whatever is in the way, later, and never twice."""

import logging
from typing import Any

import pytest
from celery.exceptions import Reject, Retry
from django.contrib.auth.models import User
from kombu.exceptions import OperationalError
from openedx.core.djangoapps.user_api.accounts.signals import USER_RETIRE_LMS_MISC
from openedx.core.djangoapps.user_api.models import UserRetirementStatus

from completion_aggregator.platforms.openedx import retirement
from completion_aggregator.tracking import api as tracking
from tests.tracking.builders import LOG, event, line, load, new_store, put, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    return User.objects.create(pk=7, username="ann")


@pytest.fixture
def store(tmp_path, settings):
    """Return the store of the LMS's settings: two events of ann, one of them without her number, and one of ben."""
    found = new_store(tmp_path)
    settings.COMPLETION_AGGREGATOR_TRACKING_STORE = str(found.folder)
    lines = [
        line(second, username=name, context=event()["context"] | {"user_id": number})
        for second, (name, number) in enumerate((("ann", 7), ("ann", None), ("ben", 77)))
    ]
    load(found, put(tmp_path / LOG, b"\n".join(lines) + b"\n"))
    return found


def tracked(store):
    return [row["username"] for row in rows(store, "event_private")]


def retire(user):
    USER_RETIRE_LMS_MISC.send(sender=None, user=user)


@pytest.fixture
def request_of(monkeypatch):
    """Return what has the task believe that a worker runs it, and notes the tries that it sends."""
    sent: list[dict[str, Any]] = []

    def run(retries=0, *, fails: Exception | None = None):
        def apply_async(_, args, kwargs, **options):
            if fails:
                raise fails
            sent.append({"args": tuple(args), **options})

        monkeypatch.setattr(retirement._Tried, "apply_async", apply_async)
        given = {"id": "1", "args": (7, ["ann"]), "kwargs": {}, "retries": retries, "called_directly": False}
        task = retirement.forget_events
        task.push_request(**given, is_eager=False, delivery_info={})
        try:
            task.run(7, ["ann"])
        finally:
            task.pop_request()
        return sent

    run.sent = sent  # type: ignore[attr-defined]
    return run


def test_the_store_forgets_who_is_retired(ann, store, caplog):
    with caplog.at_level(logging.INFO):
        retire(ann)
    assert tracked(store) == ["ben"]
    assert "tracking logs forgotten user=7 events=2" in caplog.text
    retire(ann)
    assert tracked(store) == ["ben"]


def test_a_learner_who_was_renamed_is_known_by_number_and_first_name(store):
    user = User.objects.create(pk=8, username="retired__user_8")
    UserRetirementStatus.objects.create(user=user, original_username="ben")
    User.objects.create(pk=77, username="other")
    retire(user)
    assert tracked(store) == ["ann", "ann"]


def test_an_lms_that_names_no_store_has_nothing_to_forget(ann, caplog, settings, tmp_path, monkeypatch):
    new_store(tmp_path, "tracking")
    monkeypatch.chdir(tmp_path)
    settings.HOME = tmp_path
    with caplog.at_level(logging.INFO):
        retire(ann)
    assert "tracking logs left alone user=7: no COMPLETION_AGGREGATOR_TRACKING_STORE is set" in caplog.text


def test_the_pipeline_hears_of_a_broker_that_does_not_answer(ann, store, settings, monkeypatch):
    def fail(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(retirement._Tried, "apply_async", fail)
    with pytest.raises(OperationalError, match="connection refused"):
        retire(ann)


def test_monitors_see_no_name(ann, store, monkeypatch):
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(retirement._Tried, "apply_async", lambda _, **options: sent.append(options))
    retire(ann)
    assert sent == [{"args": (7, ["ann"]), "argsrepr": "(7, ...)"}]


@pytest.mark.parametrize(("retries", "wait"), [(0, 60), (1, 120), (4, 900), (50_000, 900)])
def test_while_logs_are_loaded_it_is_tried_again_without_end(store, request_of, caplog, retries, wait):
    with store.writing(), pytest.raises(Retry):
        request_of(retries)
    assert [(each["args"], each["countdown"], each["argsrepr"]) for each in request_of.sent] == [
        ((7, ["ann"]), wait, "(7, ...)")
    ]
    assert f"not forgotten yet user=7, tried again in {wait} s: {store.folder} is being written by" in caplog.text
    assert "ann" not in caplog.text
    assert tracked(store) == ["ann", "ann", "ben"]
    assert request_of(retries + 1) == request_of.sent
    assert tracked(store) == ["ben"]


def test_a_store_that_is_not_there_is_waited_for(request_of, settings, tmp_path, caplog):
    settings.COMPLETION_AGGREGATOR_TRACKING_STORE = str(tmp_path / "not mounted")
    with pytest.raises(Retry):
        request_of()
    assert "no store of tracking logs in" in caplog.text


def test_a_try_that_cannot_be_sent_stays_where_it_is(store, request_of):
    with store.writing(), pytest.raises(Reject) as rejected:
        request_of(fails=OperationalError("connection refused"))
    assert vars(rejected.value)["requeue"]


def test_what_no_try_can_do_is_told_with_what_to_do(store, tmp_path, caplog):
    lines = [line(9, username="eve", context=event()["context"] | {"user_id": number}) for number in (17, 18)]
    load(store, put(tmp_path / f"{LOG}-late", b"\n".join(lines)))
    eve = User.objects.create(pk=6, username="eve")
    with pytest.raises(tracking.InvalidRequest, match="id:17, id:18"):
        retire(eve)
    retirement.forget_events.apply(args=(6, ["eve"]), throw=False)  # as a worker does
    assert "not forgotten user=6: this name was seen with several numbers" in caplog.text
    assert "forget the learner where the store is: tracking people forget id:6 --yes" in caplog.text


def test_a_store_that_is_set_no_more_is_told_with_what_to_do(request_of, caplog):
    assert request_of() == []
    assert "no store is set any more; forget the learner where the store is: tracking people forget id:7" in caplog.text
