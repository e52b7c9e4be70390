"""The pages about tracking logs: the tables they name, and their commands, with logs and a bucket beside them."""

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from completion_aggregator.tracking import tables, views
from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.refresh.tables import REFRESHED
from tests.docs.desk import REPOSITORY, lay_out_desk, run, surroundings
from tests.docs.pages import all_pages, differences, fences, script
from tests.tracking.builders import COURSE, at, event, new_store, packed, put
from tests.tracking.clickhouse.engine import Engine
from tests.tracking.servers import bucket, s3_server

TABLES_PAGE = REPOSITORY / "docs" / "reference" / "tracking-tables.md"
MOVE_PAGE = REPOSITORY / "docs" / "how-to" / "move-from-json-to-relation.md"
#: Commands with what they are given, in the right column of the page's first table.
COMMANDS = [
    found[1]
    for row in MOVE_PAGE.read_text().partition("## What differs")[0].splitlines()
    for found in re.finditer(rf"`((?:{'|'.join(tree.COMMANDS)}) [^`]*)`", row.rpartition("` |")[2] or row)
]
LEDGER = ("load", "source", "field")
#: Stands above a block that is run here, and nowhere else; what follows the semicolon is what the block is besides.
NEEDS_LOGS = re.compile(r"<!-- not run: needs logs(?:; (?P<else>.*?))? -->\n")
#: The same of a block that is run against a ClickHouse, which readers have elsewhere.
NEEDS_CLICKHOUSE, READERS_CLICKHOUSE = "not run: needs ClickHouse", "clickhouse.example.org:8123"
PAGES = [page for page in all_pages(REPOSITORY) if NEEDS_LOGS.search(page.read_text())]
#: How many learners were there on each day.
LEARNERS = (9, 12, 14, 6, 5, 15, 17)
#: What readers of a page have done already.
BEFORE = {
    "runbook.md": (
        "completion-aggregator tracking store init --store tracking\n"
        "completion-aggregator tracking pull s3://my-logs/tracking --to logs\n"
        "completion-aggregator tracking load logs --store tracking\n"
    )
}
ACCESS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "hidden-secret", "AWS_DEFAULT_REGION": "us-east-1"}
PROBLEM = "block-v1:DemoU+C001+2024_T1+type@problem+block@half_moon"
written = runpy.run_path(str(REPOSITORY / "scripts" / "tables_page.py"))["written"]


def test_the_page_of_tables_is_what_is_written_from_the_code():
    page = TABLES_PAGE.read_text()
    assert page == written(page), "run `make tables`"


def test_the_page_of_tables_has_a_section_for_each_table_and_no_other():
    sections = re.findall(r"^### `(\w+)`$", TABLES_PAGE.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted([*tables.TABLES, *REFRESHED, *LEDGER])


def test_a_page_without_a_place_for_the_tables_is_refused():
    with pytest.raises(SystemExit, match="no place"):
        written("# Tables\n")


@pytest.mark.parametrize("name", LEDGER)
def test_the_page_has_the_columns_that_the_ledger_shows(name, tmp_path):
    section = TABLES_PAGE.read_text().split(f"### `{name}`\n")[1].partition("\n### ")[0]
    told = [each for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for each in re.findall(r"`(\w+)`", row)]
    with views.connected(new_store(tmp_path)) as connection:
        shown = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
    assert sorted(told) == sorted(shown)


def test_the_page_of_commands_names_each_command_of_tracking_and_no_other():
    page = (REPOSITORY / "docs" / "reference" / "commands.md").read_text()
    assert {found[1] for found in re.finditer(r"^\| `tracking (\w+)", page, re.MULTILINE)} == set(tree.COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_that_replace_old_scripts_exist(command: str):
    wanted = re.sub(r"\[|\]|\.\.\.", "", command).replace(" DAY", " 2024-02-01").replace(" N", " 1")
    tree.build("tracking").parse_args(shlex.split(wanted))


@pytest.fixture(scope="module")
def readers_bucket() -> Iterator[str]:
    """Serve the bucket that the pages speak of; return the address of the server."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as endpoint:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        client = bucket(endpoint, "my-logs")
        for name, content in week():
            client.put_object(Bucket="my-logs", Key=f"tracking/{name}", Body=content)
        yield endpoint


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_every_command_that_needs_logs_runs(page: Path, tmp_path: Path, vendor: str, readers_bucket: str):
    if vendor != "sqlite":
        pytest.skip("the commands are run once, in the run on SQLite")
    lay_out_desk(tmp_path)
    text = NEEDS_LOGS.sub(as_run, page.read_text())
    environment = surroundings(tmp_path) | ACCESS | {"AWS_ENDPOINT_URL": readers_bucket}
    done = run(["bash", "-c", BEFORE.get(page.name, "") + script(text)], tmp_path, environment)
    assert done.returncode == 0, done.stdout[-5000:]
    wrong = differences(text, done.stdout)
    assert not wrong, wrong


def test_every_command_that_needs_clickhouse_runs(tmp_path: Path, vendor: str, shared_data: Path):
    if vendor != "sqlite":
        pytest.skip("the commands are run once, in the run on SQLite")
    found = [each for page in all_pages(REPOSITORY) for each in fences(page.read_text())]
    blocks = [each.body for each in found if each.remark == NEEDS_CLICKHOUSE]
    assert blocks
    engine = Engine(shared_data, tmp_path / "engine")
    try:
        text = "".join(f"```console\n{body}```\n" for body in blocks)
        here = text.replace(READERS_CLICKHOUSE, f"127.0.0.1:{engine.port}")
        for name, content in week():
            put(tmp_path / "logs" / name, content)
        new_store(tmp_path, "tracking")
        done = run(["bash", "-c", script(here)], tmp_path, surroundings(tmp_path))
        assert done.returncode == 0, done.stdout[-5000:]
        assert engine.query("SELECT count(), uniqExact(person) FROM learning.event FINAL") == [(156, max(LEARNERS))]
    finally:
        engine.stop()


def as_run(found: re.Match[str]) -> str:
    """Return what stands above a block once it is run."""
    return f"<!-- {found['else']} -->\n" if found["else"] else ""


def week() -> Iterator[tuple[str, bytes]]:
    """Yield the logs of the pages: seven days of a course, with one event twice, a line that is none, a blank one."""
    for day, learners in enumerate(LEARNERS):
        lines = [json.dumps(make(day, who)) for who in range(1, learners + 1) for make in (played, checked)]
        if day == 2:
            lines += [lines[0], "no event at all", ""]
        yield f"tracking.log-2024020{day + 1}.gz", packed("".join(f"{each}\n" for each in lines).encode())


def played(day: int, who: int) -> dict[str, Any]:
    """Return that somebody played a video."""
    payload = {"id": "tides", "code": "x", "currentTime": 15.0 * who, "duration": 300.0}
    return of_learner(day, who, name="play_video", event=json.dumps(payload))


def checked(day: int, who: int) -> dict[str, Any]:
    """Return that somebody answered a problem, every third time wrongly."""
    correct = who % 3 != 0
    payload = {
        "problem_id": PROBLEM,
        "answers": {"half_moon_2_1": "choice_1"},
        "attempts": 1,
        "success": "correct" if correct else "incorrect",
        "grade": int(correct),
        "max_grade": 1,
        "correct_map": {"half_moon_2_1": {"correctness": "correct" if correct else "incorrect", "npoints": None}},
        "submission": {"half_moon_2_1": {"answer": "The left one", "input_type": "choicegroup", "correct": correct}},
    }
    return of_learner(day, who, name="problem_check", event=payload, event_source="server", page="x_module")


def of_learner(day: int, who: int, **fields: Any) -> dict[str, Any]:
    """Return an event of a learner's day."""
    context = {"user_id": who, "path": "/event", "course_id": COURSE, "org_id": "DemoU"}
    return event(time=at(60 * (10 + who), days=day), username=f"learner{who}", context=context, **fields)
