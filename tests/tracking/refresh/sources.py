"""Tables of an LMS, the same as a database and as a dump of one."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from tests.tracking.dump.writing import HEADER, section

T1, T2 = datetime(2024, 1, 2, 3, 4, 5, 600000, UTC), datetime(2024, 2, 2, tzinfo=UTC)
COURSE = "course-v1:O+C+R"
#: What each kind of column is called, in the dump and by each database.
TYPES = {
    "int": {"dump": "bigint(20)", "sqlite": "integer", "mysql": "bigint", "postgresql": "bigint"},
    "text": {"dump": "longtext", "sqlite": "text", "mysql": "longtext", "postgresql": "text"},
    "number": {"dump": "double", "sqlite": "real", "mysql": "double", "postgresql": "double precision"},
    "flag": {"dump": "tinyint(1)", "sqlite": "bool", "mysql": "tinyint(1)", "postgresql": "boolean"},
    "time": {"dump": "datetime(6)", "sqlite": "datetime", "mysql": "datetime(6)", "postgresql": "timestamptz"},
}
#: These the site has already.
OF_DJANGO = {"auth_user", "django_content_type"}

Rows = Sequence[Sequence[Any]]
Tables = Mapping[str, tuple[Mapping[str, str], Rows]]


def table(columns: str, *rows: Sequence[Any]) -> tuple[Mapping[str, str], Rows]:
    """Return a table: ``name:kind name:kind`` and its rows."""
    return dict(each.split(":") for each in columns.split()), rows


def dump_of(tables: Tables) -> bytes:
    """Return the dump of a database."""
    sections = (
        section(name, [f"`{column}` {TYPES[kind]['dump']}" for column, kind in columns.items()], rows)
        for name, (columns, rows) in tables.items()
    )
    return HEADER + b"".join(sections)


@contextmanager
def database_of(tables: Tables):
    """Put the tables into the test's database, and take them out again."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for name, (columns, rows) in tables.items():
            listed = [quote(column) for column in columns]
            kinds = [TYPES[kind][connection.vendor] for kind in columns.values()]
            if name not in OF_DJANGO:
                made = ", ".join(" ".join(pair) for pair in zip(listed, kinds, strict=True))
                cursor.execute(f"CREATE TABLE {quote(name)} ({made})")
            marks = ", ".join(["%s"] * len(columns))
            adapted = [[adapt(kind, value) for kind, value in zip(columns.values(), row, strict=True)] for row in rows]
            cursor.executemany(f"INSERT INTO {quote(name)} ({', '.join(listed)}) VALUES ({marks})", adapted)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for name in tables:
                if name not in OF_DJANGO:
                    cursor.execute(f"DROP TABLE {quote(name)}")


def adapt(kind: str, value: Any) -> Any:
    """Return a value as the backend takes it."""
    if kind == "time":
        return connection.ops.adapt_datetimefield_value(value)
    return bool(value) if kind == "flag" and value is not None else value
