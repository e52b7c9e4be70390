"""Types of command-line arguments, with messages that say what would do."""

import math
from argparse import ArgumentTypeError

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    number = natural(text)
    if not number:
        raise ArgumentTypeError("must be 1 or more")
    return number


def natural(text: str) -> int:
    """Read a whole number from 0 on."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds from 0 on."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 <= number < math.inf):
        raise ArgumentTypeError(f"must be a number of seconds, 0 or more, not {text!r}")
    return number


def pause(text: str) -> float:
    """Read a number of seconds above 0, for what would otherwise never let go of the database."""
    number = seconds(text)
    if not number:
        raise ArgumentTypeError("must be a number of seconds above 0")
    return number


def course_key(text: str) -> CourseKey:
    """Read a course key."""
    try:
        return CourseKey.from_string(text)
    except InvalidKeyError:
        raise ArgumentTypeError(f"{text!r} is no course key; one looks like course-v1:ORG+COURSE+RUN") from None
