"""The index by learner and course."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("completion_aggregator", "0003_stalecompletion")]
    operations = [
        migrations.AddIndex(
            model_name="stalecompletion",
            index=models.Index(
                fields=["username", "course_key", "created", "resolved"], name="stale_user_course_resolved_idx"
            ),
        ),
    ]
