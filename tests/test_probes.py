"""Whoever asks how something is gets an answer in time, whatever it does."""

from itertools import count
from threading import Event, Thread
from time import monotonic

import pytest

from completion_aggregator.probes import NoAnswer, Probe


def test_what_hangs_is_not_waited_for_and_not_asked_twice():
    asked, end = [], Event()

    def hang() -> int:
        asked.append(1)
        end.wait(30)
        return 7

    probe = Probe(hang, patience=0.05, keep=60)
    start = monotonic()
    for _ in range(3):
        with pytest.raises(NoAnswer, match=r"no answer within 0\.05 s"):
            probe.ask()
    assert monotonic() - start < 5
    assert len(asked) == 1
    end.set()
    patient = [threaded(probe) for _ in range(3)]
    assert [each() for each in patient] == [7, 7, 7]
    assert len(asked) == 1


def test_an_answer_is_given_again_for_a_while():
    asked = count(1)
    probe = Probe(lambda: next(asked), patience=5, keep=60)
    assert [probe.ask(), probe.ask()] == [1, 1]
    probe.forget()
    assert probe.ask() == 2
    hasty = Probe(lambda: next(asked), patience=5)
    assert [hasty.ask(), hasty.ask()] == [3, 4]


@pytest.mark.parametrize("error", [ValueError("wrong"), TimeoutError("of the question")])
def test_what_the_question_raises_is_raised(error: Exception):
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        Probe(fail, patience=5).ask()


def threaded(probe: Probe[int]):
    found: list[int] = []

    def ask() -> None:
        while not found:
            try:
                found.append(probe.ask())
            except NoAnswer:
                continue

    thread = Thread(target=ask)
    thread.start()

    def joined() -> int:
        thread.join(10)
        return found[0]

    return joined
