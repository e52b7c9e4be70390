import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.columns import NO_DAY
from completion_aggregator.tracking.seen import NO_IDS, Seen


def ids(*names):
    return np.array([divmod(name, 4) for name in names], np.uint64).reshape(-1, 2)


class Disk:
    """Ids that are stored by day, in pieces."""

    def __init__(self, **days):
        self.days = {int(day[1:]): list(names) for day, names in days.items()}
        self.reads = 0

    def __call__(self, day):
        self.reads += 1
        names = self.days.get(day, [])
        for start in range(0, len(names), 2):
            yield ids(*names[start : start + 2])


def judged(seen, load, *names, day=1, own=None):
    days = np.full(len(names), day, np.int32)
    own_days = days if own is None else np.full(len(names), own, np.int32)
    return seen.judge(load, ids(*names), own_days, days).tolist()


def test_what_was_never_met_is_no_copy():
    assert judged(Seen(Disk(), NO_IDS), 1, 5, 6, 7) == [False, False, False]


def test_of_ids_that_repeat_the_first_is_no_copy():
    assert judged(Seen(Disk(), NO_IDS), 1, 9, 5, 9, 5, 6, 5) == [False, False, True, True, False, True]


def test_ids_whose_halves_are_equal_are_told_apart():
    assert judged(Seen(Disk(d1=[4, 6]), NO_IDS), 1, 4, 5, 6, 7, 7) == [True, False, True, False, True]


def test_what_is_stored_under_the_day_is_a_copy():
    assert judged(Seen(Disk(d1=[5, 6, 7], d2=[8]), NO_IDS), 1, 4, 5, 7, 8) == [False, True, True, False]


@pytest.mark.parametrize("kept", [0, 2, 100])
def test_stored_ids_are_read_again_where_they_are_too_many_to_be_kept(kept):
    disk = Disk(d1=[5, 6, 7])
    seen = Seen(disk, NO_IDS, kept=kept)
    assert judged(seen, 1, 4, 5) == [False, True]
    assert judged(seen, 2, 4, 6, 8) == [True, True, False]
    assert disk.reads == (1 if kept == 100 else 3)


def test_what_an_uncommitted_load_brought_is_met():
    seen = Seen(Disk(), NO_IDS)
    assert judged(seen, 1, 5) == [False]
    assert judged(seen, 2, 5, 6) == [True, False]


@pytest.mark.parametrize("kept", [0, 100])
def test_what_was_committed_stays_met(kept):
    disk = Disk()
    seen = Seen(disk, NO_IDS, kept=kept)
    judged(seen, 1, 5)
    disk.days[1] = [5]
    seen.commit(1)
    assert judged(seen, 2, 5, 6) == [True, False]


def test_misdated_ids_are_looked_up_whatever_their_day():
    seen = Seen(Disk(), ids(50))
    assert judged(seen, 1, 50, day=1) == [True]
    assert judged(seen, 1, 50, day=7, own=3) == [True]
    assert judged(seen, 1, 51, day=7, own=NO_DAY) == [False]
    assert judged(seen, 2, 51, day=8, own=8) == [True]
    assert (seen.misdated(1).tolist(), seen.misdated(2).tolist()) == (ids(51).tolist(), [])
    seen.commit(1)
    seen.commit(2)
    assert judged(seen, 3, 51, 52, day=8, own=8) == [True, False]


def test_an_event_that_stands_under_its_own_day_is_met_under_another():
    seen = Seen(Disk(d3=[5]), NO_IDS)
    assert judged(seen, 1, 5, day=9, own=3) == [True]


@given(
    st.lists(
        st.tuples(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=6), st.booleans(), st.integers(0, 1)),
        max_size=6,
    ),
    st.sampled_from([0, 3, 100]),
)
def test_each_id_is_new_once(batches, kept):
    """An id has always the same day of its own, and may stand under another."""
    disk, met = Disk(), set()
    pending: dict[int, list[tuple[int, int]]] = {}
    seen = Seen(disk, NO_IDS, kept=kept)
    for load, (events, is_committed, shift) in enumerate(batches, 1):
        own = np.array([name % 3 for name, _ in events], np.int32)
        days = own + np.array([is_wrong * (1 + shift) for _, is_wrong in events], np.int32)
        wanted = []
        for (name, _), own_day, day in zip(events, own, days, strict=True):
            wanted.append(name in met)
            if name not in met and own_day == day:
                pending.setdefault(load, []).append((int(day), name))
            met.add(name)
        assert seen.judge(load, ids(*[name for name, _ in events]), own, days).tolist() == wanted
        if is_committed:
            for each in sorted(pending):
                for day, name in pending.pop(each):
                    disk.days.setdefault(day, []).append(name)
            for each in range(1, load + 1):
                seen.commit(each)
