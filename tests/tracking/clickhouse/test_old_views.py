import pytest

from completion_aggregator.tracking import old_names, views
from completion_aggregator.tracking.clickhouse import old_views
from tests.tracking import builders
from tests.tracking.builders import new_store, put
from tests.tracking.clickhouse.engine import load
from tests.tracking.remembered import LINES, hers, log

ASSESSED = {
    "scorer_id": "c" * 32,
    "score_type": "PE",
    "submission_uuid": "5b",
    "parts": [
        {"criterion": {"name": "Ideas", "points_possible": 3}, "option": {"name": "Good", "points": 2}},
        {"criterion": {"name": "Form", "points_possible": 2}, "option": {"name": "Fair", "points": 1}},
    ],
}


@pytest.fixture
def both(store, target, generated_log, tmp_path):
    """The same logs in ClickHouse and in folders."""
    some = [*LINES, hers(60, name="openassessmentblock.peer_assess", event_source="server", event=ASSESSED)]
    paths = [*generated_log.paths, log(tmp_path, "more.log", some), put(tmp_path / "none.log", b"")]
    load(store, target, *paths)
    other = new_store(tmp_path, "other")
    builders.load(other, *paths)
    return other


def as_told(found):
    """Numbers and times as both have them."""
    return sorted((tuple(each.hex if hasattr(each, "hex") and hasattr(each, "int") else each for each in row)
                   for row in found), key=repr)  # fmt: skip


def test_old_queries_are_answered_as_in_folders(engine, target, both):
    sizes = {}
    with views.connected(both, private=True) as connection:
        for schema, database, names in (
            ("main", target.database, old_views.OPEN),
            ("private", target.private_database, old_views.PRIVATE),
        ):
            for name in names:
                wanted = connection.execute(f"SELECT * FROM {schema}.{name}")
                columns = [each[0] for each in wanted.description]
                without = [each for each in columns if each != "load_date_time"]
                listed = ", ".join(f'"{each}"' for each in without)
                expected = connection.execute(f"SELECT {listed} FROM {schema}.{name}").fetchall()
                found = engine.query(f"SELECT {listed} FROM `{database}`.`{name}`")
                assert as_told(found) == as_told(expected), name
                described = [row[0] for row in engine.query(f"DESCRIBE `{database}`.`{name}`")]
                assert described == columns
                sizes[name] = len(found)
    assert [name for name, rows in sizes.items() if not rows] == []


def test_all_that_need_no_table_of_the_platform_are_there():
    made = [
        sql.split("VIEW ")[1].split()[0] for sql in (*old_names.statements(has=()), *old_names.private_statements())
    ]
    assert made == [*old_views.OPEN, "private.EventIp"]
