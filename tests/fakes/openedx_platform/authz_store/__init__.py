"""What stands for openedx-authz: where roles of a course are kept once a site has moved them out of the table.

Of no release's own making: the real store is private to its package, and only the role classes may ask it.
"""

from contextlib import contextmanager

#: Roles that move; roles of an organization and beta testers stay in the table.
MOVED = frozenset({"staff", "limited_staff", "instructor", "data_researcher"})
_switch = {"on": False}


@contextmanager
def moved_roles():
    """Move the roles of courses out of the table, as the flag ``authz.enable_course_authoring`` does."""
    from common.djangoapps.student.models import CourseAccessRole
    from opaque_keys.edx.django.models import CourseKeyField

    from authz_store.models import RoleAssignment

    rows = CourseAccessRole.objects.filter(role__in=MOVED).exclude(course_id=CourseKeyField.Empty)
    for row in rows:
        RoleAssignment.objects.create(user_id=row.user_id, org=row.org, course_id=row.course_id, role=row.role)
    rows._raw_delete(rows.db)  # moved, not lost: nobody is told
    _switch["on"] = True
    try:
        yield
    finally:
        _switch["on"] = False


def in_use():
    return _switch["on"]


def holds(role, course_key):
    return role in MOVED and course_key is not None


def roles_of(user):
    from authz_store.models import RoleAssignment

    return {(each.role, each.course_id, each.org) for each in RoleAssignment.objects.filter(user_id=user.pk)}


def user_ids(**place):
    from authz_store.models import RoleAssignment

    return RoleAssignment.objects.filter(**place).values("user_id")


def add(user, **place):
    from authz_store.models import RoleAssignment

    _, created = RoleAssignment.objects.get_or_create(user_id=user.pk, **place)
    if created:
        _tell("CREATED", "created", user, place)


def remove(users, **place):
    from authz_store.models import RoleAssignment

    for user in users:
        if RoleAssignment.objects.filter(user_id=user.pk, **place).delete()[0]:
            _tell("DELETED", "deleted", user, place)


def _tell(event, operation, user, place):
    """Send the event of openedx-events 11, where that is installed."""
    try:
        from openedx_events.authz import signals
        from openedx_events.authz.data import RoleAssignmentData
    except ImportError:
        return
    getattr(signals, f"ROLE_ASSIGNMENT_{event}").send_event(
        role_assignment=RoleAssignmentData(
            operation=operation,
            subject=user.username,
            role=f"course_{place['role']}",
            scope=str(place["course_id"]),
            actor_id=None,
        )
    )
