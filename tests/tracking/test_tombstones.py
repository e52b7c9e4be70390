import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.tombstones import Tombstones, names_one

PSEUDONYMS = Pseudonyms(Keys(b"p" * 32, b"s" * 32, b"a" * 32))


def tombstones(*names, numbers=()):
    hashes = {PSEUDONYMS.keyed("username", name) for name in names} | {PSEUDONYMS.person(each, "") for each in numbers}
    return Tombstones(frozenset(each for each in hashes if each), PSEUDONYMS)


def test_somebody_is_known_by_number_or_by_name_in_any_case():
    found = tombstones("alice", numbers=(7,))
    asked = [(7, ""), (7, "bob"), (9, "ALICE"), (None, "Alice"), (9, "bob"), (None, "")]
    covered = [found.cover(PSEUDONYMS.person(number, name), name) for number, name in asked]
    assert covered == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    "text", ["alice", "to Alice.", "alice@example.org", '{"x": "/u/alice/"}', "a%6Cice", "\\u0061lice"]
)
def test_a_name_is_found_as_a_word(text):
    assert tombstones("alice").named_in(text)


@pytest.mark.parametrize("text", ["", "malice", "alice_2", "alice-b", "ali ce", "%", "\\u00"])
def test_part_of_a_longer_word_is_another_one(text):
    assert not tombstones("alice").named_in(text)


@given(st.from_regex(r"[\w.@+-]{2,30}", fullmatch=True), st.lists(st.text(max_size=8), max_size=4))
def test_a_name_is_found_however_it_is_written(name, around):
    found = tombstones(name)
    for written in (name, json.dumps(name), quote(name, safe="")):
        text = " ".join([*around, written])
        if quote(name, safe="") != name and "%" in "".join(around):
            continue
        assert found.named_in(text), text
        assert names_one(text, lambda word: word == name)


def test_words_that_were_nobodys_stay_so_and_names_are_found_again():
    found = tombstones("alice")
    assert [found.named_in(text) for text in ("hello bob", "hello alice", "hello alice", "hello bob")] == [
        False,
        True,
        True,
        False,
    ]


def test_the_pseudonym_of_whoever_was_forgotten_is_none():
    assert tombstones("alice").keyed("username", "alice") is None
    assert tombstones("alice").keyed("username", "bob") == PSEUDONYMS.keyed("username", "bob")
