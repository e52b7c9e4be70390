"""The table of tallies."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import model_utils.fields
import opaque_keys.edx.django.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="Aggregator",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created",
                    model_utils.fields.AutoCreatedField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                (
                    "modified",
                    model_utils.fields.AutoLastModifiedField(
                        default=django.utils.timezone.now, editable=False, verbose_name="modified"
                    ),
                ),
                ("course_key", opaque_keys.edx.django.models.CourseKeyField(max_length=255)),
                ("aggregation_name", models.CharField(max_length=255)),
                ("block_key", opaque_keys.edx.django.models.UsageKeyField(max_length=255)),
                ("earned", models.FloatField(validators=[django.core.validators.MinValueValidator(0.0)])),
                ("possible", models.FloatField(validators=[django.core.validators.MinValueValidator(0.0)])),
                (
                    "percent",
                    models.FloatField(
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ]
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
        migrations.AlterUniqueTogether(
            name="aggregator", unique_together={("course_key", "block_key", "user", "aggregation_name")}
        ),
        # 4.x made these with index_together and renamed them in 0006; Django has lost that option since.
        migrations.AddIndex(
            model_name="aggregator",
            index=models.Index(fields=["user", "aggregation_name", "course_key"], name="aggr_name_user_course_idx"),
        ),
        migrations.AddIndex(
            model_name="aggregator",
            index=models.Index(
                fields=["course_key", "aggregation_name", "block_key", "percent"],
                name="aggr_name_course_block_per_idx",
            ),
        ),
    ]
