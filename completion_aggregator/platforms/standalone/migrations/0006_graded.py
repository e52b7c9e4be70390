from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("completion_aggregator_standalone", "0005_log_position"),
    ]

    operations = [
        migrations.AddField(
            model_name="courseversion",
            name="graded",
            field=models.JSONField(null=True),
        ),
    ]
