"""Rows of the LMS about learners in courses, as plain tuples, many at a time."""

from collections.abc import Collection, Iterator
from typing import Any, Final, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, ExpressionWrapper, F, Lookup, Model
from django.db.models.sql.compiler import SQLCompiler
from opaque_keys.edx.keys import CourseKey

#: A statement of 10,000 ids is 60 kB long.
IDS_PER_QUERY: Final = 10_000

Row: TypeAlias = tuple[Any, ...]


def rows(
    model: type[Model] | None,
    course_keys: Collection[CourseKey],
    user_ids: Collection[int],
    *columns: str,
    user: str = "user_id",
    course: str = "course_id",
    **conditions: Any,
) -> Iterator[Row]:
    """Yield the course key as text, the user id and *columns* of each row about these learners in these courses.

    *user* and *course* name the fields that say whom and what a row is about. One query for each 10,000 learners; a
    table that this LMS does not have has no rows.
    """
    if model is None or not course_keys:
        return
    # Keys compare without regard to case on some databases: two courses may answer to one key.
    exactly = {str(course_key) for course_key in course_keys}
    about = model._default_manager.filter(**{f"{course}__in": list(course_keys)}, **conditions).order_by()
    for ids in chunks(user_ids):
        found = about.filter(among(user, ids)).values_list(text(course), user, *columns)
        yield from (row for row in found if row[0] in exactly)


def text(field: str) -> "ExpressionWrapper[F]":
    """Return the column of a key as it stands in its table: to parse 10,000 keys takes 0.2 s."""
    return ExpressionWrapper(F(field), CharField())


def exactly(field: str, key: CourseKey) -> "Lookup[Any]":
    """Return the condition that a column holds this key to the letter: beside a plain one, for which there is an index.

    On some databases the columns of the LMS compare without regard to case, and two courses answer to one key.
    """
    return _Exactly(F(field), str(key))


def among(field: str, ids: Collection[int]) -> "Lookup[Any]":
    """Return the condition that a column holds one of these ids, which stand in the statement as they are.

    As parameters, 10,000 of them take 0.1 s to get through Django and the driver: more than the database needs.
    """
    return _Among(F(field), ",".join(map(str, map(int, ids))) or "NULL")


def chunks(ids: Collection[int], size: int = IDS_PER_QUERY) -> Iterator[list[int]]:
    """Yield *ids* in pieces that fit into one statement."""
    whole = list(ids)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


class _Exactly(Lookup):  # type: ignore[type-arg]  # no generic when it runs
    """A comparison of characters, whatever the collation of the column."""

    prepare_rhs = False
    _BY_VENDOR: Final = {
        "mysql": "CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin = %s",
        "sqlite": "{} = %s COLLATE BINARY",
    }

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        sql, parameters = self.process_lhs(compiler, connection)
        return self._BY_VENDOR.get(connection.vendor, "{} = %s").format(sql), [*parameters, self.rhs]


class _Among(Lookup):  # type: ignore[type-arg]  # no generic when it runs
    """A lookup, not a function: Django compares those with TRUE on MySQL, which then uses no index."""

    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        sql, parameters = self.process_lhs(compiler, connection)
        return f"{sql} IN ({self.rhs})", list(parameters)
