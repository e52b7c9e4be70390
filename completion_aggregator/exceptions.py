"""Every error that this package raises on purpose."""


class CompletionAggregatorError(Exception):
    """Base of every error this package raises on purpose."""


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
