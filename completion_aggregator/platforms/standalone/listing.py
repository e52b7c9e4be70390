"""Every enrollment of the site, some thousand at a time."""

from collections.abc import Collection, Iterator
from typing import Final, TypeAlias

from completion_aggregator.platforms.standalone.models import CohortMembership, Enrollment, LmsUser
from completion_aggregator.ports import ListedEnrollment

#: SQLite takes 32,766 values in one statement.
AT_ONCE: Final = 5_000
_COLUMNS: Final = (
    "pk", "user_id", "user__username", "course_id", "course__course_key", "mode", "is_active", "created",
)  # fmt: skip

_Names: TypeAlias = dict[int, tuple[int, bool]]
_Cohorts: TypeAlias = dict[tuple[int, int], tuple[int, str]]


def enrollments(at_once: int = AT_ONCE) -> Iterator[ListedEnrollment]:
    """Yield them by key, so that no cursor stays open, however many there are."""
    last = 0
    while rows := list(Enrollment.objects.filter(pk__gt=last).order_by("pk").values_list(*_COLUMNS)[:at_once]):
        last = rows[-1][0]
        learners = {row[1] for row in rows}
        numbers, cohorts = _lms_users(learners), _cohorts(learners)
        for _, user, name, course, course_key, mode, is_active, created in rows:
            lms_id, is_named = numbers.get(user, (None, True))
            # A placeholder is no name of hers.
            yield ListedEnrollment(
                lms_id, name if is_named else "", str(course_key), mode, is_active, created, cohorts.get((course, user))
            )


def _lms_users(user_ids: Collection[int]) -> _Names:
    """Return numbers in the LMS, and whether the LMS told the name."""
    found = LmsUser.objects.filter(user_id__in=user_ids).values_list("user_id", "lms_id", "named_at")
    return {user: (lms_id, named_at is not None) for user, lms_id, named_at in found}


def _cohorts(user_ids: Collection[int]) -> _Cohorts:
    columns = ("course_id", "user_id", "cohort_id", "cohort__name")
    found = CohortMembership.objects.filter(user_id__in=user_ids).values_list(*columns)
    return {(course, user): (cohort, name) for course, user, cohort, name in found}
