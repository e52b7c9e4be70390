"""Nothing to do: 0001 and 0004 make the indexes under the names that 4.x gave them here.

The name stays in the history, because sites have applied it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("completion_aggregator", "0005_cachegroupinvalidation")]
    operations = []
