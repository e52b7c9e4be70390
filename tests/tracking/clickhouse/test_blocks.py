from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import blocks as made
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.ledger import Delivery
from completion_aggregator.tracking.parts import PartsWriter, Roots
from completion_aggregator.tracking.schemas import schema_of
from completion_aggregator.tracking.tables import Table

BEGAN = datetime(2024, 2, 3, tzinfo=UTC)


def column(kind: pa.DataType, number: int) -> pa.Array:
    if kind == pa.uuid():
        return pa.ExtensionArray.from_storage(kind, pa.array([number.to_bytes(16)], pa.binary(16)))
    if pa.types.is_timestamp(kind):
        return pa.array([number * DAY], pa.int64()).cast(kind)
    return pa.nulls(1, kind)


def row_of(table: Table, number: int) -> pa.Table:
    """A row of which id and day are the number, and nothing else is known."""
    wanted = schema_of(table)
    return pa.table([column(field.type, number) for field in wanted], schema=wanted)


def delivered(roots: Roots, table: Table, groups: list[list[int]]) -> Delivery:
    """A load with a part for each group of rows."""
    writer = PartsWriter(roots, 7)
    for day, group in enumerate(groups):
        if group:
            writer.write(table.name, day, pa.concat_tables([row_of(table, number) for number in group]))
    return Delivery(7, writer.aside, BEGAN, parts=writer.finish())


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=lambda table: table.name)
def test_rows_get_the_columns_that_their_table_has_besides(tmp_path, table):
    roots = Roots(tmp_path / "open", tmp_path / "private")
    (block,) = made.blocks(roots, delivered(roots, table, [[1]]), table)
    names = [each.name for each in table.columns]
    assert block.column_names == [*names, *schema.extra_of(table)]
    assert block.select(names).equals(row_of(table, 1))
    extra = block.select(schema.extra_of(table)).to_pylist()[0]
    assert extra == {name: {"load": 7, "nth": 0, "loaded_at": BEGAN}[name] for name in schema.extra_of(table)}


@given(st.lists(st.lists(st.integers(1, 4), max_size=6), max_size=4), st.integers(1, 4))
def test_rows_are_numbered_within_their_event_however_they_are_read(tmp_path_factory, counts, read_rows):
    folder = tmp_path_factory.mktemp("parts")
    roots, events = Roots(folder / "open", folder / "private"), iter(range(1000))
    groups = [[event for count in part for event in [next(events)] * count] for part in counts]
    expected = [(event, nth) for group in groups for event in dict.fromkeys(group) for nth in range(group.count(event))]
    delivery = delivered(roots, tables.RESPONSE, groups)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "_READ_ROWS", read_rows)
        found = list(made.blocks(roots, delivery, tables.RESPONSE))
    numbered = [(row["event_id"].int, row["nth"]) for block in found for row in block.to_pylist()]
    assert numbered == expected


def test_rows_of_a_load_are_numbered_through(tmp_path, monkeypatch):
    monkeypatch.setattr(made, "_READ_ROWS", 2)
    roots = Roots(tmp_path / "open", tmp_path / "private")
    (block,) = made.blocks(roots, delivered(roots, tables.COPY, [[1, 1, 2], [], [1, 3]]), tables.COPY)
    assert block["nth"].to_pylist() == [0, 1, 2, 3, 4]


def test_blocks_are_large_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(made, "_READ_ROWS", 2)
    monkeypatch.setattr(made, "BLOCK_ROWS", 5)
    roots = Roots(tmp_path / "open", tmp_path / "private")
    delivery = delivered(roots, tables.VIDEO, [list(range(4)), list(range(4, 13))])
    assert [each.num_rows for each in made.blocks(roots, delivery, tables.VIDEO)] == [6, 6, 1]
    monkeypatch.setattr(made, "BLOCK_BYTES", 1)
    assert [each.num_rows for each in made.blocks(roots, delivery, tables.VIDEO)] == [2, 2, 2, 2, 2, 2, 1]
    assert list(made.blocks(roots, delivery, tables.EVENT)) == []
