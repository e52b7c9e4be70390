"""Ids of 64 bits and case-sensitive keys in the three public tables; the tables of completion vectors.

On MariaDB and MySQL, where sites have data, the two large tables are rebuilt while others use them, and whatever
interrupts this, ``migrate`` goes on when it is run again: the long part comes first, and each part looks at what is there.
"""

import django.db.models.deletion
import opaque_keys.edx.django.models
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from completion_aggregator.migrations import _online
from completion_aggregator.migrations._operations import Additions, Rebuild

AGGREGATOR = "completion_aggregator_aggregator"
STALE = "completion_aggregator_stalecompletion"
LEFT = f"{STALE}old"
COLUMNS = "created, modified, username, course_key, block_key, `force`, resolved"


def take_over_newest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the table that 0004 of 4.x left behind, but first take the row that it forgot: the newest."""
    connection = schema_editor.connection
    if connection.vendor != "mysql":
        return
    with connection.cursor() as cursor:
        if LEFT not in {table.name for table in connection.introspection.get_table_list(cursor)}:
            return
        # Copied and deleted since, once resolved, it comes again: one learner is refreshed without need.
        cursor.execute(
            f"INSERT INTO {STALE} ({COLUMNS}) SELECT {COLUMNS} FROM {LEFT} o"
            f" WHERE id = (SELECT MAX(id) FROM {LEFT}) AND resolved = 0 AND NOT EXISTS ("
            f"SELECT 1 FROM {STALE} n WHERE n.username = o.username AND n.course_key = o.course_key"
            " AND n.created = o.created AND n.block_key <=> o.block_key)"
        )
        cursor.execute(f"DROP TABLE {LEFT}")


def refuse_large_ids(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Do not go back with ids that the old tables have no room for."""
    if schema_editor.connection.vendor == "mysql":
        _online.refuse_large_ids(schema_editor.connection, [AGGREGATOR, STALE])


class Migration(migrations.Migration):
    dependencies = [
        ("completion_aggregator", "0007_aggregator_optional_completion"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        Rebuild(
            "aggregator",
            [
                migrations.AlterField(
                    model_name="aggregator",
                    name="block_key",
                    field=opaque_keys.edx.django.models.UsageKeyField(case_sensitive=True, max_length=255),
                ),
                migrations.AlterField(
                    model_name="aggregator",
                    name="course_key",
                    field=opaque_keys.edx.django.models.CourseKeyField(case_sensitive=True, max_length=255),
                ),
                migrations.AlterField(
                    model_name="aggregator",
                    name="id",
                    field=models.BigAutoField(primary_key=True, serialize=False),
                ),
            ],
            migration="0008_completion_vectors",
            names=("0007", "0008"),
            key=("course_key", "block_key", "user_id", "aggregation_name"),
        ),
        Rebuild(
            "stalecompletion",
            [
                migrations.AlterField(
                    model_name="stalecompletion",
                    name="course_key",
                    field=opaque_keys.edx.django.models.CourseKeyField(case_sensitive=True, max_length=255),
                ),
                migrations.AlterField(
                    model_name="stalecompletion",
                    name="block_key",
                    field=opaque_keys.edx.django.models.UsageKeyField(
                        blank=True, case_sensitive=True, max_length=255, null=True
                    ),
                ),
                migrations.AlterField(
                    model_name="stalecompletion",
                    name="id",
                    field=models.BigAutoField(primary_key=True, serialize=False),
                ),
                migrations.AddIndex(
                    model_name="stalecompletion",
                    index=models.Index(fields=["resolved", "course_key", "id"], name="stale_resolved_course_id_idx"),
                ),
            ],
            migration="0008_completion_vectors",
            names=("0007", "0008"),
            # Of the old software, who resolves a row leaves its time as it is.
            marks=("modified", "resolved"),
        ),
        migrations.RunPython(take_over_newest, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="cachegroupinvalidation",
            name="id",
            field=models.BigAutoField(primary_key=True, serialize=False),
        ),
        Additions(
            [
                migrations.CreateModel(
                    name="AggregatedCourse",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "course_key",
                            opaque_keys.edx.django.models.CourseKeyField(
                                case_sensitive=True, max_length=255, unique=True
                            ),
                        ),
                        ("leaf_count", models.PositiveIntegerField(default=0)),
                        ("failures", models.PositiveIntegerField(default=0)),
                        ("error", models.TextField(blank=True, default="")),
                        ("retry_at", models.DateTimeField(blank=True, null=True)),
                        ("refreshed_at", models.DateTimeField(blank=True, null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="CourseLeaf",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("number", models.PositiveIntegerField()),
                        ("block_key", opaque_keys.edx.django.models.UsageKeyField(case_sensitive=True, max_length=255)),
                    ],
                ),
                migrations.CreateModel(
                    name="CourseProgress",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        ("vector", models.BinaryField(default=b"")),
                        ("earned", models.FloatField(default=0.0)),
                        ("possible", models.FloatField(default=0.0)),
                        ("percent", models.FloatField(default=0.0)),
                        ("optional_earned", models.FloatField(default=0.0)),
                        ("optional_possible", models.FloatField(default=0.0)),
                        ("last_modified", models.DateTimeField(null=True)),
                        ("last_activity", models.DateTimeField(null=True)),
                        ("graph_version", models.CharField(default="", max_length=32)),
                        ("profile", models.CharField(default="", max_length=16)),
                        ("view", models.CharField(default="", max_length=16)),
                        ("as_of", models.DateTimeField(null=True)),
                        ("valid_until", models.DateTimeField(db_index=True, null=True)),
                        ("unnumbered", models.BooleanField(default=False)),
                        ("leaf_count", models.PositiveIntegerField(default=0)),
                        ("attempts", models.PositiveIntegerField(default=0)),
                        ("set_aside_at", models.DateTimeField(db_index=True, null=True)),
                        ("error", models.CharField(blank=True, default="", max_length=500)),
                    ],
                ),
                migrations.AddField(
                    model_name="courseleaf",
                    name="course",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="leaves",
                        to="completion_aggregator.aggregatedcourse",
                    ),
                ),
                migrations.AddField(
                    model_name="courseprogress",
                    name="course",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="progress",
                        to="completion_aggregator.aggregatedcourse",
                    ),
                ),
                migrations.AddField(
                    model_name="courseprogress",
                    name="user",
                    field=models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                migrations.AddConstraint(
                    model_name="courseleaf",
                    constraint=models.UniqueConstraint(fields=("course", "number"), name="leaf_course_number_uniq"),
                ),
                migrations.AddConstraint(
                    model_name="courseleaf",
                    constraint=models.UniqueConstraint(fields=("course", "block_key"), name="leaf_course_block_uniq"),
                ),
                migrations.AddIndex(
                    model_name="courseprogress",
                    index=models.Index(fields=["course", "graph_version"], name="progress_course_version_idx"),
                ),
                migrations.AddConstraint(
                    model_name="courseprogress",
                    constraint=models.UniqueConstraint(fields=("course", "user"), name="progress_course_user_uniq"),
                ),
            ],
            migration="0008_completion_vectors",
            tables=("aggregatedcourse", "courseleaf", "courseprogress"),
        ),
        # Undone first: a site that cannot go back is told so before anything of this migration is gone.
        migrations.RunPython(migrations.RunPython.noop, refuse_large_ids),
    ]
