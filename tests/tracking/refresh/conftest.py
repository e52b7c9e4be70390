"""The same tables, read in both ways; and what was written."""

from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from completion_aggregator.tracking.refresh import DatabaseSource, DumpSource, ParquetTarget
from tests.tracking.refresh.sources import database_of, dump_of

FORGOTTEN = 666


def person(user_id):
    return None if user_id == FORGOTTEN else user_id.to_bytes(16, "big")


@pytest.fixture
def pseudonym():
    return person


@pytest.fixture
def target(tmp_path):
    return ParquetTarget(tmp_path / "tables", tmp_path / "private")


@pytest.fixture
def written(target):
    """Return what reads a table, people by number."""

    def read(name, *, private=False):
        rows = pq.read_table(target.path_of(name, private=private)).to_pylist()
        return [row | ({"person": number(row["person"])} if "person" in row else {}) for row in rows]

    return read


def number(pseudonym):
    return None if pseudonym is None else pseudonym.int


@pytest.fixture(params=[pytest.param("database", marks=pytest.mark.django_db(transaction=True)), "dump"])
def opened(request, tmp_path):
    """Return what opens tables as a source, in each of the two ways."""

    @contextmanager
    def open_(tables):
        if request.param == "database":
            with database_of(tables):
                yield DatabaseSource()
        else:
            dump = tmp_path / "lms.sql"
            dump.write_bytes(dump_of(tables))
            with DumpSource(dump, [*tables, "absent"]) as source:
                yield source

    return open_
