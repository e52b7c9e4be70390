"""Prometheus is told what there is, those who may ask alone, and whatever the database does."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from completion_aggregator import exposition, instruments
from completion_aggregator.aggregation.api import Findings
from completion_aggregator.instruments import INSTRUMENTS, PREFIX
from completion_aggregator.models import StaleCompletion
from tests.aggregation.builders import KEY
from tests.conftest import skip_unless_required
from tests.platforms.standalone.test_cli import environment_of

PATH = "/completion-aggregator/metrics"
TOKEN = "a token of the tests"
# What workers say to each other is of no interest, and takes a second or two.
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/7")
NO_REDIS = "needs Redis; run it with TEST_REDIS_URL=redis://127.0.0.1:6379/7"
CELERY = "completion_aggregator.platforms.standalone.celery"
CLI = [sys.executable, "-m", "completion_aggregator.platforms.standalone.cli"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    exposition.forget()
    yield
    exposition.forget()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a site with a course and 20 learners."""
    environment = environment_of(tmp_path_factory.mktemp("site") / "home")
    subprocess.run([*CLI, "demo", "--learners", "20"], env=environment, check=True, capture_output=True)
    return environment


def families(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the samples by name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


# --- who may ask ---------------------------------------------------------------------------------------------------


def test_nobody_reads_metrics_where_nobody_is_to(client, admin_client):
    assert [each.get(PATH).status_code for each in (client, admin_client)] == [404, 404]
    assert client.get(PATH, headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer a token of the test", f"Token {TOKEN}", "Bearer \u00e9"])
def test_whoever_lacks_the_token_is_refused(client, settings, given):
    settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = TOKEN
    answer = client.get(PATH, headers={"Authorization": given} if given else {})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert TOKEN not in answer.content.decode()


def test_the_token_reads_every_metric_of_the_table(client, settings):
    settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = TOKEN
    answer = client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer["Cache-Control"]
    found = families(answer.content.decode())
    for name, each in INSTRUMENTS.items():
        series = found[PREFIX + name + ("_count" if each.kind == "histogram" else "")]
        count = 1
        for values in each.labels.values():
            count *= len(values)
        assert len(series) == count, name


def test_staff_read_them_where_they_may(client, admin_client, django_user_model, settings):
    settings.COMPLETION_AGGREGATOR_METRICS_FOR_STAFF = True
    assert admin_client.get(PATH).status_code == 200
    assert client.get(PATH).status_code == 401
    client.force_login(django_user_model.objects.create(username="ana"))
    assert client.get(PATH).status_code == 401


def test_a_token_that_can_be_guessed_is_refused_when_the_site_starts(settings):
    from completion_aggregator.checks import settings_can_work

    for token in ("short", 7, None):
        settings.COMPLETION_AGGREGATOR_METRICS_TOKEN = token
        ids = {each.id for each in settings_can_work(None)}
        assert ("completion_aggregator.E009" in ids) == (token is not None), token


# --- what they say -------------------------------------------------------------------------------------------------


def test_the_queue_is_told_as_it_is_and_asked_once_in_a_while():
    def told() -> float:
        return families(exposition.text()[0].decode())[f"{PREFIX}backlog_rows"][()]

    StaleCompletion.objects.create(username="ana", course_key=KEY)
    assert told() == 1.0
    StaleCompletion.objects.create(username="bo", course_key=KEY)
    assert told() == 1.0
    exposition.forget()
    assert told() == 2.0


def test_without_its_database_the_process_tells_what_it_counted(monkeypatch):
    def unreachable(*_: Any) -> None:
        raise OperationalError("no route to 10.0.0.1")

    monkeypatch.setattr(type(connections[DEFAULT_DB_ALIAS]), "cursor", unreachable)
    found = families(exposition.text()[0].decode())
    assert found[f"{PREFIX}database_up"] == {(): 0.0}
    assert f"{PREFIX}backlog_rows" not in found
    assert f"{PREFIX}refresh_batches_total" in found


def test_no_name_and_no_course_is_in_them():
    StaleCompletion.objects.create(username="ana-of-the-tests", course_key=KEY, created=timezone.now())
    text = exposition.text()[0].decode()
    assert "ana-of-the-tests" not in text
    assert "course-v1" not in text


# --- a port of its own ---------------------------------------------------------------------------------------------


def test_a_port_answers_until_it_is_closed():
    with exposition.serve(0, "127.0.0.1") as served, urlopen(f"http://127.0.0.1:{served.port}/metrics") as answer:
        assert f"{PREFIX}backlog_rows 0.0" in answer.read().decode()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{served.port}/metrics")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics_port": 0}, "--metrics-port needs --loop: a run that ends is not there to be asked."),
        ({"metrics_port": 70_000, "loop": 1.0}, r"Cannot listen on 127\.0\.0\.1:70000: "),
        ({"metrics_port": 0, "metrics_address": "192.0.2.1", "loop": 1.0}, r"Cannot listen on 192\.0\.2\.1:0: "),
    ],
)
def test_a_port_that_cannot_be_had_is_told_in_a_sentence(options, message):
    with pytest.raises(CommandError, match=message):
        call_command("run_aggregator_service", **options)


def test_a_loop_is_scraped_and_counts_its_turns(site):
    command = [*CLI, "run_aggregator_service", "--loop", "0.1", "--metrics-port", "0"]
    with subprocess.Popen(command, env=site, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        found = re.fullmatch(r"Metrics: (http://127\.0\.0\.1:\d+/metrics)\n", line)
        assert found, line
        began = time.time()
        turns = (("outcome", "completed"),)
        told: dict[str, Any] = {}
        while not told or told[f"{PREFIX}service_turns_total"][turns] < 2:
            assert time.time() < began + 30
            with urlopen(found[1]) as answer:
                told = families(answer.read().decode())
        assert told[f"{PREFIX}service_last_turn_timestamp_seconds"][()] > began - 30
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_a_site_that_is_served_tells_what_the_service_beside_it_counts(site):
    environment = site | {"COMPLETION_AGGREGATOR_METRICS_TOKEN": TOKEN}
    command = [*CLI, "serve", "--port", "0", "--interval", "1"]
    with subprocess.Popen(
        command, env=environment, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout
            found = re.search(r"http://\S+:\d+", server.stdout.readline())
            assert found
            request = Request(f"{found[0]}{PATH}", headers={"Authorization": f"Bearer {TOKEN}"})

            def turns() -> float | None:
                with urlopen(request) as answer:
                    told = families(answer.read().decode()).get(f"{PREFIX}service_turns_total", {})
                return told.get((("outcome", "completed"),)) or None

            assert wait_until(turns) >= 1.0
        finally:
            server.terminate()
            server.wait(60)


# --- several processes ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_stops_no_work(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from completion_aggregator import instruments as i; i.set_aside(); print(i.begin())"],
        env={**environment_of(tmp_path), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    assert "nothing is counted" in done.stderr


@pytest.mark.slow
def test_what_celery_processes_count_is_one_sum_that_outlives_them(site, tmp_path, vendor):
    if vendor == "postgresql":
        pytest.skip("the site is one on SQLite: once is enough, in the run on MariaDB")
    redis = pytest.importorskip("redis")
    try:
        redis.Redis.from_url(REDIS).ping()
    except redis.RedisError:
        skip_unless_required(NO_REDIS, "CI_REQUIRE_SERVICES")
    (tmp_path / "counted").mkdir()
    queue, port = f"metrics-{uuid4().hex}", free_port()
    environment = site | {
        "CELERY_BROKER_URL": REDIS,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "counted"),
        "COMPLETION_AGGREGATOR_WORKER_METRICS_PORT": str(port),
    }
    command = [sys.executable, "-m", "celery", "-A", CELERY, "worker", "-P", "prefork", "-c", "2", "-Q", queue, *QUIET]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stderr=log, stdout=log) as worker,
    ):
        try:
            before = learners_counted(port)
            assert sent(environment, queue, learners=20) == 20
            wait_until(lambda: learners_counted(port) == before + 20)
            assert len(list((tmp_path / "counted").glob("counter_*.db"))) >= 2
            for child in children_of(worker.pid):
                os.kill(child, signal.SIGKILL)
            sent(environment, queue, learners=7)
            wait_until(lambda: learners_counted(port) == before + 27)
        finally:
            worker.terminate()
            worker.wait(30)


SEND = """
import sys
from completion_aggregator.platforms.standalone.celery import app
import django; django.setup()
from completion_aggregator.platforms.standalone.models import Enrollment
from completion_aggregator.tasks import update_aggregators
rows = Enrollment.objects.order_by("pk").values_list("user__username", "course__course_key")[: int(sys.argv[2])]
for name, key in rows:
    update_aggregators.apply_async((name, str(key)), {"force": True}, queue=sys.argv[1])
print(len(rows))
"""


def sent(environment: dict[str, str], queue: str, *, learners: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SEND, queue, str(learners)], env=environment, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def learners_counted(port: int) -> float:
    def read() -> float | None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                return families(answer.read().decode())[f"{PREFIX}refresh_learners_total"][()]
        except OSError:
            return None

    return float(wait_until(read))


def wait_until(question: Any, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while (found := question()) is None or found is False:
        assert time.monotonic() < end, question
        time.sleep(0.1)
    return found


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    with exposition.serve(0, "127.0.0.1", queue=False) as served:
        return served.port


def test_every_hook_moves_a_metric_of_the_table(monkeypatch):
    moved: set[str] = set()
    monkeypatch.setattr(instruments, "_move", lambda name, *_, **__: moved.add(name))
    batch = type(
        "Batch", (), dict.fromkeys(("learners", "written", "removed", "resolved", "failed", "rebuilt", "mended"), 1)
    )()
    batch.seconds = 1.0
    instruments.refreshed(batch)
    instruments.retried("deadlock")
    instruments.set_aside()
    instruments.graphs_looked_up("process", hits=1, misses=1)
    instruments.graph_compiled(1.0)
    instruments.delivered(webhook=True, told=True)
    instruments.turned("completed", seconds=1.0)
    instruments.settled(compared=2, marked=1)
    instruments.reconciled(Findings(compared=2, differing=1, waiting=1, failed=1))
    assert moved == {name for name, each in INSTRUMENTS.items() if each.source == "process"}
