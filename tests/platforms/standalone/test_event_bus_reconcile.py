import json
import re
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.event_bus import lms_api, places
from completion_aggregator.platforms.standalone.models import Course, LmsUser
from tests.platforms.standalone.builders import KEY, course, facts, learner, stale_rows, usage

pytestmark = pytest.mark.django_db

ONE, TWO = usage("html", "one"), usage("html", "two")
TOKEN = "staff-token"


class Lms:
    """Answers as the Course Blocks API does; ``failures`` are given first."""

    def __init__(self) -> None:
        self.completions: dict[str, dict[str, float]] = {}
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.refused: dict[str, int] = {}
        self.clock: str | None = None
        self.body: bytes | None = None
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str, token: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(asked["username"])
        if self.failures:
            return (*self.failures.pop(0), {"developer_message": "later"})
        if asked["username"] in self.refused:
            return self.refused[asked["username"]], {}, {"developer_message": "no"}
        if token != f"Bearer {TOKEN}":
            return 401, {}, {"developer_message": "Invalid token."}
        if (parts.path, asked["course_id"], asked["depth"]) != ("/api/courses/v1/blocks/", str(KEY), "all"):
            return 400, {}, {"field_errors": {}}
        if asked["username"] not in self.completions:
            return 404, {}, {"developer_message": f"Requested user '{asked['username']}' does not exist."}
        return 200, {}, {"root": usage("course", "course"), "blocks": self._blocks(asked["username"])}

    def _blocks(self, username: str) -> dict[str, dict[str, Any]]:
        done = self.completions[username]
        tree = {usage("course", "course"): [usage("chapter", "c")], usage("chapter", "c"): [ONE, TWO]}
        blocks = {key: {"id": key, "children": children, "completion": None} for key, children in tree.items()}
        return blocks | {key: {"id": key, "completion": done.get(key, 0.0)} for key in (ONE, TWO)}


@contextmanager
def served(lms: Lms):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = lms.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            payload = json.dumps(body).encode() if lms.body is None else lms.body
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def date_time_string(self, timestamp=None):
            return lms.clock or super().date_time_string(timestamp)

        def log_message(self, *args):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        lms.url = f"http://127.0.0.1:{server.server_port}"
        yield lms
        server.shutdown()


@pytest.fixture
def lms():
    with served(Lms()) as found:
        yield found


@pytest.fixture
def reconcile(lms, monkeypatch, capsys):
    """Run the command; return the exit status and the summary."""
    monkeypatch.setenv("LMS_TOKEN", TOKEN)

    def run(*options: str):
        status = 0
        arguments = ("--lms-url", lms.url, "--token-env", "LMS_TOKEN", "--seconds", "0", "--json")
        try:
            call_command("reconcile_from_lms", str(KEY), *arguments, *options)
        except SystemExit as ended:
            status = int(str(ended.code))
        return status, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def waits(monkeypatch):
    """The pauses that are made, none of which takes time."""
    found: list[float] = []
    monkeypatch.setattr("time.sleep", lambda pause: found.append(pause) if pause else None)
    return found


@pytest.fixture
def interrupted_at(monkeypatch):
    """Interrupt, meanwhile, where that learner is asked for."""

    @contextmanager
    def interrupted_at(name):
        ask = lms_api.BlocksApi.completions_of

        def interrupted(self, username, course_key):
            if username == name:
                raise KeyboardInterrupt
            return ask(self, username, course_key)

        with monkeypatch.context() as patch:
            patch.setattr(lms_api.BlocksApi, "completions_of", interrupted)
            yield

    return interrupted_at


@pytest.fixture
def class_of_two(lms):
    """Ana and ben, as events told of them, each with one block done an hour ago."""
    course()
    for number, name in enumerate(("ana", "ben"), start=1):
        user = learner(name)
        LmsUser.objects.create(lms_id=number, user=user, named_at=datetime.now(UTC))
        BlockCompletion.objects.submit_completion(user, KEY.make_usage_key("html", "one"), 1.0)
        lms.completions[name] = {ONE: 1.0}
    BlockCompletion.objects.update(modified=datetime.now(UTC) - timedelta(hours=1))
    StaleCompletion.objects.all().delete()


def summary(learners, differing=0, differences=0, mended=0, unanswered=()):
    return {
        "learners": learners,
        "differing": differing,
        "differences": differences,
        "mended": mended,
        "unanswered": list(unanswered),
    }


def test_what_agrees_is_left_as_it_is(class_of_two, reconcile):
    before = list(BlockCompletion.objects.order_by("id").values())
    assert reconcile() == (0, summary(2))
    assert (list(BlockCompletion.objects.order_by("id").values()), stale_rows()) == (before, set())


def test_what_differs_is_taken_over_and_marked(class_of_two, lms, reconcile):
    lms.completions["ana"] = {ONE: 0.5, TWO: 1.0}
    lms.completions["ben"] = {}
    assert reconcile() == (0, summary(2, differing=2, differences=3, mended=3))
    assert facts() == {("ana", ONE): 0.5, ("ana", TWO): 1.0, ("ben", ONE): 0.0}
    assert stale_rows() == {("ana", str(KEY), ONE), ("ana", str(KEY), TWO), ("ben", str(KEY), ONE)}
    assert reconcile() == (0, summary(2))


def test_a_dry_run_tells_and_changes_nothing(class_of_two, lms, reconcile):
    lms.completions["ana"] = {ONE: 1.0, TWO: 1.0}
    assert reconcile("--dry-run") == (0, summary(2, differing=1, differences=1))
    assert (len(facts()), stale_rows()) == (2, set())


def test_a_real_run_after_an_interrupted_dry_run_looks_at_everybody(class_of_two, lms, reconcile, interrupted_at):
    lms.completions["ana"] = {ONE: 0.5}
    with interrupted_at("ben"), pytest.raises(KeyboardInterrupt):
        reconcile("--dry-run")
    assert reconcile() == (0, summary(2, differing=1, differences=1, mended=1))


def test_a_dry_run_leaves_an_interrupted_run_where_it_stopped(class_of_two, lms, reconcile, interrupted_at):
    with interrupted_at("ben"), pytest.raises(KeyboardInterrupt):
        reconcile()
    assert reconcile("--dry-run", "--restart") == (0, summary(2))
    assert reconcile() == (0, summary(1))


def test_what_came_while_the_lms_answered_stands(class_of_two, lms, reconcile):
    BlockCompletion.objects.filter(user__username="ana").update(modified=datetime.now(UTC) + timedelta(minutes=1))
    lms.completions["ana"] = {ONE: 0.25}
    assert reconcile("--user", "ana") == (0, summary(1))
    assert facts()["ana", ONE] == 1.0


def test_one_learner_alone(class_of_two, lms, reconcile):
    assert reconcile("--user", "ben") == (0, summary(1))
    assert lms.asked == ["ben"]
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        reconcile("--user", "nobody")


def test_a_learner_without_a_name_is_not_asked_for(class_of_two, lms, reconcile):
    LmsUser.objects.filter(user__username="ana").update(named_at=None)
    assert reconcile() == (0, summary(1))
    assert lms.asked == ["ben"]


def test_a_learner_whom_the_lms_does_not_know_holds_up_nobody(class_of_two, lms, reconcile):
    del lms.completions["ana"]
    ana = get_user_model().objects.get(username="ana").pk
    assert reconcile() == (1, summary(2, unanswered=[ana]))
    assert lms.asked == ["ana", "ben"]


def test_it_waits_as_long_as_it_is_told_and_longer_after_each_failure(class_of_two, lms, reconcile, waits):
    lms.failures = [(429, {"Retry-After": "7"}), (503, {}), (500, {})]
    assert reconcile("--user", "ana") == (0, summary(1))
    assert waits == [7.0, 4.0, 8.0]
    assert lms.asked == ["ana"] * 4


def test_after_five_attempts_the_next_learner_is_asked_for(class_of_two, lms, reconcile, waits):
    lms.failures = [(502, {})] * 5
    status, found = reconcile()
    assert (status, found["learners"], len(found["unanswered"])) == (1, 2, 1)
    assert lms.asked == ["ana"] * 5 + ["ben"]


def test_it_goes_on_where_it_stopped(class_of_two, lms, reconcile, interrupted_at):
    with interrupted_at("ben"), pytest.raises(KeyboardInterrupt):
        reconcile()
    assert reconcile() == (0, summary(1))
    assert lms.asked == ["ana", "ben"]
    assert reconcile() == (0, summary(2))


def test_a_refused_token_ends_it(class_of_two, reconcile, monkeypatch):
    monkeypatch.setenv("LMS_TOKEN", "wrong")
    with pytest.raises(CommandError, match="refuses the token") as error:
        reconcile("--user", "ana")
    assert error.value.returncode == 2


@pytest.mark.parametrize("status", [301, 302, 307])
def test_it_is_not_sent_elsewhere_with_its_token(class_of_two, lms, reconcile, status):
    with served(Lms()) as other:
        lms.failures = [(status, {"Location": f"{other.url}/api/courses/v1/blocks/"})]
        with pytest.raises(CommandError, match=f"answered with status {status}"):
            reconcile("--user", "ana")
        assert other.asked == []


@pytest.mark.parametrize("url", ["http://lms.example.org", "lms.example.org", "ftp://localhost", "https://"])
def test_only_addresses_that_keep_the_token_secret_are_asked(url):
    with pytest.raises(lms_api.UnusableLms, match="needs an https:// address"):
        lms_api.BlocksApi(url, TOKEN, seconds=0)


def test_without_a_token_nobody_is_asked(class_of_two, lms, reconcile, monkeypatch):
    monkeypatch.delenv("LMS_TOKEN")
    with pytest.raises(CommandError, match="LMS_TOKEN holds no token"):
        reconcile()
    assert lms.asked == []


def test_a_learner_costs_a_fixed_number_of_queries(class_of_two, reconcile, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        assert reconcile() == (0, summary(2))


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_for_one_learner_holds_up_nobody(class_of_two, lms, reconcile, status):
    lms.refused = {"ana": status}
    ana = get_user_model().objects.get(username="ana").pk
    assert reconcile() == (1, summary(2, unanswered=[ana]))
    assert lms.asked == ["ana", "ben"]


REST = ("ben", "cem", "dia", "eva", "fay")


@pytest.fixture
def class_of_seven(class_of_two, lms):
    """Five more, of whom nobody has done anything."""
    for number, name in enumerate((*REST[1:], "gus"), start=3):
        LmsUser.objects.create(lms_id=number, user=learner(name), named_at=datetime.now(UTC))
        lms.completions[name] = {}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (400, "the LMS refuses with status 400"),
        (403, "the LMS refuses with status 403"),
        (404, "status 404: the LMS does not have the course"),
        (429, "no answer in 5 attempts: status 429"),
        (502, "no answer in 5 attempts: status 502"),
    ],
)
@pytest.mark.usefixtures("class_of_seven", "waits")
def test_no_answer_for_one_learner_after_the_other_ends_it_and_they_are_asked_for_again(lms, reconcile, status, why):
    lms.refused = dict.fromkeys(REST, status)
    with pytest.raises(CommandError, match=f"5 learners, one behind the other: {why}") as error:
        reconcile()
    assert (error.value.returncode, lms.asked[-1]) == (2, "fay")
    lms.refused = {}
    assert reconcile() == (0, summary(6))


def test_an_lms_that_is_down_is_not_waited_for_once_for_each_learner(class_of_seven, lms, reconcile, waits):
    url, lms.url = lms.url, "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="5 learners, one behind the other: no answer in 5 attempts: Connect"):
        reconcile()
    assert sum(waits) == 5 * 30
    lms.url = url
    assert reconcile() == (0, summary(7))


def test_answers_that_are_none_for_one_learner_after_the_other_end_it(class_of_seven, lms, reconcile):
    lms.body = b"<html>We are back soon.</html>"
    with pytest.raises(CommandError, match="5 learners, one behind the other: the answer is not that of the"):
        reconcile()
    assert lms.asked == ["ana", *REST[:4]]


def test_a_row_of_learners_whom_the_lms_does_not_know_holds_up_nobody(class_of_seven, lms, reconcile):
    unknown = get_user_model().objects.filter(username__in=REST)
    for name in REST:
        del lms.completions[name]
    assert reconcile() == (1, summary(7, unanswered=unknown.order_by("pk").values_list("pk", flat=True)))
    assert lms.asked == ["ana", *REST, "gus"]


def test_a_course_that_is_none_of_ours_is_an_error(lms, reconcile):
    with pytest.raises(CommandError, match=f"There is no course {re.escape(str(KEY))}.") as error:
        reconcile()
    assert (error.value.returncode, lms.asked) == (2, [])


def test_in_a_course_that_was_never_imported_nobody_is_marked(class_of_two, lms, reconcile):
    Course.objects.update(current=None)
    places._with_content.clear()
    lms.completions["ana"] = {ONE: 0.5}
    assert reconcile() == (0, summary(2, differing=1, differences=1, mended=1))
    assert (facts()["ana", ONE], stale_rows()) == (0.5, set())


def test_the_clock_of_the_lms_dates_nothing_into_the_future(class_of_two, lms, reconcile):
    lms.clock, lms.completions["ana"] = "Fri, 01 Jan 2999 00:00:00 GMT", {ONE: 0.25}
    assert reconcile("--user", "ana") == (0, summary(1, differing=1, differences=1, mended=1))
    assert BlockCompletion.objects.get(user__username="ana").modified <= datetime.now(UTC)


@pytest.mark.parametrize("body", [b'{"blocks":' + b"[" * 200_000, b'{"blocks": []}', b"\xff", b"[]", b""])
def test_an_answer_that_is_none_holds_up_nobody(class_of_two, lms, reconcile, body):
    lms.body = body
    status, found = reconcile()
    assert (status, found["learners"], len(found["unanswered"])) == (1, 2, 2)


def test_an_answer_larger_than_any_should_be_is_not_read_to_its_end(class_of_two, lms, reconcile, monkeypatch):
    monkeypatch.setattr(lms_api, "LARGEST", 100)
    status, found = reconcile("--user", "ana")
    assert (status, len(found["unanswered"]), lms.asked) == (1, 1, ["ana"])


def test_an_answer_that_comes_drop_by_drop_is_given_up(monkeypatch):
    gone_on = Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                while not gone_on.wait(0.02):
                    self.wfile.write(b" ")

        def log_message(self, *args):
            """Say nothing."""

    monkeypatch.setattr(lms_api, "LONGEST", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        api = lms_api.BlocksApi(f"http://127.0.0.1:{server.server_port}", TOKEN, seconds=0)
        # Were it read to its end, this would take hours.
        with pytest.raises(lms_api.LearnerUnanswered, match="takes longer"):
            api.completions_of("ana", KEY)
        gone_on.set()
        api.close()
        server.shutdown()
