import fcntl
import os
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking.errors import StoreInUse
from completion_aggregator.tracking.refresh import target as targets

SCHEMA = pa.schema([("id", pa.int64())])


def batches(*sizes):
    for size in sizes:
        yield pa.record_batch([pa.array(range(size))], schema=SCHEMA)


def killed():
    yield from batches(3)
    raise KeyboardInterrupt


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_table_is_a_file_that_duckdb_reads(target):
    assert target.write("t", SCHEMA, batches(2, 0, 3)) == 5
    with duckdb.connect() as database:
        assert database.execute("SELECT count(*) FROM read_parquet(?)", [str(target.path_of("t"))]).fetchall() == [(5,)]
    assert target.write("t", SCHEMA, batches()) == 0
    assert pq.read_table(target.path_of("t")).schema == SCHEMA
    assert names(target.tables_folder) == ["t.parquet"]


def test_small_batches_are_written_together(target, monkeypatch):
    monkeypatch.setattr(targets, "GROUP_ROWS", 10)
    target.write("t", SCHEMA, batches(4, 4, 4, 4, 4))
    metadata = pq.read_metadata(target.path_of("t"))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [12, 8]


def test_a_refresh_that_ends_anywhere_leaves_the_old_table(target):
    target.write("t", SCHEMA, batches(2))
    with pytest.raises(KeyboardInterrupt):
        target.write("t", SCHEMA, killed())
    assert pq.read_table(target.path_of("t")).num_rows == 2
    assert names(target.tables_folder) == ["t.parquet"]


def test_what_a_killed_refresh_left_is_no_hindrance(target):
    target.tables_folder.mkdir()
    part = target.tables_folder / ".t.parquet.part"
    part.write_bytes(b"half of a table" * 1000)
    assert target.write("t", SCHEMA, batches(1)) == 1
    assert pq.read_table(target.path_of("t")).num_rows == 1
    assert names(target.tables_folder) == ["t.parquet"]


KILLED = """
import sys, pathlib, pyarrow as pa
from completion_aggregator.tracking.refresh.target import ParquetTarget
schema = pa.schema([("id", pa.int64())])
def batches():
    for _ in range(100):
        yield pa.record_batch([pa.array(range(50_000))], schema=schema)
    print("half way", flush=True)
    sys.stdin.read()
ParquetTarget(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1])).write("t", schema, batches())
"""


def test_a_process_that_is_killed_leaves_the_old_table_and_no_lock(target):
    target.write("t", SCHEMA, batches(2))
    arguments = [sys.executable, "-c", KILLED, str(target.tables_folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"half way\n"
        with pytest.raises(StoreInUse):
            target.write("t", SCHEMA, batches(1))
        process.kill()
    assert pq.read_table(target.path_of("t")).num_rows == 2
    assert names(target.tables_folder) == [".t.parquet.part", "t.parquet"]
    assert target.write("t", SCHEMA, batches(3)) == 3
    assert names(target.tables_folder) == ["t.parquet"]


def test_two_refreshes_do_not_write_one_table(target):
    target.tables_folder.mkdir()
    part = target.tables_folder / ".t.parquet.part"
    with part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreInUse, match=r"t\.parquet\.part is being written by another refresh"):
            target.write("t", SCHEMA, batches(1))
        assert part.exists()


def test_private_tables_are_for_their_owner_alone(target):
    before = os.umask(0)
    try:
        target.write("user", SCHEMA, batches(1), private=True)
        target.write("course", SCHEMA, batches(1))
    finally:
        os.umask(before)
    assert target.private_folder.stat().st_mode & 0o777 == 0o700
    assert target.path_of("user", private=True).stat().st_mode & 0o777 == 0o600
    assert target.path_of("course").stat().st_mode & 0o777 == 0o644
    assert names(target.tables_folder) == ["course.parquet"]
