import csv
import json

import pytest

from completion_aggregator.tracking import people
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.people import Known
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.refresh import ParquetTarget
from completion_aggregator.tracking.refresh.summary import Account
from completion_aggregator.tracking.refresh.tables import USER
from completion_aggregator.tracking.ripemd import legacy_anon_id
from tests.tracking.builders import COURSE, LOG, at, event, line, load, put

OTHER = "course-v1:Else+C001+2024_T1"


def seen(second, username, user_id, course=COURSE, **given):
    return line(second, username=username, context={"user_id": user_id, "course_id": course}, **given)


@pytest.fixture
def loaded(store, tmp_path):
    """Two loads, so that alice is in two parts."""
    some = [seen(1, "alice", 7), seen(2, "bob", 9, OTHER), seen(3, "Carol", ""), line(4, username="", context={})]
    load(store, put(tmp_path / LOG, b"\n".join(some) + b"\n"), legacy_ids=True)
    more = [seen(5, "alice", 7, OTHER, time=at(0, days=1)), seen(6, "", 11)]
    load(store, put(tmp_path / "more.log", b"\n".join(more) + b"\n"))
    return store


def known(store, username, user_id, *, legacy=True):
    person = Pseudonyms(store.keys).person(user_id, username or "")
    assert person is not None
    text = person.hex()
    dashed = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return Known(username, user_id, dashed, legacy_anon_id(username) if legacy and username else None)


def directory(store):
    return people.directory(store, "a test")


def test_everybody_is_listed_once_by_name(loaded):
    with directory(loaded) as found:
        assert list(found.everybody()) == [
            known(loaded, "Carol", None),
            known(loaded, "alice", 7),
            known(loaded, "bob", 9),
            known(loaded, None, 11),
        ]


@pytest.mark.parametrize(
    ("course", "names"),
    [(COURSE, ["Carol", "alice"]), (OTHER, ["alice", "bob"]), ("course-v1:*", ["Carol", "alice", "bob"]), ("x*", [])],
)
def test_a_course_has_the_people_of_its_events(loaded, course, names):
    with directory(loaded) as found:
        assert found.usernames(course) == names
        assert [each.username for each in found.everybody(course) if each.username] == names


def test_an_empty_store_has_nobody(store):
    with directory(store) as found:
        assert (list(found.everybody()), found.usernames("*"), found.translate(["alice"])[0].found) == ([], [], ())


def test_anything_that_stands_for_somebody_is_translated_into_the_rest(loaded):
    alice, carol = known(loaded, "alice", 7), known(loaded, "Carol", None)
    asked = [
        "alice",
        "ALICE",
        "7",
        alice.person,
        alice.person.replace("-", "").upper(),
        alice.legacy,
        "carol",
        "007",
        "8",
    ]
    with directory(loaded) as found:
        answers = found.translate(asked)
    assert [each.asked for each in answers] == asked
    assert [each.found for each in answers] == [*[(alice,)] * 6, (carol,), (alice,), ()]


def test_accounts_of_the_platform_are_known_too(loaded):
    target = ParquetTarget(loaded.tables_folder, loaded.private_folder / "tables")
    rows = [
        (loaded.pseudonym(number, ""), number, name, "mail", True, False, None, None)
        for number, name in ((7, "alice"), (12, "dan"))
    ]
    Account("platform", target).write(USER, rows)
    with directory(loaded) as found:
        assert [each.found for each in found.translate(["dan", "alice"])] == [
            (known(loaded, "dan", 12, legacy=False),),
            (known(loaded, "alice", 7),),
        ]


def test_the_map_is_a_file_for_its_owner_that_spreadsheets_take_for_text(tmp_path):
    rows = [Known("=1+1", 1, "p", None), Known("alice", 7, "q", "l"), Known(None, 8, "r", None)]
    target = tmp_path / "people.csv"
    assert people.write_map(rows, target) == 3
    assert list(csv.reader(target.read_text().splitlines())) == [
        ["username", "user_id", "person", "legacy"],
        ["'=1+1", "1", "p", ""],
        ["alice", "7", "q", "l"],
        ["", "8", "r", ""],
    ]
    assert target.stat().st_mode & 0o777 == 0o600


def test_no_file_is_written_over_and_none_is_left_half_written(tmp_path):
    target = tmp_path / "people.csv"

    def broken():
        yield Known("alice", 7, "q", None)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        people.write_map(broken(), target)
    assert not target.exists()
    target.write_text("mine")
    with pytest.raises(TrackingError, match="nothing is written over"):
        people.write_map([], target)
    assert target.read_text() == "mine"


def test_each_use_is_written_down(loaded):
    with directory(loaded):
        pass
    log = (loaded.private_folder / "access.log").read_text()
    assert log.endswith(" a test\n")
    assert json.dumps(event()["username"]) not in log
