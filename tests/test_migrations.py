"""The tables as other software knows them, and the way there and back without losing a row."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.models import AggregatedCourse, CourseProgress

LABEL = "completion_aggregator"
OLD = "0007_aggregator_optional_completion"
HISTORY = [
    "0001_initial",
    "0002_aggregator_last_modified",
    "0003_stalecompletion",
    "0004_index_stalecompletion",
    "0005_cachegroupinvalidation",
    "0006_rename_index_together_to_indexes",
    OLD,
]
COLUMNS = {
    "completion_aggregator_aggregator": {
        "id", "created", "modified", "last_modified", "user_id", "course_key", "aggregation_name", "block_key",
        "earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent",
    },
    "completion_aggregator_stalecompletion": {
        "id", "created", "modified", "username", "course_key", "block_key", "force", "resolved",
    },
    "completion_aggregator_cachegroupinvalidation": {"id", "group", "invalidated_at"},
}  # fmt: skip
#: Columns that old software does not know, and so leaves out.
ADDED = {"completion_aggregator_stalecompletion": {"user_id"}}
INDEXES = {
    "completion_aggregator_aggregator": {
        "aggr_name_user_course_idx": ["user_id", "aggregation_name", "course_key"],
        "aggr_name_course_block_per_idx": ["course_key", "aggregation_name", "block_key", "percent"],
    },
    "completion_aggregator_stalecompletion": {
        "stale_user_course_resolved_idx": ["username", "course_key", "created", "resolved"],
    },
}
UNIQUE = {
    "completion_aggregator_aggregator": ["course_key", "block_key", "user_id", "aggregation_name"],
    "completion_aggregator_cachegroupinvalidation": ["group"],
}
ROWS: dict[str, dict[str, Any]] = {
    "auth_user": {"username": "ana", "password": "", "email": "", "first_name": "", "last_name": "", "id": 77},
    "completion_aggregator_aggregator": {
        "user_id": 77, "course_key": "course-v1:A+b+C", "aggregation_name": "course", "earned": 0.1, "possible": 3.0,
        "block_key": "block-v1:A+b+C+type@course+block@course", "percent": 0.1 / 3, "optional_earned": 0.5,
        "optional_possible": 1.0, "optional_percent": 0.5,
    },
    "completion_aggregator_stalecompletion": {"username": "ana", "course_key": "course-v1:A+b+C", "block_key": None},
    "completion_aggregator_cachegroupinvalidation": {"group": "g" * 150},
}  # fmt: skip
DEFAULTS: dict[str, Any] = {
    "force": False, "resolved": False, "is_superuser": False, "is_staff": False, "is_active": True,
}  # fmt: skip


@pytest.fixture
def latest() -> Iterator[None]:
    """Leave the tables as they were, whatever becomes of the test."""
    yield
    call_command("migrate", verbosity=0)


def constraints(table: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        return dict(connection.introspection.get_constraints(cursor, table))


def columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def insert(table: str, values: dict[str, Any]) -> None:
    known, now = columns(table), timezone.now().replace(tzinfo=None)
    moments = {"created", "modified", "last_modified", "invalidated_at", "date_joined"} & known
    row = {name: value for name, value in DEFAULTS.items() if name in known} | dict.fromkeys(moments, now) | values
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(map(quote, row))}) VALUES ({', '.join(['%s'] * len(row))})",
            [str(value) if name in moments else value for name, value in row.items()],
        )


def content() -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    with connection.cursor() as cursor:
        for table, names in COLUMNS.items():
            cursor.execute(f"SELECT {', '.join(map(connection.ops.quote_name, sorted(names)))} FROM {table}")
            found[table] = cursor.fetchall()
    return found


def migrate(name: str) -> None:
    call_command("migrate", LABEL, name, verbosity=0)


def test_the_names_of_the_old_migrations_are_those_that_sites_have_applied() -> None:
    names = sorted(name for label, name in MigrationExecutor(None).loader.disk_migrations if label == LABEL)
    assert names[: len(HISTORY)] == HISTORY


@pytest.mark.django_db
@pytest.mark.parametrize("table", COLUMNS)
def test_a_public_table_has_the_columns_and_indexes_that_others_know(table: str) -> None:
    found = constraints(table)
    assert columns(table) == COLUMNS[table] | ADDED.get(table, set())
    assert {name: found[name]["columns"] for name in INDEXES.get(table, {})} == INDEXES.get(table, {})
    unique = [each["columns"] for each in found.values() if each["unique"] and not each["primary_key"]]
    assert unique == ([UNIQUE[table]] if table in UNIQUE else [])


@pytest.mark.django_db
def test_what_belongs_to_a_user_goes_with_the_user() -> None:
    keys = [each for each in constraints("completion_aggregator_aggregator").values() if each["foreign_key"]]
    assert [(each["columns"], each["foreign_key"]) for each in keys] == [(["user_id"], ("auth_user", "id"))]


@pytest.mark.django_db(transaction=True)
def test_the_way_back_to_the_old_version_and_forward_again_keeps_every_row(latest: None) -> None:
    for table, row in ROWS.items():
        insert(table, row)
    before = content()

    migrate(OLD)
    assert content() == before
    assert "completion_aggregator_courseprogress" not in connection.introspection.table_names()
    migrate("0008")
    assert content() == before
    assert all(len(found) == 1 for found in before.values())


@pytest.mark.django_db(transaction=True)
def test_all_migrations_can_be_undone_and_applied_anew(latest: None) -> None:
    migrate("zero")
    assert not [name for name in connection.introspection.table_names() if name.startswith(f"{LABEL}_a")]
    for name in HISTORY:
        migrate(name)
    assert {table: columns(table) for table in COLUMNS} == COLUMNS
    migrate("0008")
    for table, wanted in INDEXES.items():
        assert wanted.items() <= {name: each["columns"] for name, each in constraints(table).items()}.items()


@pytest.mark.django_db(transaction=True)
def test_a_site_of_the_old_version_may_have_keys_that_differ_in_case_in_two_rows_now(latest: None) -> None:
    row = ROWS["completion_aggregator_aggregator"]
    insert("auth_user", ROWS["auth_user"])
    insert("completion_aggregator_aggregator", row)
    migrate(OLD)
    migrate("0008")
    insert("completion_aggregator_aggregator", row | {"block_key": str(row["block_key"]).replace("course+", "COURSE+")})
    assert len(content()["completion_aggregator_aggregator"]) == 2


@pytest.mark.django_db(transaction=True)
def test_who_was_active_before_there_was_a_mark_has_begun(latest: None) -> None:
    course = AggregatedCourse.objects.create(course_key=CourseKey.from_string("course-v1:A+b+C"))
    users = [get_user_model()._default_manager.create(username=name) for name in ("ana", "bob")]
    for user, moment in zip(users, (timezone.now(), None), strict=True):
        CourseProgress.objects.create(course=course, user=user, last_activity=moment, begun=False)
    migrate("0009")

    migrate("0010")

    assert dict(CourseProgress.objects.values_list("user__username", "begun")) == {"ana": True, "bob": False}
