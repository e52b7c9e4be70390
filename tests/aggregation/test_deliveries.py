"""Whoever is to be told of a threshold is told, whatever fails: receivers exactly once, webhooks with one key."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from datetime import timedelta
from io import StringIO
from pathlib import Path
from time import monotonic, time
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.deliveries import FIRST_PAUSE, LONGEST_PAUSE, MOST_ATTEMPTS
from completion_aggregator.api import ThresholdReached, threshold_reached
from completion_aggregator.models import Crossing, Delivery, StaleCompletion
from tests.aggregation.builders import KEY, SMALL, UNSTORABLE, complete, course, learner, learners, small, usage
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.aggregation.processes import Child
from tests.aggregation.receiving import SECRET, SLOW, Endpoint, badge, endpoint
from tests.docs.pages import fences
from tests.fakes.platform import FakePlatform

TABLE = Delivery._meta.db_table
REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def watched(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"chapter": [1.0]}


@pytest.fixture
def hook(settings: Any) -> Iterator[Endpoint]:
    with endpoint() as each:
        settings.COMPLETION_AGGREGATOR_WEBHOOKS = [each.setting]
        yield each


@pytest.fixture
def heard() -> Iterator[list[ThresholdReached]]:
    """Receive the signal, and keep what it says."""
    kept: list[ThresholdReached] = []

    def keep(sender: Any, reached: ThresholdReached, **_: Any) -> None:
        kept.append(reached)

    threshold_reached.connect(keep)
    yield kept
    threshold_reached.disconnect(keep)


@contextmanager
def connected(receiver: Callable[..., None]) -> Iterator[None]:
    threshold_reached.connect(receiver)
    try:
        yield
    finally:
        threshold_reached.disconnect(receiver)


@pytest.fixture
def badges() -> Iterator[None]:
    threshold_reached.connect(badge)
    yield
    threshold_reached.disconnect(badge)


def reach(platform: FakePlatform, *names: str) -> list[Any]:
    """Let these learners finish the second chapter."""
    small(platform)
    users = [learner(platform, name) for name in names]
    for user in users:
        for leaf in ("e", "f"):
            complete(user, leaf)
    api.refresh_course(KEY)
    return users


def wait_is_over() -> None:
    Delivery.objects.filter(due_at__isnull=False).update(due_at=timezone.now())


def rows() -> list[tuple[int, str, bool, bool]]:
    """Return attempts, error, whether it was delivered, whether it is still to be."""
    found = Delivery.objects.order_by("id")
    return [(r.attempts, r.error, r.delivered_at is not None, r.due_at is not None) for r in found]


def test_a_webhook_gets_the_whole_crossing_signed(platform: FakePlatform, hook: Endpoint) -> None:
    (ana,) = reach(platform, "ana")
    assert hook.posts == []  # never in the request, or the refresh

    assert api.deliver() == 1
    ((line, headers, body),) = hook.posts
    crossing = Crossing.objects.get()
    assert json.loads(body) == {
        "type": "threshold_reached", "event_id": crossing.event_id, "user_id": ana.pk, "username": "ana",
        "course_key": str(KEY), "block_key": str(usage("chapter", "c2")), "block_type": "chapter", "threshold": 1.0,
        "percent": 1.0, "reached_at": crossing.reached_at.isoformat(), "crossing": 1,
    }  # fmt: skip
    assert line == "POST /hook?token=in-the-address"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == crossing.event_id
    assert abs(int(headers["Completion-Timestamp"]) - time()) < 60
    signed = headers["Completion-Timestamp"].encode() + b"." + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["Completion-Signature"] == f"sha256={digest}"
    assert rows() == [(1, "", True, False)]
    assert (api.deliver(), len(hook.posts)) == (0, 1)


def test_a_failure_is_tried_again_later_with_the_same_key(platform: FakePlatform, hook: Endpoint) -> None:
    reach(platform, "ana")
    hook.answers = [500, 503]
    pauses: list[timedelta] = []
    for error in ("answered 500", "answered 503"):
        before = timezone.now()
        assert api.deliver() == 0
        assert rows() == [(len(pauses) + 1, error, False, True)]
        due_at = Delivery.objects.get().due_at
        assert due_at is not None
        pauses.append(due_at - before)
        assert (api.deliver(), len(hook.posts)) == (0, len(pauses))  # not before it is due
        wait_is_over()
    assert api.deliver() == 1

    assert rows() == [(3, "", True, False)]
    assert hook.keys == [Crossing.objects.get().event_id] * 3
    assert hook.bodies[0] == hook.bodies[1] == hook.bodies[2]
    assert [timedelta(0) <= pause - n * FIRST_PAUSE < timedelta(seconds=15) for n, pause in enumerate(pauses, 1)] == [
        True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (302, "answered 302: redirects are not followed"),
        (307, "answered 307: redirects are not followed"),
        (304, "answered 304"),
        (404, "answered 404"),
        ("hang", "no answer"),
        ("drip", "no answer within 0.5 s"),
    ],
)
def test_what_is_no_yes_is_a_failure_and_soon_over(
    platform: FakePlatform, hook: Endpoint, answer: int | str, error: str
) -> None:
    reach(platform, "ana")
    hook.answers = [answer]
    start = monotonic()
    assert api.deliver(patience=0.5) == 0
    assert monotonic() - start < 5
    ((attempts, said, delivered, open_),) = rows()
    assert (attempts, delivered, open_) == (1, False, True)
    assert said.startswith(error)
    assert [line for line, *_ in hook.posts] == ["POST /hook?token=in-the-address"]


def test_nobody_there_is_a_failure_and_holds_up_no_other(platform: FakePlatform, hook: Endpoint, settings: Any) -> None:
    nobody = {"url": "http://127.0.0.1:9/token-in-the-path", "secret": SECRET}
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [nobody, hook.setting]
    reach(platform, "ana", "ben")
    assert api.deliver() == 2
    # The first rests after its first failure.
    assert sorted(rows()) == [
        (0, "", False, True),
        (1, "", True, False),
        (1, "", True, False),
        (1, "no answer: ConnectionError", False, True),
    ]


def told() -> dict[str, str]:
    """Return who was told ("yes"), was tried, or neither, by username, in the order in which they are tried."""
    found = Delivery.objects.select_related("crossing__user").order_by("id")
    return {
        row.crossing.user.username: "yes" if row.delivered_at else "tried" if row.attempts else "no" for row in found
    }


def test_who_is_refused_keeps_no_other_waiting(platform: FakePlatform, hook: Endpoint) -> None:
    users = reach(platform, *"abcdefgh")
    # Of some learners the endpoint knows nothing, at whatever attempt.
    hook.refused = {user.pk for user in users[:2]}
    assert api.deliver() == 6
    assert told() == dict.fromkeys("ab", "tried") | dict.fromkeys("cdefgh", "yes")

    (other,) = reach(platform, "other")
    hook.refused.add(other.pk)
    reach(platform, "new")
    wait_is_over()
    assert api.deliver() == 1  # behind three in a row, of whom two were refused before
    assert told() == dict.fromkeys(("a", "b", "other"), "tried") | dict.fromkeys((*"cdefgh", "new"), "yes")
    assert [body["username"] for body in hook.bodies[-2:]] == ["other", "new"]


@pytest.mark.parametrize("answer", [400, 401, 404, 410])
def test_an_endpoint_that_refuses_three_in_a_row_rests(platform: FakePlatform, hook: Endpoint, answer: int) -> None:
    reach(platform, *"abcdefgh")
    hook.answers = [answer, answer, 204, answer, answer, answer]
    assert api.deliver() == 1
    assert list(told().values()) == ["tried", "tried", "yes", "tried", "tried", "tried", "no", "no"]


@pytest.mark.parametrize("answer", [302, 304, 429, 500, 503, "hang"])
def test_an_endpoint_that_is_down_rests_at_once(platform: FakePlatform, hook: Endpoint, answer: int | str) -> None:
    reach(platform, *"abc")
    hook.answers = [204, answer]
    assert api.deliver(patience=0.5) == 1
    assert list(told().values()) == ["yes", "tried", "no"]


def test_users_who_are_gone_say_nothing_of_the_endpoint(platform: FakePlatform, hook: Endpoint) -> None:
    users = reach(platform, *"abcde")
    gone = [user.pk for user in users[:4]]
    Crossing.objects.filter(user_id__in=gone).update(user_id=F("user_id") + 1000)
    assert api.deliver() == 1
    assert sorted(rows()) == [(1, "", True, False), *[(1, "the user is gone", False, True)] * 4]
    Crossing.objects.exclude(user_id=users[4].pk).delete()  # what the database of a test would not stand for


def test_telling_a_slow_endpoint_ends_in_time(platform: FakePlatform, hook: Endpoint) -> None:
    reach(platform, *[f"user {number}" for number in range(10)])
    hook.answers = ["slow"] * 10
    # Begun at 0, 0.3, 0.6 and 0.9 seconds at the soonest.
    assert 1 <= api.deliver(seconds=3.5 * SLOW) <= 4
    assert len(hook.posts) <= 4


def test_telling_ends_when_somebody_says_so(platform: FakePlatform, hook: Endpoint) -> None:
    reach(platform, *"abcde")
    assert api.deliver(stopped=lambda: len(hook.posts) == 2) == 2
    assert list(told().values()) == ["yes", "yes", "no", "no", "no"]


def test_a_broken_receiver_rests_and_does_not_fill_the_log(platform: FakePlatform, caplog: Any) -> None:
    def fail(sender: Any, reached: ThresholdReached, **_: Any) -> None:
        raise RuntimeError("no badges today")

    def tracebacks() -> list[bool]:
        found = [record.exc_info is not None for record in caplog.records if "delivery=" in record.getMessage()]
        caplog.clear()
        return found

    threshold_reached.connect(fail)
    try:
        reach(platform, *"abcdefgh")
        caplog.clear()
        assert api.deliver() == 0
        assert (sorted(told().values()), tracebacks()) == (["no"] * 5 + ["tried"] * 3, [True] * 3)
        Delivery.objects.filter(attempts=0).update(due_at=None)
        wait_is_over()
        assert api.deliver() == 0
        assert tracebacks() == [False] * 3
    finally:
        threshold_reached.disconnect(fail)


def test_after_the_last_attempt_it_is_given_up_until_somebody_says_otherwise(
    platform: FakePlatform, hook: Endpoint
) -> None:
    reach(platform, "ana")
    hook.answers = [500] * MOST_ATTEMPTS
    for _ in range(MOST_ATTEMPTS):
        before = timezone.now()
        wait_is_over()
        api.deliver()
        due_at = Delivery.objects.get().due_at
        assert due_at is None or due_at - before <= LONGEST_PAUSE + timedelta(seconds=15)
    assert rows() == [(MOST_ATTEMPTS, "answered 500", False, False)]
    (status,) = api.delivery_status()
    assert (status.waiting, status.failing, status.given_up, status.error) == (0, 0, 1, "answered 500")

    said = StringIO()
    call_command("run_aggregator_service", retry_set_aside=True, stderr=said, stdout=StringIO())
    assert "1 deliveries are tried again." in said.getvalue()
    assert rows() == [(1, "", True, False)]


def test_secrets_and_addresses_are_shown_nowhere(platform: FakePlatform, hook: Endpoint, caplog: Any) -> None:
    reach(platform, "ana")
    hook.answers = ["hang"]
    api.deliver(patience=0.2)
    shown = StringIO()
    for options in ({}, {"json": True}):
        call_command("aggregator_status", stdout=shown, **options)
    everywhere = caplog.text + shown.getvalue() + str(list(Delivery.objects.values()))
    assert "127.0.0.1" in everywhere
    assert "no answer" in everywhere
    assert SECRET not in everywhere
    assert "in-the-address" not in everywhere


def test_the_status_says_what_each_endpoint_waits_for(
    platform: FakePlatform, hook: Endpoint, heard: list[Any], settings: Any
) -> None:
    with endpoint("/other") as other:
        settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting, other.setting]
        reach(platform, "ana", "ben")
        hook.answers = [500]
        api.deliver()
        settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting]
        reach(platform, "cleo")
        shown = StringIO()
        call_command("aggregator_status", "--json", stdout=shown)
    oldest = Crossing.objects.order_by("id").first()
    host = hook.url.split("/")[2]
    assert json.loads(shown.getvalue())["deliveries"] == [
        {
            "endpoint": "receivers", "waiting": 1, "oldest": Crossing.objects.latest("id").reached_at.isoformat(),
            "failing": 0, "given_up": 0, "error": "",
        },
        {
            "endpoint": host, "waiting": 3, "oldest": oldest and oldest.reached_at.isoformat(), "failing": 1,
            "given_up": 0, "error": "answered 500",
        },
    ]  # fmt: skip


def test_what_waits_for_an_endpoint_that_is_not_set_any_more_is_kept_and_shown(
    platform: FakePlatform, hook: Endpoint, settings: Any
) -> None:
    reach(platform, "ana")
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = []
    assert api.deliver() == 0
    (status,) = api.delivery_status()
    assert (status.name, status.waiting) == ("", 1)
    shown = StringIO()
    call_command("aggregator_status", stdout=shown)
    assert "an endpoint that is not set any more  1 waiting" in shown.getvalue()

    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting]
    assert (api.deliver(), len(hook.posts)) == (1, 1)


def test_receivers_get_a_frozen_record(platform: FakePlatform, heard: list[ThresholdReached]) -> None:
    (ana,) = reach(platform, "ana")
    assert heard == []
    assert api.deliver() == 1
    row = Crossing.objects.get()
    assert heard == [
        ThresholdReached(
            event_id=UUID(row.event_id), user_id=ana.pk, username="ana", course_key=KEY,
            block_key=usage("chapter", "c2"), block_type="chapter", threshold=1.0, percent=1.0,
            reached_at=row.reached_at, crossing=1,
        )
    ]  # fmt: skip
    with pytest.raises(FrozenInstanceError):
        heard[0].percent = 2.0  # type: ignore[misc]
    assert (api.deliver(), len(heard)) == (0, 1)


def test_a_receiver_that_fails_undoes_what_the_others_wrote_and_all_are_told_again(
    platform: FakePlatform, badges: None, caplog: Any
) -> None:
    reach(platform, "ana", "ben")
    broken = ["ana"]

    def fail(sender: Any, reached: ThresholdReached, **_: Any) -> None:
        if reached.username in broken:
            raise RuntimeError("no badge for you")

    threshold_reached.connect(fail)
    try:
        assert api.deliver() == 1
        assert list(Group.objects.values_list("name", flat=True)) == ["ben c2 1"]
        assert sorted(rows()) == [(0, "", True, False), (1, "RuntimeError: no badge for you", False, True)]
        broken.clear()
        wait_is_over()
        assert api.deliver() == 1
    finally:
        threshold_reached.disconnect(fail)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["ana c2 1", "ben c2 1"]


@pytest.mark.parametrize(("text", "stored"), UNSTORABLE)
def test_an_error_that_no_database_takes_is_stored_all_the_same_and_the_others_are_told(
    platform: FakePlatform, caplog: Any, text: str, stored: str
) -> None:
    caplog.set_level("CRITICAL")  # the reports of tests cannot hold such texts either

    def fail(sender: Any, reached: ThresholdReached, **_: Any) -> None:
        if reached.username == "ana":
            raise RuntimeError(text)

    threshold_reached.connect(fail)
    try:
        reach(platform, "ana", "ben")
        assert api.deliver() == 1
    finally:
        threshold_reached.disconnect(fail)
    assert sorted(rows()) == [(0, "", True, False), (1, f"RuntimeError: {stored}", False, True)]


def documented(first_line: str) -> dict[str, Any]:
    """Run the block of the page on thresholds that begins so; return its names."""
    page = (REPOSITORY / "docs" / "how-to" / "react-to-progress.md").read_text()
    (block,) = (each.body for each in fences(page) if each.body.startswith(first_line))
    names: dict[str, Any] = {"__name__": "documented"}
    exec(block, names)
    return names


def test_the_documented_receiver_graduates_whoever_finishes_a_course(platform: FakePlatform, settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_THRESHOLDS = {"course": [0.5, 1.0], "chapter": [1.0]}
    graduate = documented("from django.contrib.auth.models import Group")["graduate"]
    try:
        ana, _ = reach(platform, "ana", "ben")
        for leaf in "abc":
            complete(ana, leaf)
        api.refresh_course(KEY)
        assert api.deliver() == 5
    finally:
        assert threshold_reached.disconnect(graduate, dispatch_uid="graduates")
    assert list(Group.objects.values_list("name", "user__username")) == [(f"graduates of {KEY}", "ana")]


def test_the_documented_check_takes_what_is_genuine_and_nothing_else(platform: FakePlatform, hook: Endpoint) -> None:
    reach(platform, "ana")
    api.deliver()
    ((_, headers, body),) = hook.posts
    names = documented('"""Take crossings')
    is_genuine = names["is_genuine"]
    assert not is_genuine(headers, body)  # another secret
    names["SECRET"] = SECRET
    assert is_genuine(headers, body)
    assert not is_genuine(headers, body + b" ")
    later = {**headers, "Completion-Timestamp": str(int(headers["Completion-Timestamp"]) + 1)}
    assert not is_genuine(later, body)
    assert not is_genuine(headers, body, tolerance=-1)  # as a replay, minutes later


def test_without_receivers_and_webhooks_nothing_is_written_and_nothing_asked(platform: FakePlatform) -> None:
    reach(platform, "ana")
    assert (Crossing.objects.count(), Delivery.objects.count()) == (1, 0)
    with connection.execute_wrapper(never):
        assert api.deliver() == 0


def never(execute: Any, sql: str, *_: Any) -> Any:
    pytest.fail(f"asked {sql}")


def killed_before(text: str, *, with_receiver: bool) -> None:
    child = Child("tests.aggregation.receiving.deliver_and_hang", text, with_receiver, graph=course(*SMALL))
    assert text in child.receive()
    child.kill()


def soon(work: Callable[[], int]) -> int:
    """Do *work* until it does something; a server may take a moment to see that a client is gone."""
    end = monotonic() + 5
    while True:
        done = work()
        if done or monotonic() > end:
            return done


def test_after_a_kill_between_receiver_and_mark_what_receivers_write_is_there_once(
    platform: FakePlatform, badges: None
) -> None:
    reach(platform, "ana")
    killed_before(connection.ops.quote_name("delivered_at") + " = ", with_receiver=True)

    assert Group.objects.count() == 0
    assert soon(api.deliver) == 1
    assert list(Group.objects.values_list("name", flat=True)) == ["ana c2 1"]
    assert api.deliver() == 0


def test_after_a_kill_between_post_and_mark_it_is_posted_again_with_the_same_key_when_the_lease_is_over(
    platform: FakePlatform, hook: Endpoint
) -> None:
    reach(platform, "ana")
    killed_before(connection.ops.quote_name("delivered_at") + " = ", with_receiver=False)
    assert len(hook.posts) == 1
    assert rows() == [(1, "", False, True)]
    assert (api.deliver(), len(hook.posts)) == (0, 1)

    wait_is_over()
    assert soon(api.deliver) == 1
    assert hook.keys == [Crossing.objects.get().event_id] * 2
    assert rows() == [(2, "", True, False)]


def test_after_a_kill_between_commit_and_delivery_it_is_delivered(platform: FakePlatform, hook: Endpoint) -> None:
    small(platform)
    ana = learner(platform, "ana")
    for leaf in ("e", "f"):
        complete(ana, leaf)
    # What the service does first after its batches: it looks for what is due.
    child = Child(
        "tests.aggregation.work.serve", "FROM " + quoted("completion_aggregator_delivery"), {}, graph=course(*SMALL)
    )
    child.receive()
    assert (Crossing.objects.count(), hook.posts) == (1, [])
    child.kill()
    assert soon(api.deliver) == 1
    assert hook.keys == [Crossing.objects.get().event_id]


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def test_many_services_at_once_send_each_delivery_once(platform: FakePlatform, hook: Endpoint, badges: None) -> None:
    small(platform)
    for user in learners(platform, 12):
        for leaf in ("e", "f"):
            complete(user, leaf)
    api.refresh_course(KEY)
    with Crew() as crew:
        services = [crew.start(api.deliver)[0] for _ in range(4)]
        assert sum(each.result(PATIENCE) for each in services) == 24
    assert sorted(hook.keys) == sorted(Crossing.objects.values_list("event_id", flat=True))
    assert Group.objects.count() == 12


@pytest.mark.services
def test_a_delivery_that_another_service_has_is_left_to_it(platform: FakePlatform, hook: Endpoint) -> None:
    reach(platform, "ana")
    with Crew() as crew:
        first, stop = crew.start(api.deliver, stop_at="UPDATE " + quoted("completion_aggregator_delivery"))
        stop.reached()  # it holds the lock
        assert crew.do(api.deliver) == 0
        stop.release()
        assert first.result(PATIENCE) == 1
    assert len(hook.posts) == 1


def test_the_service_tells_and_the_cleanup_forgets(platform: FakePlatform, hook: Endpoint) -> None:
    small(platform)
    ana = learner(platform, "ana")
    for leaf in ("e", "f"):
        complete(ana, leaf)
    call_command("run_aggregator_service", stdout=StringIO())
    assert len(hook.posts) == 1

    said = StringIO()
    call_command("run_aggregator_cleanup", stdout=said)
    assert (Delivery.objects.count(), "deliveries" in said.getvalue()) == (1, False)
    Delivery.objects.update(delivered_at=timezone.now() - timedelta(days=31))
    call_command("run_aggregator_cleanup", stdout=said)
    assert (Delivery.objects.count(), Crossing.objects.count()) == (0, 1)
    assert "1 deliveries deleted" in said.getvalue()


def test_the_cleanup_forgets_what_waits_for_webhooks_that_are_not_set_any_more(
    platform: FakePlatform, hook: Endpoint, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting, {**hook.setting, "url": "https://example.org/gone"}]
    with connected(badge):
        reach(platform, "old", "given up", "new")
    given_up, new = (Delivery.objects.filter(crossing__user__username=name) for name in ("given up", "new"))
    given_up.update(due_at=None, attempts=MOST_ATTEMPTS)
    month_ago = timezone.now() - timedelta(days=31)
    Crossing.objects.exclude(event_id__in=new.values("crossing_id")).update(reached_at=month_ago)

    assert cleaned_up() == "0 resolved rows deleted.\n"
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting]
    assert cleaned_up().splitlines() == [
        "0 resolved rows deleted.", "2 old deliveries deleted to webhooks that are not set any more.",
    ]  # fmt: skip
    left = Delivery.objects.values_list("crossing__user__username", flat=True)
    assert sorted(left) == ["given up"] * 2 + ["new"] * 3 + ["old"] * 2
    assert Delivery.objects.filter(endpoint="receivers").count() == 3


def cleaned_up() -> str:
    # What the refreshes of a test leave is none of ours.
    StaleCompletion.objects.filter(resolved=True).delete()
    said = StringIO()
    call_command("run_aggregator_cleanup", stdout=said)
    return said.getvalue()


def test_what_is_given_up_is_tried_again_only_where_somebody_can_be_told(
    platform: FakePlatform, hook: Endpoint, settings: Any
) -> None:
    with connected(badge):
        reach(platform, "ana")
    Delivery.objects.update(due_at=None)
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = []
    assert api.take_back_deliveries() == 1  # receivers
    settings.COMPLETION_AGGREGATOR_WEBHOOKS = [hook.setting]
    assert api.take_back_deliveries() == 1
    assert [open_ for *_, open_ in rows()] == [True, True]


def test_a_large_table_is_not_read_to_clean_up_try_again_or_tell(
    platform: FakePlatform, hook: Endpoint, vendor: str
) -> None:
    reach(platform, "ana")
    now, event_id = timezone.now(), Crossing.objects.get().event_id
    Delivery.objects.bulk_create(
        Delivery(crossing_id=event_id, endpoint=str(number), delivered_at=now - timedelta(seconds=number))
        for number in range(5000)
    )
    with connection.cursor() as cursor:  # a server's guess at what is in the table comes late otherwise
        cursor.execute({"mysql": f"ANALYZE TABLE {TABLE}", "postgresql": f"ANALYZE {TABLE}"}.get(vendor, "SELECT 1"))
    month_ago = now - timedelta(days=31)
    with CaptureQueriesContext(connection) as caught:
        assert sum([*api.delete_delivered(before=month_ago), *api.delete_forsaken(before=month_ago)]) == 0
        assert api.take_back_deliveries() == 0
        assert [each.waiting for each in api.delivery_status()] == [1]
    asked = [each["sql"] for each in caught.captured_queries if "delivered_at" in each["sql"]]
    assert len(asked) == 4
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"{'EXPLAIN QUERY PLAN' if vendor == 'sqlite' else 'EXPLAIN'} {sql}")
            assert "delivery_delivered_due_idx" in str(cursor.fetchall()), sql


def test_a_user_whose_row_is_gone_ends_in_a_failure_that_is_seen(platform: FakePlatform, hook: Endpoint) -> None:
    (ana,) = reach(platform, "ana")
    Crossing.objects.update(user_id=ana.pk + 1000)  # as SQL that knows nothing of us leaves it
    assert api.deliver() == 0
    assert rows() == [(1, "the user is gone", False, True)]
    assert hook.posts == []
    Crossing.objects.all().delete()
