import pytest

from completion_aggregator.tracking import clerk, ledger_tables, views
from completion_aggregator.tracking.clickhouse import bookkeeping
from tests.tracking.builders import LOG, in_small_loads, line, lines, put
from tests.tracking.clickhouse.engine import load

QUESTIONS = (
    "SELECT e.load, l.run, count(*) FROM {}event AS e JOIN {}load AS l ON l.load = e.load GROUP BY 1, 2",
    "SELECT c.source, s.name, count(*) FROM {}copy AS c JOIN {}source AS s ON s.source = c.source GROUP BY 1, 2",
)


def in_ledger(store):
    with store.reading() as ledger:
        return {
            table.name: sorted(tuple(row) for row in ledger.rows(ledger_tables.query(table)))
            for table in ledger_tables.LEDGER
        }


def there(engine, target):
    return {
        table.name: sorted(engine.query(f"SELECT * FROM `{target.database}`.`{table.name}`"))
        for table in ledger_tables.LEDGER
    }


def odd(second):
    return line(second, event={"unknown": {"field": second}}, event_source="server")


def test_the_ledger_is_there_to_be_joined(engine, target, store, tmp_path):
    load(store, target, put(tmp_path / LOG, lines(3) + odd(5) + b"\n" + lines(2)))
    found = there(engine, target)
    assert found == in_ledger(store)
    assert [len(found[name]) for name in ("load", "source")] == [1, 1]
    assert found["field"]
    for question in QUESTIONS:
        assert len(engine.query(question.format(*[f"`{target.database}`."] * 2))) == 1


def test_rows_that_change_are_there_once_as_they_are_now(engine, target, store, tmp_path, monkeypatch):
    in_small_loads(monkeypatch)
    path = put(tmp_path / LOG, lines(20), settled=False)
    load(store, target, path)
    put(path, lines(20) + odd(30) + b"\n" + odd(31) + b"\n", settled=False)
    load(store, target, path, put(tmp_path / "b.log", odd(32) + b"\n"))
    found = there(engine, target)
    assert found == in_ledger(store)
    assert len(found["load"]) > 2
    assert len(found["source"]) == 2


class Killed(BaseException):
    """Stands for the end of the process: nobody may catch it."""


def test_what_was_not_told_is_told_by_the_next_run(engine, target, store, tmp_path, monkeypatch):
    def kill(point):
        if point == "ledger committed":
            raise Killed

    path = put(tmp_path / LOG, lines(3) + odd(5))
    monkeypatch.setattr(clerk, "reached", kill)
    with pytest.raises(Killed):
        load(store, target, path)
    monkeypatch.undo()
    assert there(engine, target) == {"load": [], "source": [], "field": []}
    load(store, target)
    assert there(engine, target) == in_ledger(store)
    sent = []
    monkeypatch.setattr(bookkeeping, "_arrow", lambda *values: sent.append(values))
    load(store, target)
    assert sent == []


def test_the_columns_are_those_that_the_ledger_has_here(store):
    with views.connected(store) as connection:
        for table in ledger_tables.LEDGER:
            found = [row[0] for row in connection.execute(f"DESCRIBE {table.name}").fetchall()]
            assert found == [column.name for column in table.columns]
