"""The tally of optional blocks, apart from the others."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("completion_aggregator", "0006_rename_index_together_to_indexes")]
    operations = [
        migrations.AddField(
            model_name="aggregator",
            name="optional_earned",
            field=models.FloatField(default=0.0, validators=[MinValueValidator(0.0)]),
        ),
        migrations.AddField(
            model_name="aggregator",
            name="optional_possible",
            field=models.FloatField(default=0.0, validators=[MinValueValidator(0.0)]),
        ),
        migrations.AddField(
            model_name="aggregator",
            name="optional_percent",
            field=models.FloatField(default=1.0, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)]),
        ),
    ]
