"""All that is kept of one learner, of herself and of her account of the LMS: counted, and removed for good.

In the site's database by ``forget``, in its store of tracking logs by ``forget_events``: first there, for the store
knows her by numbers and names that nobody knows any more once her user is gone.
"""

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, Final

from completion.models import BlockCompletion
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.conf import setting
from completion_aggregator.platforms.standalone.event_bus.retention import rejected_of
from completion_aggregator.platforms.standalone.imports.attempts import in_transaction
from completion_aggregator.platforms.standalone.models import (
    CohortMembership,
    CourseRole,
    Enrollment,
    GroupAssignment,
    LmsUser,
    RejectedEvent,
)
from completion_aggregator.tracking import api as tracking

OF_A_USER: Final[Mapping[str, Any]] = {
    "completions": BlockCompletion,
    "enrollments": Enrollment,
    "roles": CourseRole,
    "cohorts": CohortMembership,
    "groups": GroupAssignment,
    "accounts of the LMS": LmsUser,
}


def user_called(username: str) -> Any:
    """Return the user of exactly this name, also where the database compares names otherwise; None: nobody."""
    found = get_user_model()._default_manager.filter(username=username).first()
    return found if found is not None and found.get_username() == username else None


def user_of(lms_id: int) -> Any:
    """Return the user that an account of the LMS is here; None: nobody."""
    link = LmsUser.objects.select_related("user").filter(lms_id=lms_id).first()
    return link.user if link is not None else None


def lms_id_of(user: Any) -> int | None:
    """Return the number of the account of the LMS that a user is; None: of no account."""
    return LmsUser.objects.filter(user=user).values_list("lms_id", flat=True).first()


def kept(user: Any, lms_id: int | None) -> dict[str, int]:
    """Count what is kept of a user and of an account of the LMS, of either if there is only one."""
    counts = {name: model._default_manager.filter(user=user).count() for name, model in OF_A_USER.items() if user}
    if user is not None:
        counts["rows of progress and of the queue"] = sum(astuple(aggregation.holdings(user.get_username())))
    return counts | {"rejected events": _rejected(lms_id).count()}


def forget_events(user: Any, lms_id: int | None, *, dry_run: bool = False) -> str:
    """Have the site's store of tracking logs forget her, where there is one, and return in words what was done.

    Raises TrackingError and what else of ours a store that is there has to say, and OSError.
    """
    names = _told_names(user)
    if lms_id is None and not names:
        return "nobody here to forget; `tracking people forget` knows whoever is in the logs alone"
    try:
        found = tracking.forget(lms_id, names, dry_run=dry_run)
    except tracking.NoStore as error:
        if setting("TRACKING_STORE"):
            raise  # that it should be there, and is not, is for the operator to settle
        return f"{error}, so there is nothing to forget"
    return _words(found)


def forget(user: Any, lms_id: int | None) -> None:
    """Remove what is kept of a user, herself included, and of an account of the LMS. To do it again changes nothing."""
    if user is not None:
        aggregation.retire(user)  # what a worker is at, she waits for
        in_transaction(lambda: _remove(user))
    _rejected(lms_id).delete()


def _told_names(user: Any) -> list[str]:
    """Return what she is called in the LMS; a placeholder until that is told is no name."""
    if user is None or LmsUser.objects.filter(user=user, named_at=None).exists():
        return []
    return [user.get_username()]


def _words(found: tracking.Forgotten) -> str:
    if not found.is_known:
        return "nothing of her is in the store, and logs that are loaded later will not name her"
    shared = f"; {found.shared:,} names are left, since others have them, too" if found.shared else ""
    return f"{found.events:,} events, {found.names:,} names{shared}"


def _remove(user: Any) -> None:
    users = get_user_model()._default_manager
    # While it is locked nobody adds what would hold it.
    if users.select_for_update().filter(pk=user.pk).first() is None:
        return
    # One by one, each would mark the learner.
    BlockCompletion.objects.filter(user_id=user.pk)._raw_delete("default")
    kind = ContentType.objects.get_for_model(user)
    LogEntry.objects.filter(content_type=kind, object_id=str(user.pk)).delete()
    users.get(pk=user.pk).delete()


def _rejected(lms_id: int | None) -> QuerySet[RejectedEvent]:
    return RejectedEvent.objects.filter(pk__in=[] if lms_id is None else rejected_of(lms_id))
