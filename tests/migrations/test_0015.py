"""Migration 0015: rows of progress and of leaves keep what they hold, on the way there and back, however often."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection

from completion_aggregator.models import AggregatedCourse, CourseLeaf, CourseProgress
from tests.migrations.schema import LABEL, migrate

TABLES = (f"{LABEL}_courseprogress", f"{LABEL}_courseleaf")
KEY = "course-v1:A+b+C"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("latest")]


@pytest.fixture
def rows() -> list[Any]:
    """Store rows of two learners and three leaves, in no order; return what the tables hold."""
    course = AggregatedCourse.objects.create(course_key=KEY, leaf_count=3)
    users = [get_user_model()._default_manager.create(username=name) for name in ("ana", "ben")]
    for user, vector in zip(reversed(users), (b"\x00\xff", b"\x02"), strict=True):
        CourseProgress.objects.create(
            course=course, user=user, vector=vector, earned=1.5, possible=3.0, percent=0.5, graph_version="v",
            as_of="2026-01-02T03:04:05.000006Z", begun=True, attempts=2, error="an 'error'",
        )  # fmt: skip
    for number in (2, 0, 1):
        CourseLeaf.objects.create(course=course, number=number, block_key=f"block-v1:A+b+C+type@html+block@{number}")
    return stored()


def stored() -> list[Any]:
    progress, leaves = CourseProgress.objects.order_by("user_id"), CourseLeaf.objects.order_by("number")
    return [[row | {"vector": bytes(row["vector"])} for row in progress.values()], list(leaves.values())]


def keys() -> list[tuple[list[str], bool]]:
    """Return the columns of the primary key of each table, and whether it has a number of its own."""
    found = []
    with connection.cursor() as cursor:
        for table in TABLES:
            constraints = connection.introspection.get_constraints(cursor, table).values()
            (key,) = [
                sorted(each["columns"]) for each in constraints if each["primary_key"]
            ]  # SQLite's come in any order
            columns = {each.name for each in connection.introspection.get_table_description(cursor, table)}
            found.append((key, "id" in columns))
    return found


def test_rows_survive_there_and_back(rows: list[Any]) -> None:
    migrate("0014")
    assert keys() == [(["id"], True), (["id"], True)]
    migrate()

    assert keys() == [(["course_id", "user_id"], False), (["course_id", "number"], False)]
    assert stored() == rows


@pytest.mark.parametrize("way", [("0014", ""), ("", "0014")])
def test_a_run_that_broke_off_between_the_tables_is_run_again(
    rows: list[Any], way: tuple[str, str], vendor: str
) -> None:
    before, after = way
    migrate(before)
    last = TABLES[0] if after else TABLES[1]

    def broken(run: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith(("ALTER TABLE", "INSERT INTO")) and last in sql:
            raise OperationalError(1053, "Server shutdown in progress")
        return run(sql, *arguments)

    with connection.execute_wrapper(broken), pytest.raises(OperationalError, match="shutdown"):
        migrate(after)
    half = {each for _, each in keys()}
    migrate(after)
    migrate()

    # Elsewhere nothing of a migration that fails is left.
    assert half == ({True, False} if vendor == "mysql" else {not after})
    assert stored() == rows
