"""Give a table another primary key, where it is ours alone and no other table refers to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from completion_aggregator.migrations._operations import _begin, _is_plain, _renamed, _require_tables
from completion_aggregator.migrations._patience import patience


@dataclass(frozen=True)
class Way:
    """The statements of one way, with semicolons between them; on SQLite the table is made anew without any."""

    mysql: str
    postgresql: str


class Rekey(SeparateDatabaseAndState):
    """Change the key of *model* from a column of its own to columns that say what a row is, and back.

    The statements stop writers for as long as the rows take to copy. On MariaDB and MySQL each is one that is done
    or not done, and may be run again.
    """

    def __init__(
        self, model: str, operations: Sequence[Operation], *, migration: str, column: str, forth: Way, back: Way
    ) -> None:
        super().__init__(state_operations=operations)
        self.model, self.migration, self.column, self.forth, self.back = model, migration, column, forth, back

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        """Return what ``__init__`` was called with."""
        values = {"migration": self.migration, "column": self.column, "forth": self.forth, "back": self.back}
        return type(self).__name__, [self.model, self.state_operations], values

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Take the column away."""
        self._run(app_label, schema_editor, (from_state, to_state), self.forth, is_there=True)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Bring it back, with numbers of no meaning."""
        self._run(app_label, schema_editor, (from_state, to_state), self.back, is_there=False)

    def _run(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        states: tuple[ProjectState, ProjectState],
        way: Way,
        *,
        is_there: bool,
    ) -> None:
        connection: Any = schema_editor.connection
        if not router.allow_migrate(connection.alias, app_label, model_name=self.model):
            return
        if connection.vendor == "sqlite":
            self._make_anew(app_label, schema_editor, *states)
            return
        table = f"{app_label}_{self.model}"
        sql: str = getattr(way, connection.vendor)
        statements = [" ".join(each.split()) for each in sql.format(table=table).split(";")]
        if _is_plain(schema_editor, app_label):
            _execute(schema_editor, statements)
            return
        _begin(connection, (app_label, self.migration), is_applied=not is_there)
        _require_tables(app_label, connection, states[0])
        with connection.cursor() as cursor:
            columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        if (self.column in columns) is is_there:  # else an earlier run came so far
            with patience(connection):
                _execute(schema_editor, statements)

    def _make_anew(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> None:
        """Copy the rows into a table of the new form, as SQLite cannot change the key of one."""
        old = before.apps.get_model(app_label, self.model)
        name, copy = old._meta.db_table, f"{old._meta.db_table}_new"
        new = _renamed(after, app_label, self.model, copy).apps.get_model(app_label, self.model)
        schema_editor.create_model(new)
        kept = [field.column for field in new._meta.local_concrete_fields if field.column]
        there = {field.column for field in old._meta.local_concrete_fields}
        columns = ", ".join(f'"{column}"' for column in kept if column in there)
        schema_editor.execute(f'INSERT INTO "{copy}" ({columns}) SELECT {columns} FROM "{name}"')
        schema_editor.delete_model(old)
        schema_editor.alter_db_table(new, copy, name)


def _execute(schema_editor: BaseDatabaseSchemaEditor, statements: Sequence[str]) -> None:
    for statement in statements:
        schema_editor.execute(statement)
