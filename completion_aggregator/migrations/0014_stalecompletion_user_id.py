"""Let rows of the queue say whose they are by id too: a name may become another's while they wait."""

from django.db import migrations, models

from completion_aggregator.migrations._operations import Additions


class Migration(migrations.Migration):
    dependencies = [
        ("completion_aggregator", "0013_coursetree"),
    ]

    operations = [
        Additions(
            [
                migrations.AddField(
                    model_name="stalecompletion",
                    name="user_id",
                    field=models.BigIntegerField(blank=True, null=True),
                ),
            ],
            migration="0014_stalecompletion_user_id",
            columns=(("stalecompletion", "user_id"),),
        ),
    ]
