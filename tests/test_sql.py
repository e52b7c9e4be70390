"""Statements hold names of ours and markers for parameters, never a value: what is put into one is accounted for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "completion_aggregator"
#: Migrations read nothing but the names of tables and columns, and are never changed.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)

STATEMENT = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|FROM|WHERE|JOIN|VALUES|ORDER BY|LIMIT|WITH|SET|ON CONFLICT"
    r"|ON DUPLICATE KEY|EXISTS|UNION|TRUNCATE|ALTER TABLE|DROP TABLE|CREATE TABLE|IN) "
)
#: Constants, the names of tables, markers, whole numbers, and functions that return nothing else.
HARMLESS = re.compile(
    r"_?[A-Z][A-Z_]*(\[[\w.]+\])?|\w+\._meta\.db_table|', '\.join\(_?[A-Z][A-Z_]*\)"
    r"|', '\.join\(\['%s'\] \* len\(\w+\)\)|', '\.join\(\[marks\] \* len\(\w+\)\)"
    r"|among\('[\w.]+', len\(\w+\)\)|_quoted\('\w+'\)|\w+\.format\(\w+=\w+\)"
)
_SUMS = "', '.join((f'coalesce(sum({name}), 0) AS {name}' for name in COUNTS))"
_TOTAL = "'SELECT count(*) AS loads, coalesce(sum(bytes), 0) AS bytes, ' + "
_NAMES = "names, quoted: constants, and those of an address, which target_of holds to letters, digits, _, . and -"
#: What else is put into statements, and why no value comes in by it.
ACCOUNTED = {
    "aggregation/completions.py": {
        "micros": "one of the constants _MICROS",
        "either": "names and markers",
    },
    "aggregation/leaves.py": {"suffix": "FOR UPDATE, or nothing"},
    "aggregation/population.py": {"suffix": "LIMIT or FOR UPDATE, of constants"},
    "aggregation/roster.py": {
        "limit": "written as a whole number",
        "' AND '.join((condition for condition, _ in wanted))": "conditions of constants, with markers",
    },
    "aggregation/stale.py": {
        "marks": "markers",
        "suffix": "FOR UPDATE, or nothing",
        "index": "the name of an index",
    },
    "aggregation/state.py": {"', '.join((f'p.{name}' for name in COLUMNS))": "names"},
    "aggregation/statistics.py": {
        "enrolled[0]": "a statement of Django, with markers",
        "', '.join((sql for sql, _ in tables))": "statements of Django, and their names",
        "' UNION ALL '.join((sql for sql, _ in selects))": "the constant _MEAN, with statements of Django",
    },
    "platforms/openedx/tables.py": {
        "sql": "the name of a column, as Django quotes it",
        "self.rhs": "ids, each made a whole number, or NULL",
    },
    "tracking/clickhouse/bookkeeping.py": {
        "schema.qualified(target, table)": _NAMES,
        "schema.on_cluster(target)": _NAMES,
        "_behind(target, table)": _NAMES,
        "listed": "names of columns, and their types, of ledger_tables.py",
        "schema.replacing(target, _AS_OF)": "one of two constants, and the name of a column",
        "', '.join(key)": "names of columns",
        "sql": "the query of ledger_tables.py, with a marker",
    },
    "tracking/clickhouse/connection.py": {
        "schema.words(self.target)": _NAMES,
        "self._qualified(tables.EVENT)": _NAMES,
        "begin": "a time, written from a day that was reckoned with as a number",
        "end": "a time, written from a day that was reckoned with as a number",
        "_texts(target)": f"{_NAMES}, as texts",
    },
    "tracking/clickhouse/erasing.py": {
        "schema.qualified(target, table)": _NAMES,
        "_action(table, erasure.change)": "constants, chosen by a member of Change",
        "', '.join((f'{schema.quoted(name)} = {value}' for name, value in changed.items()))": "constants",
        "begin": "the beginning made here, of names and constants",
        "erasure.month": "a note of the ledger, written as a whole number or not at all",
        "erasure.key": "a member of Key, as which the ledger's note is read",
        "listed": "a note of the ledger, each key made a UUID or whole numbers",
    },
    "tracking/clickhouse/old_views.py": {
        "place": _NAMES,
        "sql.format(**databases).strip()": "constants, with names of databases, quoted",
    },
    "tracking/clickhouse/persons.py": {
        "schema.qualified(connection.target, tables.PERSON)": _NAMES,
        "_event(connection)": _NAMES,
        "some": "courses that logs name, quoted as texts by schema.text",
    },
    "tracking/clickhouse/schema.py": {
        "qualified(target, table)": _NAMES,
        "quoted(database)": _NAMES,
        "words(target)": _NAMES,
        "on_cluster(target)": _NAMES,
        "listed": "names of columns, their types and meanings, of tables.py",
        "replacing(target, 'loaded_at')": "one of two constants, and the name of a column",
        "', '.join(key)": "names of columns",
        "', '.join(settings)": "constants",
        "text(f'One row per {table.row}.')": "a text of tables.py, quoted",
    },
    "tracking/commands/status.py": {_SUMS: "names, of constants", f"{_TOTAL}{_SUMS}": "names, of constants"},
    "tracking/extract.py": {
        "names": "names of columns, each found in the table",
        "cut.table": "the name of a table, found among those that are there",
        "where": "conditions of constants, with markers",
        "' AND '.join(terms)": "conditions of constants, with markers",
        "columns": "names of columns that DuckDB told",
        "sql": "the query made here, with markers",
        "marks": "markers",
    },
    "tracking/forgetting/rows.py": {
        "self._named(table)": _NAMES,
        "self._named(tables.ACCOUNT)": _NAMES,
        "self._named(tables.ASSESSMENT)": _NAMES,
        "self._words": _NAMES,
        "condition": "names and constants, with ids as _listed(some)",
        "_listed(some)": "ids, each written from a UUID, by Python or by ClickHouse",
        "self._when()": "times, written from days that DuckDB made whole numbers",
        "shown": "one of the constants _ID and _NUMBER",
        "column": "the name of a column, which callers give as a constant",
    },
    "tracking/ledger.py": {
        "', '.join((f' {name} = {name} + excluded.{name}' for name in COUNTS))": "names, of constants",
    },
    "tracking/ledger_tables.py": {
        "', '.join(columns)": "names of columns, of the module itself",
        "table.name": "the name of a table, of the module itself",
    },
    "tracking/optimise.py": {
        "columns": "names of columns, of tables.py",
        "source": "a constant, with a marker",
        "order": "names of columns, of tables.py",
    },
    "tracking/reader.py": {_SUMS: "names, of constants", f"{_TOTAL}{_SUMS}": "names, of constants"},
    "tracking/views.py": {
        "name": "a name, quoted",
        "_name(table.name)": "the name of a table, of ledger_tables.py, quoted",
        "files": "paths that the ledger names, quoted: a view takes no parameters",
        "columns": "names of columns, of tables.py, and types",
        "_name(path.stem)": "the name of a file, quoted",
        "_text(str(path))": "the path of a file, quoted: a view takes no parameters",
    },
    "upsert.py": {
        "action": "names",
        "table": "a name, which callers give as a constant",
        "', '.join(statement.columns)": "names, which callers give as constants",
        "', '.join(sets)": "names",
        "', '.join(statement.key)": "names",
        "_on_conflict(statement, sets)": "names",
        "_on_conflict(statement, _sets(statement))": "names",
        "statement.table": "a name, which callers give as a constant",
        "marks": "markers",
        "named": "names made here",
        "chosen": "names made here, and markers",
        "declared": "names made here, and types",
        "column": "a name, which callers give as a constant",
        "', '.join(['%s'] * each)": "markers",
    },
}


def put_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what is put into texts that read as statements, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if STATEMENT.search(text):
                values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
                yield from ((part.lineno, ast.unparse(part.value)) for part in values)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(side, ast.Constant) and isinstance(side.value, str) and STATEMENT.search(side.value):
                    yield node.lineno, ast.unparse(other)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_is_put_into_a_statement_is_a_name_or_a_marker(path):
    accounted = ACCOUNTED.get(path.relative_to(PACKAGE).as_posix(), {})
    found = [
        f"line {line}: {put}"
        for line, put in put_in(ast.parse(path.read_text()))
        if not HARMLESS.fullmatch(put) and put not in accounted
    ]
    assert found == [], "hand values over as parameters; of a name, say here why it can be nothing else"


@pytest.mark.parametrize("name", ACCOUNTED)
def test_nothing_is_accounted_for_that_is_not_put_in(name):
    assert set(ACCOUNTED[name]) - {put for _, put in put_in(ast.parse((PACKAGE / name).read_text()))} == set()


@pytest.mark.parametrize(
    "source",
    [
        'f"SELECT id FROM t WHERE name = {name}"',
        "f\"DELETE FROM t WHERE name = '{request.GET['name']}'\"",
        '"SELECT id FROM t WHERE name = %s" % name',
        '"SELECT id FROM t WHERE id = " + name',
    ],
)
def test_a_value_in_a_statement_is_seen(source):
    assert [put for _, put in put_in(ast.parse(source)) if not HARMLESS.fullmatch(put)] != []


def test_nothing_else_makes_statements_of_texts():
    # Django's ways around its own parameters.
    ways = re.compile(r"\.(raw|extra)\(|\bRawSQL\b")
    assert [path.name for path in MODULES if ways.search(path.read_text())] == []
