"""To migrate there and back, and a table as its database describes it, to compare two ways that lead to it."""

import re
from typing import Any

from django.core.management import call_command
from django.db import connection

LABEL = "completion_aggregator"


def migrate(name: str = "") -> None:
    """Migrate to there; without a name, to the newest."""
    call_command("migrate", LABEL, *filter(None, [name]), verbosity=0)


def described(*prefixes: str) -> dict[str, Any]:
    """Return every table whose name begins so, with columns, collations, indexes and constraints."""
    with connection.cursor() as cursor:
        names = [each.name for each in connection.introspection.get_table_list(cursor)]
        return {name: _described(cursor, name) for name in names if name.startswith(prefixes)}


def _described(cursor: Any, table: str) -> Any:
    if connection.vendor == "mysql":
        cursor.execute(f"SHOW CREATE TABLE {table}")
        return re.sub(r" AUTO_INCREMENT=\d+", "", cursor.fetchone()[1])
    columns = [column[:9] for column in connection.introspection.get_table_description(cursor, table)]
    return columns, connection.introspection.get_constraints(cursor, table)
