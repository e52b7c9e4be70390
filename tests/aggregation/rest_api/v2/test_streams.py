"""A whole class as CSV or NDJSON."""

import csv
import io
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey
from rest_framework.test import APIClient

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import AggregatedCourse, CourseProgress
from completion_aggregator.aggregation.records import COLUMNS, iso
from completion_aggregator.course_graph import vector
from completion_aggregator.platforms.standalone.models import Course, Enrollment
from tests.aggregation.builders import KEY, SMALL, complete, course, learner, small, usage
from tests.aggregation.rest_api.v2.conftest import ROOT, Ask
from tests.fakes.platform import FakePlatform
from tests.platforms.standalone import builders as standalone

pytestmark = pytest.mark.django_db

CLASS = f"{KEY}/learners/"


@pytest.fixture
def some(platform: FakePlatform) -> None:
    """Enroll three learners: refreshed, refreshed without doing anything, and never refreshed."""
    small(platform)
    ana, _, eva = (learner(platform, name) for name in ("ana", "=ben", "eva"))
    complete(ana, "a", 0.1 + 0.2)
    api.mark_course_stale(KEY)
    api.refresh_course(KEY)
    CourseProgress.objects.filter(user=eva).delete()


def expected() -> list[dict[str, Any]]:
    newest = iso(CourseProgress.objects.get(user__username="ana").last_modified)
    course_block, first, second = (
        usage(*each) for each in (("course", "course"), ("chapter", "c1"), ("chapter", "c2"))
    )
    rows: list[dict[str, Any]] = []
    for name, earned in (("ana", 0.1 + 0.2), ("=ben", 0.0), ("eva", 0.0)):
        for key, kind, done, possible, apart in (
            (course_block, "course", earned, 5.0, 1.0), (first, "chapter", earned, 3.0, 1.0),
            (second, "chapter", 0.0, 2.0, 0.0),
        ):  # fmt: skip
            moment = newest if name == "ana" and kind == "course" else None
            values = (done, possible, done / possible, 0.0, apart, 1.0 - apart, moment)
            rows.append(dict(zip(COLUMNS, (name, str(KEY), str(key), kind, *values), strict=True)))
    return rows


def test_ndjson_is_exact(some: None, ask: Ask):
    answer = ask(CLASS, query={"format": "ndjson", "levels": "chapter"})
    assert (answer.status_code, answer.streaming) == (200, True)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="progress_course-v1_Test_Course_1.ndjson"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert [json.loads(line) for line in answer.getvalue().decode().splitlines()] == expected()


def test_csv_has_every_digit_and_no_formula(some: None, ask: Ask):
    answer = ask(CLASS, query={"format": "csv", "levels": "chapter"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="progress_course-v1_Test_Course_1.csv"'
    found = list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))
    for row in expected():
        row["username"] = {"=ben": "'=ben"}.get(row["username"], row["username"])
        text = {name: "" if value is None else str(value) for name, value in row.items()}
        assert found.pop(0) == text
    assert found == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_name_that_a_spreadsheet_would_run_is_text(platform: FakePlatform, ask: Ask, start: str):
    small(platform)
    learner(platform, f"{start}cmd|' /C calc'!A0")
    _, row = csv.reader(io.StringIO(ask(CLASS, query={"format": "csv"}).getvalue().decode(), newline=""))
    assert row[0] == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv; charset=utf-8; header=present"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv, application/json;q=0.1", "text/csv; charset=utf-8; header=present"),
        ("text/csv;q=0.9,application/json;q=0.5", "text/csv; charset=utf-8; header=present"),
        ("application/x-ndjson, text/csv;q=0.5", "application/x-ndjson"),
        ("application/json;q=0, */*;q=0.1", "text/csv; charset=utf-8; header=present"),
        ("text/*, */*;q=0.5", "text/csv; charset=utf-8; header=present"),
        ("*/*", "application/json"),
    ],
)
def test_accept_says_the_form(some: None, ask: Ask, accept: str, content_type: str):
    assert ask(CLASS, headers={"Accept": accept}).headers["Content-Type"] == content_type


def test_the_parameter_wins_over_accept(some: None, ask: Ask):
    answer = ask(CLASS, query={"format": "ndjson"}, headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0"])
def test_a_form_that_is_not_there_is_refused(some: None, ask: Ask, accept: str):
    answer = ask(CLASS, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (406, "application/json")


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_an_error_is_json_and_comes_before_the_first_line(platform: FakePlatform, ask: Ask, kind: str):
    for path, query, status in (
        (CLASS, {}, 404), (CLASS, {"sort": "x"}, 400), ("nonsense/learners/", {}, 404),
    ):  # fmt: skip
        answer = ask(path, query={"format": kind, **query})
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
        assert answer.json().keys() <= {"detail", "sort"}


def test_filters_and_order_hold_for_a_stream(some: None, ask: Ask):
    lines = ask(CLASS, query={"format": "ndjson", "sort": "-percent", "percent_max": "0"}).getvalue().decode()
    assert [json.loads(line)["username"] for line in lines.splitlines()] == ["=ben", "eva"]


def test_nobody_is_a_file_without_rows(platform: FakePlatform, ask: Ask):
    small(platform)
    assert ask(CLASS, query={"format": "ndjson"}).getvalue() == b""
    assert ask(CLASS, query={"format": "csv"}).getvalue().decode() == ",".join(COLUMNS) + "\n"


def test_a_file_is_named_safely(platform: FakePlatform, ask: Ask):
    key = CourseKey.from_string("Org/Number/Run")
    platform.publish(course(*SMALL, key=key))
    answer = ask(f"{key}/learners/", query={"format": "csv"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="progress_Org_Number_Run.csv"'


def enrolled(count: int) -> Any:
    """Enroll learners on the standalone platform; nine of ten were refreshed. Return somebody who may read."""
    model = get_user_model()
    published = standalone.course()
    aggregated, _ = AggregatedCourse.objects.get_or_create(course_key=standalone.KEY)
    model._default_manager.bulk_create([model(username=f"learner{n:06}") for n in range(count)], batch_size=500)
    ids = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
    Enrollment.objects.bulk_create([Enrollment(user_id=pk, course=published) for pk in ids], batch_size=500)
    (packed,) = vector.pack(np.array([[1.0, np.nan]]))
    now = timezone.now()
    CourseProgress.objects.bulk_create(
        [
            CourseProgress(course=aggregated, user_id=pk, vector=packed, earned=1, possible=2, percent=(pk % 97) / 97,
                           as_of=now, graph_version="1", last_activity=now)
            for pk in ids if pk % 10
        ],
        batch_size=500,
    )  # fmt: skip
    return model._default_manager.create(username="zz_staff", is_staff=True)


def peak(staff: Any, query: dict[str, str]) -> tuple[int, int]:
    """Return how many lines came, and the most memory that Python held meanwhile."""
    client = APIClient()
    client.force_authenticate(staff)
    tracemalloc.start()
    try:
        answer: Any = client.get(f"{ROOT}{standalone.KEY}/learners/", query)
        assert answer.status_code == 200
        lines = sum(chunk.count(b"\n") for chunk in answer.streaming_content)
        return lines, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("query", [{"format": "csv"}, {"format": "ndjson", "levels": "all", "sort": "-percent"}])
def test_memory_does_not_grow_with_the_class(query: dict[str, str]):
    staff, sizes = enrolled(2_000), []
    peak(staff, query)  # what is kept from now on is kept
    sizes.append(peak(staff, query))
    get_user_model()._default_manager.all().delete()
    Course.objects.all().delete()
    sizes.append(peak(enrolled(20_000), query))
    (few, small_peak), (many, large_peak) = sizes
    rows = 2 if "levels" in query else 1
    header = query["format"] == "csv"
    assert (few, many) == (2_000 * rows + header, 20_000 * rows + header)
    # An id is eight bytes of an array; all entries at once would be some ten megabytes.
    assert large_peak - small_peak < 1_500_000, sizes
