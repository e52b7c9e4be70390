"""The public Python API: what other plug-ins may rely on. It changes only with notice in the changelog.

>>> from completion_aggregator.api import progress_of
>>> progress_of(user.id, course_key).course.percent  # doctest: +SKIP
0.42
"""

from completion_aggregator.aggregation.api import (
    BlockProgress,
    BlockSummary,
    CourseSummary,
    LearnerProgress,
    ProgressRecord,
    ThresholdReached,
    course_summary,
    iter_progress,
    mark_course_stale,
    mark_stale,
    mark_stale_many,
    progress_of,
    progress_of_course,
    threshold_reached,
)
from completion_aggregator.exceptions import CompletionAggregatorError, InvalidCourse, UnknownCourse

__all__ = [
    "BlockProgress",
    "BlockSummary",
    "CompletionAggregatorError",
    "CourseSummary",
    "InvalidCourse",
    "LearnerProgress",
    "ProgressRecord",
    "ThresholdReached",
    "UnknownCourse",
    "course_summary",
    "iter_progress",
    "mark_course_stale",
    "mark_stale",
    "mark_stale_many",
    "progress_of",
    "progress_of_course",
    "threshold_reached",
]
