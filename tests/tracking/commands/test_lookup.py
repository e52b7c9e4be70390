import io
import json

import pytest

from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.refresh import ParquetTarget
from completion_aggregator.tracking.refresh.summary import Account
from completion_aggregator.tracking.refresh.tables import BLOCK, COURSE
from completion_aggregator.tracking.store import Store

HEX = "9d251397874d4f0b947b606c81ccf83c"
KEY = f"block-v1:O+C+R+type@problem+block@{HEX}"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store", tmp_path / "store-private", tmp_path / "store-keys.json")
    store.create()
    account = Account("courses", ParquetTarget(store.tables_folder, store.private_folder))
    nothing = (None,) * 4
    account.write(BLOCK, [("course-v1:O+C+R", KEY, "problem", "Quiz", *nothing, "Week 1 / Quiz", *nothing, None, 0)])
    account.write(COURSE, [("course-v1:O+C+R", "O", "C", "R", None, "v", 1, None)])
    return store.folder


@pytest.fixture(autouse=True)
def only_this(monkeypatch):
    monkeypatch.setattr(tree, "COMMANDS", ("lookup",))


def run(*words):
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", ["lookup", *map(str, words)], out, err)
    return status, out.getvalue(), err.getvalue()


def test_a_line_for_each_thing_found_and_each_id_unknown(store):
    status, out, err = run(f"{HEX}_2_1", "course-v1:O+C+R", "no\nsuch", "--store", store)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{HEX}_2_1\tproblem\tQuiz\tcourse-v1:O+C+R\tWeek 1 / Quiz\t{KEY}",
        "course-v1:O+C+R\tcourse\t\tcourse-v1:O+C+R\t\tcourse-v1:O+C+R",
        "no such\tunknown",
    ]


def test_nothing_found_is_a_failure(store):
    assert run("b" * 32, "--store", store) == (1, f"{'b' * 32}\tunknown\n", "")


def test_ids_come_from_standard_input(store, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\n{HEX}\nother\n"))
    status, out, _ = run("-", "--json", "--store", store)
    found = {"id": KEY, "type": "problem", "name": "Quiz", "course": "course-v1:O+C+R", "path": "Week 1 / Quiz"}
    assert status == 0
    assert json.loads(out) == [{"asked": HEX, "found": [found]}, {"asked": "other", "found": []}]


def test_without_a_store_or_its_tables_the_remedy_is_said(store, tmp_path):
    status, out, err = run(HEX, "--store", tmp_path / "nowhere")
    assert (status, out) == (1, "")
    assert "there is no store in" in err
    (store / "tables" / "block.parquet").unlink()
    store.with_name("store-keys.json").unlink()
    status, out, err = run(HEX, "--store", store)
    assert (status, out) == (1, "")
    assert "`tracking refresh courses` makes it" in err
