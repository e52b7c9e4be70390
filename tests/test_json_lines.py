"""A line of JSON says what the message says, and what it names."""

import json
import logging
import sys
from typing import Any

import pytest

from completion_aggregator.json_lines import JsonLines


def line(message: Any, *args: Any, error: Exception | None = None) -> dict[str, Any]:
    exc_info: Any = None
    if error is not None:
        try:
            raise error
        except type(error):
            exc_info = sys.exc_info()
    record = logging.LogRecord("ours", logging.INFO, __file__, 1, message, args, exc_info)
    record.created = 1_700_000_000.5
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    assert (found.pop("time"), found.pop("level"), found.pop("logger")) == (
        "2023-11-14T22:13:20.500+00:00", "INFO", "ours",
    )  # fmt: skip
    return found


def test_a_batch_is_an_event_with_its_counts():
    found = line("refreshed course=%s learners=%d seconds=%.3f", "course-v1:A+B+C", 3, 0.25)
    message = "refreshed course=course-v1:A+B+C learners=3 seconds=0.250"
    assert found == {
        "event": "refreshed", "message": message, "course": "course-v1:A+B+C", "learners": 3, "seconds": 0.25,
    }  # fmt: skip


def test_what_has_no_name_is_in_the_message_alone():
    found = line("not renewed course=%s: %s", "c", ValueError("a\nb"))
    assert found == {"event": "not renewed", "message": "not renewed course=c: a\nb", "course": "c"}


@pytest.mark.parametrize(
    ("message", "args", "event"),
    [
        ("100 % done", (), "100 % done"),
        ("%d%% of rows=%d", (5, 7), ""),
        ("time=%s level=%s", ("now", 1), ""),
        ("%(a)s b", ({"a": 1},), "%(a)s b"),
        ("wide %*d", (5, 7), "wide"),
        (ValueError("an error for a message"), (), "an error for a message"),
    ],
)
def test_no_message_is_too_odd(message, args, event):
    found = line(message, *args)
    assert found["event"] == event
    assert set(found) <= {"event", "message", "rows"}


def test_an_error_comes_with_its_stack_on_the_same_line():
    found = line("refresh failed course=%s user=%s", "c", 7, error=ValueError("wrong"))
    assert (found["event"], found["course"], found["user"]) == ("refresh failed", "c", 7)
    error = found["error"]
    assert (error["type"], error["message"]) == ("ValueError", "wrong")
    assert "Traceback" in error["stack"]
