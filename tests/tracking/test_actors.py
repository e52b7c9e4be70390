"""Actors: who a line says it was, found again by what it says, and by nothing less."""

import pytest

from completion_aggregator.tracking import envelope, scrub
from completion_aggregator.tracking.actors import COLUMNS, Actors
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.tombstones import Tombstones
from tests.tracking.builders import line

PSEUDONYMS = Pseudonyms(Keys(b"p" * 32, b"s" * 32, b"a" * 32))


def actors(*forgotten):
    return Actors(PSEUDONYMS, Countries(None), Tombstones(frozenset(forgotten), PSEUDONYMS) if forgotten else None)


def told(found, actor):
    row = dict(zip(COLUMNS, found.rows[actor.number], strict=True))
    return {name: value for name, value in row.items() if value is not None}


def meet(found, **fields):
    return found.meet(envelope.decode(line(1, **fields)))


def test_an_actor_has_the_columns_of_all_that_she_makes_in_a_session():
    found = actors()
    actor = meet(found)
    assert told(found, actor) == {
        "person": PSEUDONYMS.person(7, ""),
        "user_id": 7,
        "known_as": "alice",
        "session": PSEUDONYMS.session("5e55"),
        "agent": "Mozilla/5.0",
        "host": "courses.example.org",
        "ip": "192.0.2.7",
        "username": "alice",
        "raw_session": "5e55",
        "is_forgotten": False,
    }
    assert found.met((7, "alice", "5e55", "192.0.2.7", "Mozilla/5.0", "courses.example.org")) is actor
    assert meet(found) is actor
    assert meet(found, ip="192.0.2.8") is not actor


def test_what_the_context_tells_is_told_apart():
    found = actors()
    context = {"user_id": 7, "session": "first"}
    first, none = meet(found, session="", context=context), meet(found, session="", context={"user_id": 7})
    second = meet(found, session="", context=context | {"session": "second"})
    assert [told(found, each).get("raw_session") for each in (first, second, none)] == ["first", "second", None]
    # What stands at the top of these lines is the same.
    assert found.met((7, "alice", "", "192.0.2.7", "Mozilla/5.0", "courses.example.org")) is None
    assert meet(found, session="", context=context) is first


def test_of_whoever_was_forgotten_nothing_is_told_but_the_browser():
    found = actors(PSEUDONYMS.person(7, ""))
    actor = meet(found)
    assert told(found, actor) == {"agent": "Mozilla/5.0", "host": "courses.example.org", "is_forgotten": True}
    assert actor.user.lows == ("alice",)


def test_an_event_about_somebody_else_has_her_person_and_no_session():
    found = actors()
    staff = meet(found)
    learner = found.about(staff, "12")
    own = told(found, staff)
    del own["known_as"], own["session"]
    assert told(found, learner) == own | {"person": PSEUDONYMS.person(12, ""), "user_id": 12}
    assert (learner.user, found.about(staff, 12), found.about(staff, "7")) == (staff.user, learner, staff)


def test_an_event_about_somebody_who_was_forgotten_tells_nobody():
    found = actors(PSEUDONYMS.person(12, ""))
    about = found.about(meet(found), 12)
    assert told(found, about) == {"agent": "Mozilla/5.0", "host": "courses.example.org", "is_forgotten": True}


@pytest.mark.parametrize("name", ["alice", "mail", "o'neill", "nobody", "chrome", "126", ""])
def test_what_a_browser_says_is_kept_as_if_nobody_had_said_it_before(name):
    found = actors()
    written = "App/1 (alice@x.example; O'Neill) Chrome/126.0.0.0 via 203.0.113.9"
    for each in ("bob", name, "bob", name):
        assert told(found, meet(found, agent=written, username=each))["agent"] == scrub.agent(written, each)


def test_long_texts_are_not_remembered_and_kept_for_few_batches():
    found = actors()
    assert meet(found, agent="x" * 3000) is not meet(found, agent="x" * 3000)
    found.fresh()
    assert len(found.rows) == 2
    meet(found, agent="x" * 2**25)
    found.fresh()
    assert found.rows == []


def test_whoever_was_met_is_forgotten_between_batches_when_they_are_many():
    found = actors()
    meet(found)
    found.rows.extend(found.rows * 2**16)
    found.fresh()
    assert found.rows == []
    assert told(found, meet(found))["username"] == "alice"
