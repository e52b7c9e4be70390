import json

import pytest

from completion_aggregator.tracking.errors import DamagedStore, NoStore, StoreInUse, TrackingError
from completion_aggregator.tracking.pseudonyms import UnusableKeys
from completion_aggregator.tracking.store import Store
from tests.tracking.builders import KEYS, LOG, events, lines, load, new_store, put


def places(folder):
    return Store(folder / "s", folder / "s-private", folder / "s-keys.json")


def test_a_new_store_has_keys_of_its_own_and_holds_nothing(tmp_path):
    store = places(tmp_path)
    assert not store.exists
    store.create()
    assert store.exists
    assert store.keys_path.stat().st_mode & 0o777 == 0o600
    assert store.private_folder.stat().st_mode & 0o777 == 0o700
    assert events(store) == []
    assert len({store.keys.person, store.keys.session, store.keys.address}) == 3


def test_what_is_there_is_never_overwritten(tmp_path):
    store = places(tmp_path)
    store.create()
    load(store, put(tmp_path / LOG, lines(2)))
    keys = store.keys_path.read_bytes()
    with pytest.raises(TrackingError, match="is not empty"):
        store.create()
    assert (len(events(store)), store.keys_path.read_bytes()) == (2, keys)


@pytest.mark.parametrize("name", ["s", "s-private"])
def test_a_folder_with_anything_in_it_becomes_no_store(tmp_path, name):
    put(tmp_path / name / "mine", b"mine")
    with pytest.raises(TrackingError, match=f"{name} is not empty"):
        places(tmp_path).create()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_where_there_is_no_store_it_is_told_how_to_make_one(tmp_path):
    for use in (places(tmp_path).reading, places(tmp_path).writing):
        with pytest.raises(NoStore, match="`tracking store init` makes one"), use():
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_store_whose_ledger_is_gone_is_no_empty_store(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(2)))
    for path in store.folder.glob("ledger.sqlite*"):
        path.unlink()
    with pytest.raises(DamagedStore, match=r"ledger\.sqlite is missing.*backup"), store.reading():
        pass


def test_a_ledger_that_is_none_is_told(store):
    store.folder.joinpath("ledger.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DamagedStore, match="is no ledger"), store.reading():
        pass


def test_keys_must_be_those_it_was_begun_with(tmp_path):
    store = new_store(tmp_path)
    store.keys_path.write_text(json.dumps(KEYS | {"person": "ff" * 32}))
    with pytest.raises(TrackingError, match="was begun with"):
        _ = store.keys


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "There are no keys"),
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.write_text("{}"), "is no file of keys"),
    ],
)
def test_keys_that_cannot_be_used_are_told(store, spoil, words):
    spoil(store.keys_path)
    with pytest.raises(UnusableKeys, match=words):
        _ = store.keys


def test_one_writes_at_a_time_while_others_read(store):
    with store.writing():
        with pytest.raises(StoreInUse, match="is being written by process"), store.writing():
            pass
        with store.reading() as ledger:
            assert ledger.next_load() == 1
    with store.writing():
        pass


def test_the_person_of_a_user_is_the_one_of_the_tables(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(1)))
    assert {row["person"].bytes if hasattr(row["person"], "bytes") else row["person"] for row in events(store)} == {
        store.pseudonym(7, "alice")
    }
    assert store.pseudonym(8, "alice") != store.pseudonym(7, "alice")
