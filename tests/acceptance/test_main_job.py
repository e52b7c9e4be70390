"""The main job as an operator does it: a course in, learners in, completions in, percentages out."""

import csv
import json

import pytest
from completion.models import BlockCompletion
from django.core.management import call_command
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import Aggregator
from completion_aggregator.platforms.standalone.platform import StandalonePlatform
from tests.platforms.standalone.builders import stale_rows

DEMO = "course-v1:OpenedX+DemoX+DemoCourse"


@pytest.fixture
def command(capsys):
    def run(*arguments: object) -> str:
        capsys.readouterr()
        call_command(*map(str, arguments))
        return str(capsys.readouterr().out)

    return run


@pytest.fixture
def write(tmp_path):
    def write_it(name: str, *rows: tuple[object, ...]):
        path = tmp_path / name
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
        return path

    return write_it


def progress(command, *levels: str) -> dict[tuple[str, str], tuple[float, float]]:
    lines = command("export_progress", DEMO, "--format", "ndjson", "--levels", ",".join(levels)).splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["username"], row["block_id"].split("@", 1)[1]): (row["earned"], row["possible"]) for row in rows}


def completable(course_key: str) -> list[str]:
    _, graph = StandalonePlatform().course_graph(CourseKey.from_string(course_key))
    return list(graph.completable_keys)


@pytest.mark.django_db
def test_a_real_course_from_its_export_to_everybodys_percent(shared_data, command, write):
    export = shared_data / "data" / "olx" / "demo-course.tar.gz"
    (report,) = map(json.loads, command("import_course", "--json", export).splitlines())
    counts = report["block_counts"]
    assert (report["course"], counts["chapter"], counts["sequential"], counts["vertical"]) == (DEMO, 6, 17, 58)
    assert (counts["html"], counts["problem"], counts["video"]) == (266, 29, 11)

    command("import_enrollments", write("e.csv", ("username", "course_id"), ("ana", DEMO), ("ben", DEMO)))
    leaves = completable(DEMO)
    rows = [("ana", DEMO, key, 1.0, "2026-10-01T00:00:00Z") for key in leaves]
    rows += [("ben", DEMO, leaves[0], 0.25, "2026-10-02T00:00:00Z")]
    header = ("username", "course_id", "block_id", "completion", "modified")
    command("import_completions", write("c.csv", header, *rows))
    assert stale_rows()
    command("run_aggregator_service")
    assert stale_rows() == set()

    found = progress(command, "course", "chapter")
    assert len(found) == 2 * 7
    earned, possible = found["ana", "course+block@course"]
    assert earned == possible > 300
    assert found["ben", "course+block@course"] == (0.25, possible)
    assert all(earned == possible for (name, _), (earned, possible) in found.items() if name == "ana")
    assert {row.user.username: row.percent for row in Aggregator.objects.filter(aggregation_name="course")} == {
        "ana": 1.0,
        "ben": 0.25 / possible,
    }


@pytest.mark.django_db
def test_the_same_inputs_again_leave_every_row_as_it_was(shared_data, command, write):
    export = shared_data / "data" / "olx" / "test-course.tar.gz"
    key = "course-v1:TestX+Course+1"

    def everything():
        command("import_course", export)
        command("import_enrollments", write("e.csv", ("username", "course_id"), ("ana", key), ("ben", key)))
        rows = [("ana", key, block, 0.1 + number / 100, "2026-10-01") for number, block in enumerate(completable(key))]
        header = ("username", "course_id", "block_id", "completion", "modified")
        command("import_completions", write("c.csv", header, *rows))
        command("run_aggregator_service")
        facts = list(BlockCompletion.objects.order_by("id").values())
        return facts, list(Aggregator.objects.order_by("id").values())

    assert everything() == everything()


@pytest.mark.django_db
def test_a_course_edit_reaches_those_enrolled(command, write, tmp_path):
    def blocks_file(*leaves: str):
        tree = {
            "block-v1:O+C+R+type@course+block@course": ("course", ["block-v1:O+C+R+type@chapter+block@c"]),
            "block-v1:O+C+R+type@chapter+block@c": ("chapter", [f"block-v1:O+C+R+type@html+block@{x}" for x in leaves]),
            **{f"block-v1:O+C+R+type@html+block@{x}": ("html", []) for x in leaves},
        }
        blocks = {
            key: {"id": key, "type": kind, "display_name": kind, **({"children": children} if children else {})}
            for key, (kind, children) in tree.items()
        }
        path = tmp_path / "blocks.json"
        path.write_text(json.dumps({"root": next(iter(tree)), "blocks": blocks}))
        return path

    key = "course-v1:O+C+R"
    command("import_course", blocks_file("a", "b"))
    command("import_enrollments", write("e.csv", ("username", "course_id"), ("ana", key)))
    header = ("username", "course_id", "block_id", "completion")
    command("import_completions", write("c.csv", header, ("ana", key, "block-v1:O+C+R+type@html+block@a", 1)))
    command("run_aggregator_service")
    assert [row.percent for row in Aggregator.objects.filter(aggregation_name="course")] == [0.5]
    command("import_course", blocks_file("a", "b", "c", "d"))
    assert list(map(str, api.status().changed)) == [key]
    command("run_aggregator_service")
    assert [row.percent for row in Aggregator.objects.filter(aggregation_name="course")] == [0.25]
