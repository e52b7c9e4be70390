"""Turn on the switch without which edx-completion refuses to save a completion."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SWITCH = "completion.enable_completion_tracking"


def enable(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the switch, on; leave one that exists as its operator set it."""
    switches = apps.get_model("waffle", "Switch")._default_manager.using(schema_editor.connection.alias)
    switches.get_or_create(
        name=SWITCH, defaults={"active": True, "note": "A standalone site records completions itself."}
    )


class Migration(migrations.Migration):
    """A site that goes back keeps its switch: it may rely on it by then."""

    dependencies = [
        ("completion_aggregator_standalone", "0001_initial"),
        ("waffle", "0004_update_everyone_nullbooleanfield"),
    ]

    operations = [migrations.RunPython(enable, migrations.RunPython.noop)]
