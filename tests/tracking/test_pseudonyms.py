import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking import pseudonyms
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms, UnusableKeys

KEYS = Keys(b"p" * 32, b"s" * 32, b"a" * 32)


def names() -> Pseudonyms:
    return Pseudonyms(KEYS)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def test_a_person_with_a_number_is_named_by_it_whatever_the_name():
    assert names().person(7, "ana") == names().person(7, "ANNA") == mac(b"p" * 32, b"user_id\x007")


def test_a_person_without_a_number_is_named_by_the_name_in_any_case():
    assert names().person(None, "Ana") == names().person(None, "aNA") == mac(b"p" * 32, b"username\0ana")


def test_the_name_that_looks_like_a_number_is_another_person_than_the_number():
    assert names().person(None, "7") != names().person(7, "")


def test_number_zero_is_a_number():
    assert names().person(0, "ana") == mac(b"p" * 32, b"user_id\x000")


def test_nobody_has_no_pseudonym():
    subject = names()
    assert (subject.person(None, ""), subject.session("")) == (None, None)


def test_sessions_and_addresses_have_keys_of_their_own():
    subject = names()
    assert subject.session("abc") == mac(b"s" * 32, b"session\0abc")
    assert subject.keyed("address", "10.0.0.1") == mac(b"a" * 32, b"address\x0010.0.0.1")


def test_anything_else_is_keyed_by_its_domain():
    subject = names()
    assert subject.keyed("scorer", "x") == mac(b"p" * 32, b"scorer\0x")
    assert subject.keyed("scorer", "x") != subject.keyed("team", "x")


def test_keyed_agrees_with_persons_and_sessions():
    subject = names()
    assert subject.keyed("user_id", "7") == subject.person(7, "")
    assert subject.keyed("username", "Ana") == subject.person(None, "ana")
    assert subject.keyed("session", "abc") == subject.session("abc")


@given(st.integers() | st.none(), st.text(st.characters(exclude_categories=())))
def test_asking_again_gives_the_same(user_id, username):
    subject = names()
    first = subject.person(user_id, username)
    assert subject.person(user_id, username) == first == names().person(user_id, username)


def test_memory_is_bounded_and_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(pseudonyms, "REMEMBERED", 3)
    subject = names()
    for _ in range(2):
        assert [subject.person(number, "") for number in range(10)] == [
            names().person(number, "") for number in range(10)
        ]
    assert len(subject._persons) <= 3


def test_keys_that_were_created_are_read_again(tmp_path: Path):
    created = Keys.create(tmp_path / "keys")
    assert Keys.load(tmp_path / "keys") == created
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert created.key_id == hashlib.sha256(created.person).hexdigest()[:8]
    assert len({created.person, created.session, created.address}) == 3


def test_keys_are_not_shown():
    assert repr(KEYS) == f"Keys(key_id={KEYS.key_id!r})"


def test_keys_are_never_overwritten(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text("precious")
    with pytest.raises(UnusableKeys, match="never overwritten"):
        Keys.create(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_keys_open_to_others_are_refused_with_the_remedy(tmp_path: Path, mode: int):
    path = tmp_path / "keys"
    Keys.create(path)
    path.chmod(mode)
    with pytest.raises(UnusableKeys, match=f"mode 0{mode:o}.*chmod 600 {path}"):
        Keys.load(path)


def test_missing_keys_are_told(tmp_path: Path):
    with pytest.raises(UnusableKeys, match="no keys at"):
        Keys.load(tmp_path / "keys")
    with pytest.raises(UnusableKeys, match="No such file or directory"):
        Keys.create(tmp_path / "nowhere" / "keys")
    with pytest.raises(UnusableKeys, match="Is a directory"):
        Keys.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"\xff",
        b"null",
        b"[" * 4000,
        json.dumps({"person": "00" * 32, "session": "00" * 32}).encode(),
        json.dumps({"person": "00" * 32, "session": "00" * 32, "address": "00" * 31}).encode(),
        json.dumps({"person": "00" * 32, "session": "00" * 32, "address": 5}).encode(),
    ],
)
def test_a_damaged_file_of_keys_is_refused_without_being_quoted(tmp_path: Path, content: bytes):
    path = tmp_path / "keys"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UnusableKeys, match="is no file of keys") as caught:
        Keys.load(path)
    assert "0000" not in str(caught.value)


def test_a_full_disk_leaves_no_half_a_file(tmp_path: Path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnusableKeys, match="No space left"):
        Keys.create(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []
