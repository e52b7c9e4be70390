"""Every error that this package raises on purpose, and how the text of any error is stored."""

from typing import Final

#: The length of the columns for errors.
_LONGEST: Final = 500


class CompletionAggregatorError(Exception):
    """Base of every error this package raises on purpose.

    ``known``: of the course, the same was kept before, for ``aggregator_status`` to show.
    """

    known = False


class UnknownCourse(CompletionAggregatorError):
    """The platform has no course with this key."""


class UnknownBlock(CompletionAggregatorError):
    """The course has no block with this key."""


class InvalidCourse(CompletionAggregatorError):
    """The blocks handed over do not form a course; the message names the block."""


class DamagedGraph(InvalidCourse):
    """Stored bytes are not a course graph that we wrote: import the course again."""


class DamagedVector(CompletionAggregatorError):
    """A stored completion vector is not one that we wrote: rebuild it from the completions."""


class InvalidSetting(CompletionAggregatorError):
    """A setting has a value that cannot work; the message says which and what would."""


def storable(error: str) -> str:
    """Return the text of an error as every database takes it: short, no NUL, no half of a surrogate pair.

    Whoever raised it may have put anything into it, and an error that cannot be stored would come back for ever.
    """
    return error.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:_LONGEST]
