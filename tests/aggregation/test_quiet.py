"""A course that is published again and again: looked at once it has come to rest."""

from datetime import UTC, datetime, timedelta

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.settlement import LONGEST_UNREST, QUIET, Quiet

KEY, OTHER = (CourseKey.from_string(f"course-v1:Test+{name}+1") for name in ("Course", "Other"))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def looked_at(changes: dict[int, datetime], *, turns: int, key: CourseKey = KEY) -> list[int]:
    """Return the turns, a second each, in which a course is looked at that changes in some of them."""
    quiet, found = Quiet(), []
    noted: dict[CourseKey, datetime] = {}
    for turn in range(turns):
        if turn in changes:
            noted[key] = changes[turn]
        if key in quiet.rested(noted, at=1000.0 + turn):
            found.append(turn)
            del noted[key]
    return found


def test_one_change_is_looked_at_soon() -> None:
    assert looked_at({3: NOON}, turns=20) == [3 + int(QUIET)]


def test_many_changes_in_a_row_are_looked_at_once() -> None:
    assert looked_at({turn: NOON + timedelta(seconds=turn) for turn in range(50)}, turns=60) == [49 + int(QUIET)]


def test_a_course_that_never_rests_is_looked_at_all_the_same() -> None:
    turns = 3 * int(LONGEST_UNREST)
    found = looked_at({turn: NOON + timedelta(seconds=turn) for turn in range(turns)}, turns=turns)
    assert found == [60, 121]


def test_clocks_that_are_wrong_change_nothing() -> None:
    for hours in (-1, 1):
        there = NOON + timedelta(hours=hours)
        assert looked_at({0: NOON, 1: there}, turns=9) == [1 + int(QUIET)]


def test_one_course_does_not_keep_another_waiting() -> None:
    quiet = Quiet()
    found = [
        sorted(map(str, quiet.rested({KEY: NOON + timedelta(seconds=turn), OTHER: NOON}, at=float(turn))))
        for turn in range(3)
    ]
    assert found == [[], [], [str(OTHER)]]
