"""Who sees a course before the others, and who sees all of it.

The LMS lets a user in by what either its table or its role classes tell. The table alone does not know of courses whose
roles are kept by the newer authorization service, the classes alone do not know of rows that such a course still has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from opaque_keys.edx.django.models import CourseKeyField
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.tables import among, chunks, exactly, text

#: The role classes of one course that a release may keep elsewhere than in the table, by the name of the role.
CLASSES: Final = {
    "staff": "CourseStaffRole",
    "limited_staff": "CourseLimitedStaffRole",
    "instructor": "CourseInstructorRole",
    "beta_testers": "CourseBetaTesterRole",
    "data_researcher": "CourseDataResearcherRole",
}
STAFF: Final = ("staff", "limited_staff", "instructor")
BETA: Final = "beta_testers"
#: Roles in a whole organization; the LMS itself reads them from the table, in every release.
ORG_STAFF: Final = ("staff", "instructor")
_ORG_CLASSES: Final = ("OrgStaffRole", "OrgInstructorRole")
# Beside roles, what the query of users tells of them. The query of the table does not join them: PostgreSQL would read
# every user of the site for it.
_SITE_STAFF: Final = "staff of the site"
_INACTIVE: Final = "inactive"


@dataclass(frozen=True, slots=True)
class Privileged:
    """The learners who see all of a course, and those who see it early."""

    staff: set[int]
    beta: set[int]


def privileged(course_key: CourseKey, user_ids: Collection[int]) -> Privileged:
    """Return who of these learners is privileged in the course: two queries for each 10,000 of them."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for ids in chunks(user_ids):
        for user_id, name in (*_by_table(course_key, ids), *_by_classes(course_key, ids)):
            found[name].add(user_id)
    inactive = found[_INACTIVE]
    staff = found[_SITE_STAFF].union(*(found[role] - inactive for role in STAFF))
    return Privileged(staff, found[BETA] - inactive)


def privileged_in(user_id: int, course_keys: Collection[CourseKey]) -> Mapping[str, Privileged]:
    """Return the same of one learner in each of these courses, with two queries."""
    user = get_user_model()._default_manager.filter(pk=user_id).first()

    def holds(course_key: CourseKey, *names: str) -> bool:
        return user is not None and lms.has_role(user, names, course_key)

    staff_classes = (*(CLASSES[role] for role in STAFF), *_ORG_CLASSES)
    return {
        str(key): Privileged(
            staff={user_id} if _is_site_staff(user) or holds(key, *staff_classes) else set(),
            beta={user_id} if holds(key, CLASSES[BETA]) else set(),
        )
        for key in course_keys
    }


def by_class(role: str, course_key: CourseKey) -> QuerySet[Any, Any] | None:
    """Return a query of the users of whom the class of this role says that they hold it in the course.

    The class goes by the table too, and there by a key that may be that of another course in other letters: who holds
    the role in that one alone is left out.
    """
    holders = lms.role_holders(CLASSES[role], course_key)
    if holders is None:
        return None
    table: Any = lms.model("student", "CourseAccessRole")
    held = table.objects.filter(user_id=OuterRef("pk"), role=role, course_id=course_key)
    return holders.filter(Exists(held.filter(exactly("course_id", course_key))) | ~Exists(held))


def _by_table(course_key: CourseKey, ids: Collection[int]) -> Iterator[tuple[int, str]]:
    table: Any = lms.model("student", "CourseAccessRole")
    course, org = str(course_key), course_key.org
    found = table.objects.filter(
        among("user_id", ids),
        Q(course_id=course_key, role__in=[*STAFF, BETA]) | Q(course_id=CourseKeyField.Empty, role__in=ORG_STAFF),
        org=org,
    )
    for user_id, role, *where in found.values_list("user_id", "role", text("course_id"), "org"):
        if where in ([course, org], ["", org]):
            yield user_id, role


def _by_classes(course_key: CourseKey, ids: Collection[int]) -> QuerySet[Any, Any]:
    people = get_user_model()._default_manager.filter(among("pk", ids))
    parts = [
        people.filter(_site_staff()).values_list("pk", _name(_SITE_STAFF)),
        people.filter(is_active=False).values_list("pk", _name(_INACTIVE)),
    ]
    holders = {role: by_class(role, course_key) for role in (*STAFF, BETA)}
    parts += [
        each.filter(among("pk", ids)).values_list("pk", _name(role))
        for role, each in holders.items()
        if each is not None
    ]
    return parts[0].union(*parts[1:], all=True)


def _site_staff() -> Q:
    return Q(is_staff=True) | Q(is_superuser=True) if lms.superusers_are_staff() else Q(is_staff=True)


def _is_site_staff(user: Any) -> bool:
    flags = ("is_staff", "is_superuser") if lms.superusers_are_staff() else ("is_staff",)
    return any(getattr(user, flag, False) for flag in flags)


def _name(role: str) -> Value:
    return Value(role, CharField())
