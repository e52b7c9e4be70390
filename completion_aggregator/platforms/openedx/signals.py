"""What of the LMS changes progress, and which rows that leaves.

Rows of the LMS are watched by their models: a model tells of every save and delete, in the LMS as in Studio, and
nothing has to be imported for it. Events are heard where no row of the LMS tells the same. Receivers only note what
changed. Rows of ours are written once the transaction is committed, one for whatever it changed twice; an error there
is logged, and breaks nothing of the LMS: what was not written is found by the reconcile.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey
from opaque_keys.edx.locator import LibraryLocator

from completion_aggregator.aggregation import api
from completion_aggregator.platforms.openedx import enrollments, lms, retirement
from completion_aggregator.platforms.openedx.gating import FORUM_ROLES
from completion_aggregator.platforms.openedx.roles import BETA, ORG_STAFF, STAFF
from completion_aggregator.platforms.openedx.tables import text

UID: Final = "completion_aggregator.openedx"
#: Of a user, what decides what she sees.
PERSON: Final = ("is_staff", "is_superuser", "is_active")
#: Keys of tags that hold a learner's random group.
RANDOM_GROUP: Final = "xblock.partition_service.partition_"


def connect() -> None:
    """Listen to whatever of this there is; to call it again changes nothing."""
    for (label, name), receiver in OF_ROWS.items():
        if sender := lms.model(label, name):
            for signal in (post_save, post_delete):
                signal.connect(receiver, sender=sender, dispatch_uid=f"{UID}.{name}")
    if forums := lms.model("django_comment_common", "Role_users"):
        m2m_changed.connect(forum_role, sender=forums, dispatch_uid=f"{UID}.forum_role")
    if roles := lms.model("student", "CourseAccessRole"):
        pre_save.connect(look_at_role, sender=roles, dispatch_uid=f"{UID}.role_before")
    pre_save.connect(look_at_person, sender=get_user_model(), dispatch_uid=f"{UID}.person_before")
    post_save.connect(person_saved, sender=get_user_model(), dispatch_uid=f"{UID}.person")
    for receiver, events in (
        (course_published, lms.course_signals()),
        (role_told, lms.role_events()),
        (learner_retired, lms.retirement_signals()),
    ):
        for event in events:
            event.connect(receiver, dispatch_uid=f"{UID}.{receiver.__name__}")


# --- courses -------------------------------------------------------------------------------------------------------


def course_published(sender: Any, course_key: CourseKey, **_: Any) -> None:
    """Note that a course was published; libraries are none of ours.

    That one is deleted changes nothing here: the LMS keeps its enrollments and completions, and we keep what we have.
    """
    if not isinstance(course_key, LibraryLocator):
        with _noting() as noted:
            noted.courses.add(course_key)


def course_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note the course of a row that decides for many of its learners."""
    if not raw and (course_key := _key(instance.course_id)):
        with _noting() as noted:
            noted.courses.add(course_key)


def cohort_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note the course of a cohort that came to stand for another group of content."""
    try:
        course_row(sender, instance.course_user_group, raw=raw)
    except ObjectDoesNotExist:
        return  # the cohort is gone: its members told of themselves


def gating_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note the course that settings of content-type gating are for, or all that they may be for."""
    if instance.course_id:
        course_row(sender, instance, raw=raw)
    elif not raw:
        # Those of a site too: which courses are its own is known to nobody but the LMS.
        org = instance.org or (instance.org_course or "").partition("+")[0]
        with _noting() as noted:
            noted.orgs.add(org or None)


# --- learners ------------------------------------------------------------------------------------------------------


def enrollment_row(sender: Any, instance: Any, raw: bool = False, created: bool = False, **_: Any) -> None:
    """Note whose enrollment began, changed or ended; the LMS makes one first, and then makes it active."""
    if not (created and not instance.is_active):
        learner_row(sender, instance, raw=raw)


def learner_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note the learner of a row about one learner in one course."""
    if not raw and (course_key := _key(instance.course_id)):
        with _noting() as noted:
            noted.learner(course_key, instance.user_id)


def exclusion_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note whose enrollment is left out of content-type gating, or is so no longer."""
    if raw:
        return
    try:
        learner_row(sender, instance.enrollment)
    except ObjectDoesNotExist:
        return  # the enrollment is gone, and told of itself


def look_at_role(sender: type[Model], instance: Any, raw: bool = False, **_: Any) -> None:
    """Keep what is stored of an access role that is about to be saved again: it may become one of another course."""
    if not raw and instance.pk is not None:
        stored = sender._default_manager.filter(pk=instance.pk)
        found = stored.values_list("user_id", text("course_id"), "org", "role").first()
        instance._completion_aggregator_was = found


def role_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note who got or lost an access role: in a course, or in all that she learns in of an organisation."""
    was = instance.__dict__.pop("_completion_aggregator_was", None)
    if not raw:
        for each in {was, (instance.user_id, str(instance.course_id or ""), instance.org, instance.role)} - {None}:
            _role(*each)


def tag_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note who was put into a random group."""
    if instance.key.startswith(RANDOM_GROUP):
        learner_row(sender, instance, raw=raw)


def team_row(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Note who joined or left a team."""
    try:
        course_key = _key(instance.team.course_id)
    except ObjectDoesNotExist:
        return  # the team is gone, and its members with it: each of them was told of before
    if not raw and course_key:
        with _noting() as noted:
            noted.learner(course_key, instance.user_id)


def forum_role(sender: Any, instance: Any, *, action: str, reverse: bool, **change: Any) -> None:
    """Note who got or lost a role of the forums that opens content; every enrollment gives one that does not."""
    if reverse:
        _roles_of_user(sender, instance, action, **change)
    elif action.startswith("post_") and instance.name in FORUM_ROLES:
        _users_of_role(instance, **change)


def look_at_person(
    sender: type[Model], instance: Any, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """Compare a user who is about to be saved with what is stored: one query, none at a login."""
    instance._completion_aggregator_changed = False
    if raw or instance.pk is None or not (update_fields is None or set(PERSON) & set(update_fields)):
        return
    stored = sender._default_manager.filter(pk=instance.pk).values_list(*PERSON).first()
    instance._completion_aggregator_changed = stored not in (None, tuple(getattr(instance, each) for each in PERSON))


def person_saved(sender: type[Model], instance: Any, **_: Any) -> None:
    """Note a user who became staff, or active, or was either."""
    if instance.__dict__.pop("_completion_aggregator_changed", False):
        with _noting() as noted:
            noted.people.add((instance.pk, None))


def role_told(sender: Any, course_access_role_data: Any = None, role_assignment: Any = None, **_: Any) -> None:
    """Note who got or lost a role that may be kept elsewhere than in the table of roles."""
    if course_access_role_data is not None:
        data = course_access_role_data
        _role(data.user.id, str(data.course_key or ""), data.org_key, data.role)
    elif role_assignment is not None:
        # The subject is a user by name, with its kind before it; the scope may be a pattern, so all courses are meant.
        named = get_user_model()._default_manager.filter(username=role_assignment.subject.rpartition("^")[2])
        with _noting() as noted:
            noted.people.update((user_id, None) for user_id in named.values_list("pk", flat=True))


def learner_retired(sender: Any, user: Any, **_: Any) -> None:
    """Forget a learner, in tracking logs later. An error is the pipeline's to see: it tries again."""
    api.retire(user)
    retirement.forget_later(user)


def _role(user_id: int, course: str, org: str | None, role: str) -> None:
    if course:
        course_key = _key(course)
        if course_key and role in (*STAFF, BETA):
            with _noting() as noted:
                noted.learner(course_key, user_id)
    elif org and role in ORG_STAFF:
        with _noting() as noted:
            noted.people.add((user_id, org))


def _roles_of_user(
    through: type[Model], user: Any, action: str, *, model: Any, pk_set: Collection[int] | None, **_: Any
) -> None:
    if action in {"post_add", "post_remove"}:
        roles = model.objects.filter(name__in=FORUM_ROLES, pk__in=pk_set).values_list(text("course_id"), flat=True)
    elif action == "pre_clear":  # afterwards nobody can tell which she had
        held = through._default_manager.filter(user_id=user.pk, role__name__in=FORUM_ROLES)
        roles = held.values_list(text("role__course_id"), flat=True)
    else:
        return
    with _noting() as noted:
        for course_key in filter(None, map(_key, roles)):
            noted.learner(course_key, user.pk)


def _users_of_role(role: Any, *, pk_set: Collection[int] | None, **_: Any) -> None:
    if (course_key := _key(role.course_id)) is None:
        return
    with _noting() as noted:
        if pk_set is None:  # all of them, and who they were is not said
            noted.courses.add(course_key)
        for user_id in pk_set or ():
            noted.learner(course_key, user_id)


OF_ROWS: Final[dict[tuple[str, str], Callable[..., None]]] = {
    ("student", "CourseEnrollment"): enrollment_row,
    ("student", "CourseAccessRole"): role_row,
    ("student", "FBEEnrollmentExclusion"): exclusion_row,
    ("course_groups", "CohortMembership"): learner_row,
    ("course_groups", "CourseUserGroupPartitionGroup"): cohort_row,
    ("course_groups", "CourseCohortsSettings"): course_row,
    ("user_api", "UserCourseTag"): tag_row,
    ("teams", "CourseTeamMembership"): team_row,
    ("content_type_gating", "ContentTypeGatingConfig"): gating_row,
    ("course_modes", "CourseMode"): course_row,
}


# --- what was noted ------------------------------------------------------------------------------------------------


class _Noted:
    """What a transaction has changed. ``people``: users with the organisation that is meant, None for all courses.

    ``place``: that of ``write`` among what the transaction is to do once it is committed.
    """

    def __init__(self) -> None:
        self.place = 0
        self.courses: set[CourseKey] = set()
        self.orgs: set[str | None] = set()
        self.learners: dict[CourseKey, set[int]] = {}
        self.people: set[tuple[int, str | None]] = set()

    def learner(self, course_key: CourseKey, user_id: int) -> None:
        self.learners.setdefault(course_key, set()).add(user_id)

    def write(self) -> None:
        """Write a row for each course that changed; for learners, at most seven queries a course, for 2,000 of them."""
        for course_key in self.courses:
            api.course_changed(course_key)
        if self.orgs:
            api.courses_changed(orgs=None if None in self.orgs else {org for org in self.orgs if org})
        for user_id, org in self.people:
            for course_key in enrollments.courses(user_id):
                if org in (None, course_key.org):
                    self.learner(course_key, user_id)
        for course_key, user_ids in self.learners.items():
            learning = set(enrollments.query(course_key).filter(user_id__in=user_ids))
            api.sights_changed(course_key, sorted(user_ids), learning=learning)


#: By connection, what was noted last: perhaps in a transaction that has ended since.
_last: Final[WeakKeyDictionary[BaseDatabaseWrapper, _Noted]] = WeakKeyDictionary()


@contextmanager
def _noting() -> Iterator[_Noted]:
    """Let something be added to what this transaction has changed; without a transaction, it is written at once."""
    connection = connections[DEFAULT_DB_ALIAS]
    hooks, noted = connection.run_on_commit, _last.get(connection)
    # What was noted in a savepoint that is undone goes with it: a note that is still there will be kept if we are.
    # An undone savepoint takes the end of the list, so whatever stays in it stays in its place.
    if noted and noted.place < len(hooks) and getattr(hooks[noted.place][1], "__self__", None) is noted:
        yield noted
        return
    yield (new := _Noted())
    new.place, _last[connection] = len(hooks), new
    transaction.on_commit(new.write, robust=True)


def _key(value: object) -> CourseKey | None:
    """Return the course key that a column holds; None where it is empty, or that of a library."""
    try:
        found = CourseKey.from_string(str(value)) if value else None
    except InvalidKeyError:
        return None
    return None if isinstance(found, LibraryLocator) else found
