"""Remember who has begun a course: of those who are stored already, whoever ever completed anything in it."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from completion_aggregator.migrations._operations import Additions


def begin(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Mark the learners who were active. Those who were only aggregated by force begin with the next such run."""
    rows = apps.get_model("completion_aggregator", "CourseProgress")._default_manager
    rows.using(schema_editor.connection.alias).filter(last_activity__isnull=False).update(begun=True)


class Migration(migrations.Migration):
    dependencies = [
        ("completion_aggregator", "0009_crossings"),
    ]

    operations = [
        Additions(
            [
                migrations.AddField(
                    model_name="courseprogress",
                    name="begun",
                    field=models.BooleanField(default=False),
                ),
            ],
            migration="0010_courseprogress_begun",
            columns=(("courseprogress", "begun"),),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
