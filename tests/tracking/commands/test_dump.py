import io

import pytest

from completion_aggregator.tracking.commands import tree
from tests.tracking.dump.writing import HEADER, section

DUMP = HEADER + section("users", ("`id` int",), [(1,)]) + section("grades", ("`id` int",), [(2,)])


@pytest.fixture(autouse=True)
def only_this(monkeypatch):
    monkeypatch.setattr(tree, "COMMANDS", ("dump",))


def run(*words):
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    status = tree.run("tracking", ["dump", *map(str, words)], out, err)
    out.seek(0)
    return status, out.read(), err.getvalue()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "d.sql"
    path.write_bytes(DUMP)
    return path


def test_a_table_goes_to_standard_output(path):
    status, out, err = run("extract", path, "grades")
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("INSERT")] == ["INSERT INTO `grades` VALUES (2);"]


def test_a_table_goes_to_a_file(path, tmp_path):
    target = tmp_path / "out.sql"
    assert run("extract", path, "grades", "users", "-o", target) == (0, "", "")
    assert target.read_text() == run("extract", path, "grades", "users")[1]
    assert run("extract", path, "grades", "-o", target)[0] == 1


def test_an_absent_table_fails_and_says_which_are_there(path, tmp_path):
    assert run("extract", path, "forum", "-o", tmp_path / "out.sql") == (
        1,
        "",
        f"Error: {path} has no table forum; it has grades, users\n",
    )


def test_a_file_that_cannot_be_written_is_named(path, tmp_path):
    target = tmp_path / "no such folder" / "out.sql"
    assert run("extract", path, "grades", "-o", target) == (
        1,
        "",
        f"Error: {target} cannot be written: No such file or directory\n",
    )


def test_the_tables_of_a_dump_are_listed(path, tmp_path):
    assert run("tables", path) == (0, "grades\nusers\n", "")
    empty = tmp_path / "empty.sql"
    empty.touch()
    assert run("tables", empty) == (
        1,
        "",
        f"{empty} has no tables: is it what mysqldump or mariadb-dump wrote?\n",
    )
    assert run("tables", tmp_path / "absent.sql")[0] == 1
