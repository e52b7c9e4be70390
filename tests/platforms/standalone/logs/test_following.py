import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.logs import following
from completion_aggregator.platforms.standalone.logs.following import FollowedElsewhere, Following, mark_of
from completion_aggregator.platforms.standalone.management.commands import follow_logs
from completion_aggregator.platforms.standalone.models import LogPosition
from completion_aggregator.tracking import api as tracking
from completion_aggregator.tracking.store import Store
from tests.platforms.standalone.builders import KEY, course, facts, leaf, learner, stale_rows, usage
from tests.tracking.builders import load, new_store, put

NAMES = [f"b{number:02}" for number in range(40)]
START = datetime(2024, 2, 1, 12, tzinfo=UTC)
CHANGED = tracking.COMPLETION_CHANGED


def told(username, block, completion=1.0, *, second=0, course_key=KEY, **fields):
    """Return the line that the platform writes when a completion changes."""
    found = {
        "name": CHANGED,
        "event_type": CHANGED,
        "event_source": "server",
        "context": {
            "course_id": str(course_key),
            "org_id": "Org",
            "path": "/handler",
            "user_id": sum(map(ord, username)),
        },
        "username": username,
        "event": {"block_id": usage("html", block, course_key), "block_type": "html", "completion": completion},
        "time": (START + timedelta(seconds=second)).isoformat(timespec="microseconds"),
        "ip": "192.0.2.1",
        "host": "x",
        "agent": "y",
    }
    return json.dumps(found | fields).encode()


def loaded(store: Store, folder: Path, name: str, *lines: bytes) -> None:
    load(store, put(folder / f"{name}-20240201", b"\n".join(lines) + b"\n"))


@pytest.fixture
def filled(tmp_path) -> Store:
    """Return a store with 40 completions each of ana and bob, in four loads."""
    store = new_store(tmp_path)
    for number in range(4):
        some = NAMES[number * 10 : number * 10 + 10]
        lines = [told(name, block, 0.5, second=number) for name in ("ana", "bob") for block in some]
        loaded(store, tmp_path, f"log{number}", *lines)
    return store


def run(store, capsys, *options):
    try:
        call_command("follow_logs", "--store", str(store.folder), *options)
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def class_of_two():
    course(*(leaf(name) for name in NAMES))
    learner("ana")
    learner("bob")
    StaleCompletion.objects.all().delete()  # of their enrollments


def all_facts():
    return {(name, usage("html", block)): 0.5 for name in ("ana", "bob") for block in NAMES}


@pytest.mark.django_db
def test_completions_of_the_store_become_facts_and_stale_rows(filled, capsys):
    class_of_two()
    status, out, err = run(filled, capsys)
    assert (status, err) == (0, "")
    assert out.startswith("Completions: 80 rows, 80 written (")
    assert facts() == all_facts()
    assert stale_rows() == {(name, str(KEY), None) for name in ("ana", "bob")}  # so many of a learner are one row
    assert set(BlockCompletion.objects.values_list("modified", flat=True)) == {
        START + timedelta(seconds=number) for number in range(4)
    }
    position = LogPosition.objects.get()
    assert (position.store, position.position) == (str(filled.folder), str(tracking.latest_position(filled)))
    assert str(position) == f"{filled.folder}: {position.position}"


@pytest.mark.django_db
def test_the_service_then_brings_progress_up_to_date(filled, capsys):
    class_of_two()
    run(filled, capsys)
    call_command("run_aggregator_service")
    assert aggregation.course_summary(KEY, levels={"course"}).mean == pytest.approx(0.5)


@pytest.mark.django_db
def test_a_second_run_takes_what_is_new_alone(filled, tmp_path, capsys):
    class_of_two()
    run(filled, capsys)
    assert run(filled, capsys)[1].startswith("Completions: nothing new (")
    loaded(filled, tmp_path, "more", told("ana", "b00", 1.0, second=9))
    assert run(filled, capsys, "--dry-run")[1] == f"1 completions are waiting in {filled.folder}.\n"
    assert run(filled, capsys)[1].startswith("Completions: 1 rows, 1 written (")
    assert facts() == all_facts() | {("ana", usage("html", "b00")): 1.0}


@pytest.mark.django_db
def test_a_late_event_overwrites_nothing_that_is_newer(filled, tmp_path, capsys):
    class_of_two()
    run(filled, capsys)
    loaded(filled, tmp_path, "late", told("ana", "b39", 0.1, second=2), told("bob", "b39", 0.9, second=4))
    assert run(filled, capsys)[1].startswith("Completions: 2 rows, 1 written, 1 superseded (")
    assert facts() == all_facts() | {("bob", usage("html", "b39")): 0.9}


@pytest.mark.django_db
def test_what_cannot_be_taken_is_counted_and_told_and_comes_later_when_it_can(tmp_path, capsys):
    course()
    learner("ana")
    store = new_store(tmp_path)
    other = KEY.replace(run="2")
    lines = (
        told("ana", "one"),
        told("eve", "one", second=1),
        told("ana", "one", second=2, course_key=other),
        told("ana", "two", 7.0, second=3),
        told("ana", "two", "much", second=4),
        told("", "one", second=5, context={"course_id": str(KEY)}),
        told("ana", "gone", second=6),
        told("ana", "one", second=7, event={"completion": 1.0}),
        told("ana", "one", second=8, event_type="page_close", name="page_close"),
    )
    loaded(store, tmp_path, "log", *lines)
    status, out, err = run(store, capsys)
    assert status == 1
    assert out.startswith("Completions: 8 rows, 2 written, 1 unknown blocks, 6 rejected (")
    assert sorted(err.splitlines()) == sorted(
        [
            "  not taken 1: unknown user",
            f"  not taken 1: unknown course: import_course comes first: {other}",
            "  not taken 1: the completion is not between 0 and 1",
            "  not taken 1: the completion is not a number",
            "  not taken 1: names no learner",
            "  not taken 1: not a block key",
            "  They stay in the store: when the cause is gone, run follow_logs --from-start.",
        ]
    )
    assert facts() == {("ana", usage("html", "one")): 1.0, ("ana", usage("html", "gone")): 1.0}
    status, out, _ = run(store, capsys, "--from-start", "--create-users", "--json")
    found = json.loads(out)
    assert (status, found["rows"], found["written"], found["unchanged"], found["rejected"]) == (1, 8, 1, 2, 5)
    assert (found["users_created"], found["reasons"]["names no learner"]) == (1, 1)
    assert found["position"] == str(tracking.latest_position(store))
    assert get_user_model().objects.filter(username="eve").count() == 1


@pytest.mark.django_db
def test_json_says_how_much_is_waiting(filled, capsys):
    status, out, _ = run(filled, capsys, "--dry-run", "--json")
    assert (status, json.loads(out)) == (0, {"waiting": 80, "store": str(filled.folder), "position": ""})
    assert facts() == {}
    assert not LogPosition.objects.exists()


@pytest.mark.django_db
def test_another_store_in_the_same_place_is_read_from_its_start(filled, tmp_path, capsys):
    class_of_two()
    run(filled, capsys)
    for folder in (filled.folder, filled.private_folder):
        folder.rename(folder.with_name(f"{folder.name}-old"))
    store = new_store(tmp_path)
    for number in range(5):
        loaded(store, tmp_path, f"other{number}", told("ana", NAMES[number], 1.0, second=20 + number))
    _, out, err = run(store, capsys)
    assert "is another store than the one that was read before" in err
    assert out.startswith("Completions: 5 rows, 5 written (")
    assert run(store, capsys)[1:] == run(store, capsys)[1:]
    assert "another store" not in run(store, capsys)[2]


@pytest.mark.django_db
def test_an_older_copy_of_the_store_is_read_from_its_start(filled, tmp_path, capsys):
    class_of_two()
    run(filled, capsys)
    LogPosition.objects.update(position=str(tracking.Position.behind(99)))
    out, err = run(filled, capsys)[1:]
    assert "an older copy of it" in err
    assert out.startswith("Completions: 80 rows, 80 unchanged (")


@pytest.mark.django_db
def test_whoever_comes_second_undoes_what_it_did(filled, monkeypatch):
    class_of_two()
    monkeypatch.setattr(following, "BATCH", 30)
    now = datetime.now(UTC)
    one, two = (Following(filled, mark_of(filled), create_users=False, now=now).run() for _ in range(2))
    next(one)
    before = facts()
    with pytest.raises(FollowedElsewhere, match="Another process"):
        next(two)
    assert facts() == before
    assert [summary.rows for summary in one] == [60, 80]
    assert facts() == all_facts()


@pytest.mark.django_db
def test_without_a_store_it_says_how_to_make_one(tmp_path):
    with pytest.raises(CommandError, match="tracking store init"):
        call_command("follow_logs", "--store", str(tmp_path / "nowhere"))


@pytest.mark.django_db
def test_a_store_with_a_long_name_has_a_position_of_its_own(tmp_path, capsys):
    class_of_two()
    folder = tmp_path / ("x" * 200) / ("y" * 200)
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        store = new_store(folder, name)
        loaded(store, tmp_path, name, told("ana", "b00", second=len(name)))
        run(store, capsys)
    assert sorted(map(len, LogPosition.objects.values_list("store", flat=True))) == [255, 255]


#: Takes completions in until it is killed: by itself, where it reaches a point for the n-th time.
KILLED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
import django
django.setup()
from django.db import connections
database, folder, point, occurrence = sys.argv[1:]
connections["default"].settings_dict["NAME"] = database
from completion_aggregator.platforms.standalone.logs import following
from completion_aggregator.tracking import api
met = []
def reached(name):
    met.append(name)
    if met.count(point) == int(occurrence):
        os.kill(os.getpid(), 9)
following.reached, following.BATCH = reached, 10
store = api.store_in(Path(folder))
run = following.Following(store, following.mark_of(store), create_users=False, now=datetime.now(UTC))
print([summary.unchanged for summary in run.run()])
"""


def killed(store, point, occurrence):
    arguments = (connection.settings_dict["NAME"], store.folder, point, str(occurrence))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "test_settings"}
    command = [sys.executable, "-c", KILLED, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.django_db(transaction=True)
def test_whoever_is_killed_anywhere_goes_on_where_it_was(filled, monkeypatch):
    class_of_two()
    done = []
    for point, occurrence in (("batch read", 1), ("position moved", 2), ("batch committed", 2), ("batch read", 2)):
        killed(filled, point, occurrence)
        done.append(len(facts()))
        rows = LogPosition.objects.values_list("position", flat=True)
        position = tracking.Position.parse(rows[0]) if rows else None
        read = [row for batch in tracking.completions(after=position, store=filled) for row in batch.rows]
        assert len(read) == 80 - len(facts()), point
        assert stale_rows() == {(name, str(KEY), block) for name, block in facts()}
    assert done == [0, 10, 30, 40]
    monkeypatch.setattr(following, "BATCH", 10)
    last = Following(filled, mark_of(filled), create_users=False, now=datetime.now(UTC))
    *_, summary = last.run()
    assert (summary.rows, summary.written) == (40, 40)
    assert facts() == all_facts()


def test_the_help_teaches(capsys):
    with pytest.raises(SystemExit):
        call_command("follow_logs", "--help")
    out = capsys.readouterr().out
    for each in ("tracking load", "--from-start", "run_aggregator_service", "exit status: 0 all taken"):
        assert each in out


@pytest.mark.django_db(transaction=True)
def test_a_loop_takes_what_comes_and_ends_when_it_is_told_to(filled, tmp_path, monkeypatch, capsys):
    class_of_two()
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.setdefault)
    turns: list[str] = []

    def reached(point):
        turns.append(point)
        if turns.count("batch committed") == 2:
            handlers[signal.SIGTERM]()

    def come(store):
        if len(turns) == 3:
            loaded(store, tmp_path, "more", told("ana", "b00", 1.0, second=9))
        return mark_of(store)

    monkeypatch.setattr(following, "reached", reached)
    monkeypatch.setattr(follow_logs, "mark_of", come)
    status, out, err = run(filled, capsys, "--loop", "0.01")
    assert (status, err) == (0, "")
    assert [line.partition(" (")[0] for line in out.splitlines()] == [
        "Completions: 80 rows, 80 written",
        "Completions: 1 rows, 1 written",
    ]
    assert facts() == all_facts() | {("ana", usage("html", "b00")): 1.0}
