"""Completions that could not be taken in: counted by reason, and by course where the course is the reason."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from completion_aggregator.platforms.standalone.imports.completions import COLUMNS
from completion_aggregator.platforms.standalone.imports.rejects import Rejects

_COURSE: Final = COLUMNS.names.index("course_id")
#: Reasons that are told with the course.
_OF_COURSES: Final = ("unknown course", "not a course key")
#: A log may name courses without end.
_MOST_REASONS: Final = 1000
_LONGEST: Final = 255


class Refusals(Rejects):
    """Count, and keep no file: the store has the events, and gives them again to whoever reads it from the start."""

    def __init__(self) -> None:
        super().__init__(Path(), COLUMNS.names)

    def add(self, line: int, reason: str, values: Sequence[str]) -> None:
        """Count one completion."""
        if reason.startswith(_OF_COURSES):
            told = f"{reason}: {values[_COURSE][:_LONGEST] or 'none'}"
            reason = told if told in self.reasons or len(self.reasons) < _MOST_REASONS else reason
        self.reasons[reason] += 1
