"""When the newest completion below a block was made."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("completion_aggregator", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="aggregator",
            name="last_modified",
            field=models.DateTimeField(default=django.utils.timezone.now),
            preserve_default=False,
        ),
    ]
