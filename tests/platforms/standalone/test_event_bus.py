"""From a real producer over a real Redis to a real consumer, in processes of their own."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.models import CohortMembership, Course, Enrollment, RejectedEvent
from tests.conftest import skip_unless_required
from tests.docs.pages import fences
from tests.platforms.standalone import event_bus_lms
from tests.platforms.standalone.builders import KEY, course, facts, leaf, usage
from tests.platforms.standalone.test_cli import MODULE, REPOSITORY, environment_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

NO_REDIS = "needs Redis and the extra event-bus; run it with TEST_REDIS_URL=redis://127.0.0.1:6379/7"
URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/7")
TOPICS = ("completion-lifecycle", "enrollment-lifecycle")
NAMES = ("ana", "ben", "cem", "dia", "eva", "fay")
LEAVES = tuple(f"leaf{number}" for number in range(10))
SECONDS = 300  # for what will never come, not for a slow machine


@pytest.fixture
def bus():
    """A client of the test's Redis, with prefixes for this test alone."""
    if find_spec("edx_event_bus_redis") is None:
        skip_unless_required(NO_REDIS, "CI_REQUIRE_SERVICES")
    import redis

    client = redis.Redis.from_url(URL)
    try:
        client.ping()
    except redis.ConnectionError:
        skip_unless_required(NO_REDIS, "CI_REQUIRE_SERVICES")
    found = Bus(client, f"test-{uuid4().hex}")
    yield found
    if keys := list(client.scan_iter(f"{found.prefix}*")):
        client.delete(*keys)
    client.close()


class Bus:
    """What the LMS sends is below ``sent``; what the consumer reads, below ``prefix``."""

    def __init__(self, client, prefix: str) -> None:
        self.client, self.prefix, self.sent = client, prefix, f"{prefix}-lms"

    def messages(self, topic: str):
        return [data for _, data in self.client.xrange(f"{self.sent}-{topic}")]

    def pass_on(self, topic: str, messages) -> None:
        for each in messages:
            self.client.xadd(f"{self.prefix}-{topic}", each)

    def is_read(self) -> bool:
        """Whether every message was handed out and acknowledged."""
        for topic in TOPICS:
            key = f"{self.prefix}-{topic}"
            groups = self.client.xinfo_groups(key) if self.client.exists(key) else []
            if not groups or groups[0]["pending"]:
                return False
            last = self.client.xrevrange(key, count=1)
            if last and groups[0]["last-delivered-id"] != last[0][0]:
                return False
        return True

    def handled(self, topic: str) -> int:
        key = f"{self.prefix}-{topic}"
        groups = self.client.xinfo_groups(key) if self.client.exists(key) else []
        return (groups[0]["entries-read"] or 0) - groups[0]["pending"] if groups else 0


@pytest.fixture
def lms(bus, tmp_path):
    """Let things happen in the LMS; return the completions that it has in the end."""
    page = (REPOSITORY / "docs" / "how-to" / "event-bus.md").read_text()
    (snippet,) = [fence.body for fence in fences(page) if fence.file == "lms_settings.py"]
    (tmp_path / "lms_settings.py").write_text(snippet)

    def run(steps):
        done = subprocess.run(
            [sys.executable, event_bus_lms.__file__, "lms.sqlite3", "lms_settings.py", URL, bus.sent],
            input=json.dumps(steps),
            cwd=tmp_path,
            env=environment_of(tmp_path / "home"),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run


def database_url() -> str:
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return "sqlite:///" + quote(str(config["NAME"]))
    scheme = {"mysql": "mysql", "postgresql": "postgres"}[connection.vendor]
    login = quote(config["USER"]) + (f":{quote(config['PASSWORD'])}" if config["PASSWORD"] else "")
    return f"{scheme}://{login}@{config['HOST']}:{config['PORT']}/{config['NAME']}"


@pytest.fixture
def start(bus, tmp_path):
    """Start ``consume_events`` on the test's database and bus; whatever runs in the end is killed."""
    begun: list[subprocess.Popen[bytes]] = []
    environment = environment_of(tmp_path / "home") | {
        "DATABASE_URL": database_url(),
        "EVENT_BUS_URL": URL,
        "EVENT_BUS_TOPIC_PREFIX": bus.prefix,
        "LOG_LEVEL": "INFO",
    }

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-u", "-m", MODULE, "consume_events", *arguments]
        with (tmp_path / f"consumer{len(begun)}.log").open("w") as log:
            begun.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.wait()


def until(condition, what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def term(seed: int = 1, completions: int = 240):
    """A term of six learners: what happens, in order. Completions go down too, and are told twice."""
    chance = random.Random(seed)
    steps: list[list[Any]] = [["enroll", name, str(KEY), "audit"] for name in NAMES]
    steps += [["cohort", "ben", str(KEY), "red"], ["cohort", "ben", str(KEY), "blue"]]
    for _ in range(completions):
        value = chance.choice([0.0, 0.25, 0.5, 1.0, 1.0, 1.0])
        steps.append(["complete", chance.choice(NAMES), usage("html", chance.choice(LEAVES)), value])
    steps.insert(completions // 2, ["unenroll", "fay", str(KEY), "audit"])
    return steps


def final_facts(outcome) -> dict[tuple[str, str], float]:
    return {(name, block): value for name, block, value, _ in outcome}


def percents() -> dict[str, float]:
    """What the service answers, once it has done its work."""
    call_command("run_aggregator_service", verbosity=0)
    names = dict(get_user_model().objects.values_list("pk", "username"))
    return {names[each.user_id]: each.course.percent for each in aggregation.progress_of_course(KEY)}


def expected_percents(outcome) -> dict[str, Any]:
    sums = dict.fromkeys(NAMES[:-1], 0.0)
    for name, _, value, _ in outcome:
        if name in sums:
            sums[name] += value
    return {name: pytest.approx(total / len(LEAVES)) for name, total in sums.items()}


@pytest.fixture(autouse=True)
def ten_leaves():
    course(*(leaf(name) for name in LEAVES))


def disordered(messages, seed: int = 2):
    """Each message once or more often, in any order."""
    chance = random.Random(seed)
    found = [*messages, *chance.sample(messages, len(messages) // 3)]
    chance.shuffle(found)
    return found


def test_a_killed_consumer_repeated_and_disordered_events_end_in_the_progress_of_the_lms(bus, lms, start):
    outcome = lms(term())
    completions, enrollments = (bus.messages(topic) for topic in TOPICS)
    assert (len(completions), len(enrollments)) == (240, 10)
    bus.pass_on(TOPICS[0], disordered(completions))
    bus.pass_on(TOPICS[1], disordered(enrollments))
    for handled in (40, 120):
        victim = start("--topic", TOPICS[0])
        until(lambda: bus.handled(TOPICS[0]) >= handled, "the consumer reads")  # noqa: B023
        os.kill(victim.pid, signal.SIGKILL)
    consumers = start()
    until(bus.is_read, "all is read")
    consumers.send_signal(signal.SIGTERM)
    assert consumers.wait(SECONDS) == 0
    assert facts() == final_facts(outcome)
    assert percents() == expected_percents(outcome)
    assert dict(Enrollment.objects.values_list("user__username", "is_active")) == {
        name: name != "fay" for name in NAMES
    }
    assert list(CohortMembership.objects.values_list("user__username", "cohort__name")) == [("ben", "blue")]
    assert RejectedEvent.objects.count() == 0


def test_a_consumer_deletes_what_was_rejected_long_ago(bus, start):
    for year in (2020, 2990):
        received = datetime(year, 1, 1, tzinfo=UTC)
        RejectedEvent.objects.create(event_id=str(year), event_type="t", reason="r", received=received)
    start()
    until(lambda: RejectedEvent.objects.count() < 2, "the old one is deleted")
    assert RejectedEvent.objects.get().event_id == "2990"


def test_what_was_sent_while_nobody_read_is_read_later_and_one_stop_ends_all(bus, lms, start, tmp_path):
    consumers = start()
    until(lambda: all(bus.client.exists(f"{bus.prefix}-{topic}") for topic in TOPICS), "the consumers listen")
    consumers.send_signal(signal.SIGTERM)
    assert consumers.wait(SECONDS) == 0
    assert (tmp_path / "consumer0.log").read_text().splitlines()[-1] == "Stopped."
    outcome = lms(term(completions=20))
    for topic in TOPICS:
        bus.pass_on(topic, bus.messages(topic))
    start()
    until(bus.is_read, "all is read")
    assert facts() == final_facts(outcome)


#: One block each of four learners, whose names no event tells.
FEW = [["complete", name, usage("html", LEAVES[0]), 1.0] for name in NAMES[:4]]
THEIRS = [("lms-1000", FEW[0][2]), ("lms-1001", FEW[0][2]), ("lms-1002", FEW[0][2]), ("lms-1003", FEW[0][2])]


def test_messages_that_nobody_can_read_are_kept_aside_and_hold_up_nothing(bus, lms, start):
    lms(FEW)
    first, second, *others = bus.messages(TOPICS[0])
    cut_short = first | {b"event_data": first[b"event_data"][:10]}
    unknown = second | {b"type": b"org.example.unknown.v1"}
    nameless = second | {b"id": b"ana@example.org"}
    bus.pass_on(TOPICS[0], [{b"nothing": b"known"}, nameless, cut_short, unknown, *others, nameless])
    start("--topic", TOPICS[0])
    until(lambda: bus.handled(TOPICS[0]) == 7, "all is read")
    assert facts() == dict.fromkeys(THEIRS[2:], 1.0)
    reasons = sorted(RejectedEvent.objects.values_list("reason", flat=True))
    assert [each.partition(":")[0] for each in reasons] == ["undecodable"] * 2 + ["unreadable headers"] * 2
    assert reasons[2:] == ["unreadable headers: KeyError", "unreadable headers: ValueError"]
    kept = RejectedEvent.objects.get(reason=reasons[3])
    content = b"".join(part for field in sorted(nameless.items()) for part in field)
    assert json.loads(kept.data) == {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    assert "ana@" not in str(list(RejectedEvent.objects.values()))


def test_messages_gone_from_the_stream_before_they_were_handled_hold_up_nothing(bus, lms, start, tmp_path):
    lms(FEW)
    bus.pass_on(TOPICS[0], bus.messages(TOPICS[0]))
    key = f"{bus.prefix}-{TOPICS[0]}"
    bus.client.xgroup_create(key, "completion-aggregator", "0")
    taken = bus.client.xreadgroup("completion-aggregator", "completion-aggregator", {key: ">"}, count=3)
    bus.client.xdel(key, taken[0][1][0][0])
    start("--topic", TOPICS[0])
    until(lambda: len(facts()) == 3 and not bus.client.xinfo_groups(key)[0]["pending"], "all is read")
    assert facts() == dict.fromkeys(THEIRS[1:], 1.0)
    assert "1 events of topic" in (tmp_path / "consumer0.log").read_text()


def test_dropped_messages_are_found_by_an_export(bus, lms, start, tmp_path, capsys):
    outcome = lms(term(completions=60))
    completions, enrollments = (bus.messages(topic) for topic in TOPICS)
    bus.pass_on(TOPICS[0], completions[::3])
    bus.pass_on(TOPICS[1], enrollments)
    start()
    until(bus.is_read, "all is read")
    assert facts() != final_facts(outcome)
    rows = [f"{name},{KEY},{block},{value},{modified}\n" for name, block, value, modified in outcome]
    (tmp_path / "export.csv").write_text("username,course_id,block_id,completion,modified\n" + "".join(rows))
    now = datetime.now(UTC).isoformat()
    call_command("import_completions", str(tmp_path / "export.csv"), "--create-users", "--complete-at", now)
    assert facts() == final_facts(outcome)
    assert percents() == expected_percents(outcome)


@pytest.fixture
def configured(bus, settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = URL
    settings.EVENT_BUS_TOPIC_PREFIX = bus.prefix


def test_the_status_says_what_waits_and_what_was_rejected(bus, configured, capsys):
    Course.objects.create(course_key=KEY.replace(run="2"))
    RejectedEvent.objects.create(event_id="1", event_type="t", reason="not a course key")
    nothing = {"waiting": 0, "at_hand": 0, "kept": 0}
    call_command("event_bus_status", "--json")
    expected = {
        "topics": dict.fromkeys(TOPICS, nothing),
        "rejected": {"not a course key": 1},
        "courses_to_import": [str(KEY.replace(run="2"))],
        "accounts": 0,
        "nameless": 0,
    }
    assert json.loads(capsys.readouterr().out) == expected
    bus.pass_on(TOPICS[0], [{"a": "1"}] * 5)
    call_command("event_bus_status", "--json")
    assert json.loads(capsys.readouterr().out)["topics"][TOPICS[0]] == nothing | {"waiting": 5, "kept": 5}
    key = f"{bus.prefix}-{TOPICS[0]}"
    bus.client.xgroup_create(key, "completion-aggregator", "0")
    bus.client.xreadgroup("completion-aggregator", "one", {key: ">"}, count=2)
    call_command("event_bus_status", "--json")
    assert json.loads(capsys.readouterr().out)["topics"][TOPICS[0]] == {"waiting": 3, "at_hand": 2, "kept": 5}


def test_it_says_what_is_missing(start, tmp_path, monkeypatch):
    environment = environment_of(tmp_path / "home") | {"DATABASE_URL": database_url()}
    command = [sys.executable, "-m", MODULE, "consume_events"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "CommandError: There is no event bus: set EVENT_BUS_URL, such as redis://host:6379/0.\n",
    )
