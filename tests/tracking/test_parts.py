import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking import parts, tables
from completion_aggregator.tracking.parts import PartsWriter, Roots, publish, sweep
from completion_aggregator.tracking.schemas import schema_of


@pytest.fixture
def roots(tmp_path):
    found = Roots(tmp_path / "open", tmp_path / "private")
    found.open.mkdir()
    found.private.mkdir()
    return found


def some(name, count=1):
    wanted = schema_of(tables.TABLES[name])
    return pa.table([pa.nulls(count, field.type) for field in wanted], schema=wanted)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def written(roots, load=7):
    writer = PartsWriter(roots, load)
    for name, day, count in (
        ("event", 0, 2),
        ("event", 1, 1),
        ("event_private", 0, 3),
        ("event", 0, 4),
        ("video", 0, 0),
    ):
        writer.write(name, day, some(name, count))
    return writer, writer.finish()


def test_a_part_is_written_for_each_table_and_day(roots):
    _, found = written(roots)
    assert sorted((part.name, part.day, part.rows, part.path) for part in found) == [
        ("event", 0, 6, "event/day=1970-01-01/000000007-1.parquet"),
        ("event", 1, 1, "event/day=1970-01-02/000000007-2.parquet"),
        ("event_private", 0, 3, "event_private/day=1970-01-01/000000007-3.parquet"),
    ]


def test_parts_stand_aside_until_they_are_published(roots):
    writer, found = written(roots)
    assert all(path.startswith(".incoming/") for path in files(roots.open) + files(roots.private))
    publish(roots, writer.aside, found)
    assert files(roots.open) == sorted(part.path for part in found if part.name == "event")
    assert files(roots.private) == [part.path for part in found if part.name == "event_private"]
    for part in found:
        path = roots.of(part.name) / part.path
        assert (pq.ParquetFile(path).metadata.num_rows, path.stat().st_size) == (part.rows, part.bytes)


def test_where_too_many_days_are_open_some_get_a_part_more(roots, monkeypatch):
    monkeypatch.setattr(parts, "_OPEN_FILES", 2)
    writer = PartsWriter(roots, 1)
    for _ in range(2):
        for day in range(3):
            writer.write("event", day, some("event"))
    found = writer.finish()
    assert sorted((part.day, part.rows) for part in found) == [(day, 1) for day in range(3) for _ in range(2)]
    assert len({part.path for part in found}) == 6


def test_what_the_ledger_does_not_know_is_swept(roots):
    stray, unknown = written(roots, 1)
    publish(roots, stray.aside, unknown)
    writer, found = written(roots, 2)
    publish(roots, writer.aside, found)
    PartsWriter(roots, 3).write("event", 0, some("event"))
    other = roots.open / "tables" / "course.parquet"
    other.parent.mkdir()
    other.touch()
    known = {part.path for part in found}
    assert sweep(roots, known, list(tables.TABLES)) == 3
    assert set(files(roots.open) + files(roots.private)) == known | {"tables/course.parquet"}


def test_two_writers_of_one_load_do_not_meet(roots):
    assert PartsWriter(roots, 1).aside != PartsWriter(roots, 1).aside


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_every_table_can_be_written_and_read(roots, name):
    writer = PartsWriter(roots, 1)
    writer.write(name, 19754, some(name, 3))
    (part,) = writer.finish()
    found = pq.ParquetFile(parts.aside(roots, writer.aside, name) / part.path).read()
    assert (found.column_names, found.num_rows) == (schema_of(tables.TABLES[name]).names, 3)
