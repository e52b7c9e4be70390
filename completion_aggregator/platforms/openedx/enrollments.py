"""Who learns in which course, who teaches there, who may read it; and which courses there are."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.openedx import lms, roles
from completion_aggregator.platforms.openedx.tables import exactly, text
from completion_aggregator.ports import ListedEnrollment

ROWS_PER_READ: Final = 10_000
#: SQLite takes 32,766 values in one statement.
LISTED_AT_ONCE: Final = 5_000


def user_ids(course_key: CourseKey) -> Iterator[int]:
    """Yield the ids of the learners with an active enrollment, ascending."""
    found = _active(course_key=course_key).order_by("user_id").values_list("user_id", flat=True)
    yield from found.iterator(chunk_size=ROWS_PER_READ)


def courses(user_id: int, *, mobile_only: bool = False) -> list[CourseKey]:
    """Return the courses of a learner's active enrollments, by course key; *mobile_only*: those made for phones."""
    keys = _keys(_active(user_id=user_id).values_list(text("course_id"), flat=True))
    if mobile_only and keys:
        overviews: Any = lms.model("course_overviews", "CourseOverview")
        mobile = overviews.objects.filter(id__in=keys, mobile_available=True)
        names = set(mobile.values_list(text("id"), flat=True))
        keys = [key for key in keys if str(key) in names]
    return keys


def is_enrolled(course_key: CourseKey, user_id: int) -> bool:
    """Return whether the learner's enrollment in the course is active."""
    return _active(course_key=course_key, user_id=user_id).exists()


def query(course_key: CourseKey, *, mode: str | None = None, cohort_id: int | None = None) -> QuerySet[Any, Any]:
    """Return a query of the ids of the users with an active enrollment: of this mode, in this cohort."""
    active = _active(course_key=course_key)
    if mode is not None:
        active = active.filter(mode=mode)
    if cohort_id is not None:
        memberships: Any = lms.model("course_groups", "CohortMembership")
        members = memberships.objects.filter(course_user_group_id=cohort_id, course_id=course_key)
        members = members.filter(exactly("course_id", course_key))
        active = active.filter(user_id__in=members.values("user_id"))
    return active.values_list("user_id", flat=True)


def listed(at_once: int = LISTED_AT_ONCE) -> Iterator[ListedEnrollment]:
    """Yield every enrollment, by key, so that no cursor stays open, however many there are."""
    model: Any = lms.model("student", "CourseEnrollment")
    columns = ("pk", "user_id", "user__username", text("course_id"), "mode", "is_active", "created")
    last = 0
    while rows := list(model.objects.filter(pk__gt=last).order_by("pk").values_list(*columns)[:at_once]):
        last = rows[-1][0]
        cohorts = _cohorts({row[1] for row in rows})
        for _, user, name, course, mode, is_active, created in rows:
            yield ListedEnrollment(user, name, course, mode, bool(is_active), created, cohorts.get((course, user)))


def role_holders(course_key: CourseKey, names: Collection[str] | None = None) -> QuerySet[Any, Any]:
    """Return a query of the ids of the users who have one of these access roles in the course, or any at all.

    Roles in the whole organization do not count: whoever has one may well learn in the course.
    """
    access: Any = lms.model("student", "CourseAccessRole")
    by_table = access.objects.filter(exactly("course_id", course_key), course_id=course_key)
    if names is not None:
        by_table = by_table.filter(role__in=list(names))
    found = (roles.by_class(role, course_key) for role in roles.CLASSES if names is None or role in names)
    by_class = [each.values_list("pk", flat=True) for each in found if each is not None]
    held: QuerySet[Any, Any] = by_table.values_list("user_id", flat=True).union(*by_class)
    return held


def may_read(user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
    """Return whether the user has staff access to the course; not while masquerading as a learner."""
    return user.is_active and lms.has_staff_access(user, course_key)


def course_keys() -> list[CourseKey]:
    """Return every course of the LMS, by key: those it has an overview of, and those that nobody opened yet."""
    overviews: Any = lms.model("course_overviews", "CourseOverview")
    index: Any = lms.model("split_modulestore_django", "SplitModulestoreCourseIndex")
    found = set(overviews.objects.values_list(text("id"), flat=True))
    if index is not None:
        found.update(index.objects.values_list(text("course_id"), flat=True))
    return _keys(found)


def _cohorts(user_ids: Collection[int]) -> dict[tuple[str, int], tuple[int, str]]:
    """Return number and name of learners' cohorts, by course and learner."""
    memberships: Any = lms.model("course_groups", "CohortMembership")
    if memberships is None:
        return {}
    columns = (text("course_id"), "user_id", "course_user_group_id", "course_user_group__name")
    found = memberships.objects.filter(user_id__in=user_ids).values_list(*columns)
    return {(course, user): (cohort, name) for course, user, cohort, name in found}


def _active(*, course_key: CourseKey | None = None, user_id: int | None = None) -> QuerySet[Any, Any]:
    model: Any = lms.model("student", "CourseEnrollment")
    active: QuerySet[Any, Any] = model.objects.filter(is_active=True).order_by()
    if course_key is not None:
        active = active.filter(exactly("course_id", course_key), course_id=course_key)
    return active if user_id is None else active.filter(user_id=user_id)


def _keys(texts: Iterable[str]) -> list[CourseKey]:
    """Return those of *texts* that are keys of courses; libraries and damaged keys are none."""
    return [key for key in map(_course, sorted(set(texts))) if key is not None]


def _course(name: str) -> CourseKey | None:
    try:
        key = CourseKey.from_string(name)
    except InvalidKeyError:
        return None
    # A branch or a version in a key names content, not a course.
    return key if key.is_course and str(key) == name else None
