"""Operations that may be repeated where a database cannot undo half a migration: MariaDB and MySQL.

Elsewhere a migration is one transaction, and these are no more than the operations they are made of.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from completion_aggregator.migrations import _lock, _online
from completion_aggregator.migrations._patience import patience


class Rebuild(SeparateDatabaseAndState):
    """Alter a table that may be large and in use; see ``_online``. ``key`` and ``marks`` are those of its ``Table``.

    ``migration``: the one that it is a part of, by which another process tells that it is done.
    """

    # On MariaDB and MySQL each batch is a transaction of its own.
    atomic = False

    def __init__(
        self,
        model: str,
        operations: Sequence[Operation],
        *,
        migration: str,
        names: tuple[str, str],
        key: Sequence[str] = (),
        marks: Sequence[str] = ("modified",),
    ) -> None:
        super().__init__(database_operations=operations, state_operations=operations)
        self.model, self.migration, self.names = model, migration, names
        self.key, self.marks = tuple(key), tuple(marks)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        """Return what ``__init__`` was called with."""
        values = {"migration": self.migration, "names": self.names, "key": self.key, "marks": self.marks}
        return type(self).__name__, [self.model, self.database_operations], values

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Give the table its new form."""
        self._run(super().database_forwards, app_label, schema_editor, (from_state, to_state), "bigint", self.names[1])

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Give the table its old form; of rows whose keys differ by case alone, the newest stays as it is."""
        self._run(super().database_backwards, app_label, schema_editor, (from_state, to_state), "int", self.names[0])

    def _run(
        self,
        alter: Callable[[str, BaseDatabaseSchemaEditor, ProjectState, ProjectState], None],
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        states: tuple[ProjectState, ProjectState],
        *form: str,
    ) -> None:
        if _is_plain(schema_editor, app_label):
            alter(app_label, schema_editor, *states)
            return
        _begin(schema_editor.connection, (app_label, self.migration), is_applied=form[0] == "int")

        def alter_copy(name: str) -> None:
            alter(app_label, schema_editor, *(_renamed(state, app_label, self.model, name) for state in states))

        model = states[0].apps.get_model(app_label, self.model)
        id_type, target = form
        table = _online.Table(
            connection=schema_editor.connection,
            name=model._meta.db_table,
            target=target,
            id_type=id_type,
            key=self.key,
            marks=self.marks,
            foreign_keys=_foreign_keys(schema_editor, model),
        )
        _online.rebuild(table, alter_copy)


class Additions(SeparateDatabaseAndState):
    """Make tables and columns that are new with this migration; both ways, look at what an earlier run left.

    ``tables``: the models made, those first that others refer to; ``columns``: model and field.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        *,
        migration: str,
        tables: Sequence[str] = (),
        columns: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(database_operations=operations, state_operations=operations)
        self.migration, self.tables, self.columns = migration, tuple(tables), tuple(columns)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        """Return what ``__init__`` was called with."""
        values = {"migration": self.migration, "tables": self.tables, "columns": self.columns}
        return type(self).__name__, [self.database_operations], values

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Make them; first remove those of a run that was interrupted. Nothing has used them yet."""
        if not _is_plain(schema_editor, app_label):
            _begin(schema_editor.connection, (app_label, self.migration), is_applied=False)
            _require_tables(app_label, schema_editor.connection, from_state)
            with patience(schema_editor.connection):
                self._remove(app_label, schema_editor.connection, only_empty=True)
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Remove them."""
        if _is_plain(schema_editor, app_label):
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        _begin(schema_editor.connection, (app_label, self.migration), is_applied=True)
        with patience(schema_editor.connection):
            self._remove(app_label, schema_editor.connection, only_empty=False)

    def _remove(self, app_label: str, connection: BaseDatabaseWrapper, *, only_empty: bool) -> None:
        with connection.cursor() as cursor:
            present = {each.name for each in connection.introspection.get_table_list(cursor)}
            for model in reversed(self.tables):
                table = f"{app_label}_{model}"
                if table not in present:
                    continue
                if only_empty:
                    cursor.execute(f"SELECT COUNT(*) FROM {table}")
                    if cursor.fetchone() != (0,):
                        raise RuntimeError(f"{table} has rows, though {self.migration} was not applied.")
                cursor.execute(f"DROP TABLE {table}")
            for model, column in self.columns:
                table = f"{app_label}_{model}"
                if table in present and column in _columns(connection, cursor, table):
                    cursor.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def _is_plain(schema_editor: BaseDatabaseSchemaEditor, app_label: str) -> bool:
    """Return whether the plain operations do: elsewhere, in a database without our tables, to show the statements."""
    connection: Any = schema_editor.connection
    shown: bool = schema_editor.collect_sql
    return connection.vendor != "mysql" or shown or not router.allow_migrate(connection.alias, app_label)


def _begin(connection: BaseDatabaseWrapper, migration: tuple[str, str], *, is_applied: bool) -> None:
    """Be the only process that migrates, and see that none has done this since ours found that it is to be done."""
    _lock.take(connection)
    if (migration in MigrationRecorder(connection).applied_migrations()) is not is_applied:
        done = "undone" if is_applied else "applied"
        raise _lock.NotAlone(f"Another process has just {done} {migration[1]}. Run migrate again.")


def _require_tables(app_label: str, connection: BaseDatabaseWrapper, state: ProjectState) -> None:
    """Raise RuntimeError where tables of *state* are missing: those of a migration whose undoing was interrupted."""
    wanted = {f"{app_label}_{name}" for label, name in state.models if label == app_label}
    if missing := wanted.difference(connection.introspection.table_names()):
        raise RuntimeError(
            f"The way back to 0007 is not finished: missing, though recorded as applied: {', '.join(sorted(missing))}."
            f" Run migrate {app_label} 0007 first, to its end."
        )


def _renamed(state: ProjectState, app_label: str, model: str, table: str) -> ProjectState:
    renamed = state.clone()
    renamed.models[app_label, model].options["db_table"] = table
    if "apps" in renamed.__dict__:
        renamed.reload_model(app_label, model, delay=False)
    return renamed


def _columns(connection: BaseDatabaseWrapper, cursor: Any, table: str) -> set[str]:
    return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def _foreign_keys(schema_editor: BaseDatabaseSchemaEditor, model: type[models.Model]) -> tuple[_online.ForeignKey, ...]:
    found = []
    editor: Any = schema_editor  # what it names constraints by has no public name
    fields: Sequence[Any] = model._meta.local_fields
    for field in fields:
        if field.many_to_one and field.db_constraint:
            # As Django names it, so that the end is the same whichever way led there.
            statement = editor._create_fk_sql(model, field, "_fk_%(to_table)s_%(to_column)s")
            parent = field.target_field
            found.append(_online.ForeignKey(field.column, parent.model._meta.db_table, parent.column, str(statement)))
    return tuple(found)
