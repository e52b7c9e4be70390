"""For how long rejected events are kept: until they are old, or their learner is deleted."""

import re
from datetime import timedelta
from typing import Any, Final

from django.db.models.signals import post_delete
from django.utils import timezone

from completion_aggregator.platforms.standalone.models import LmsUser, RejectedEvent

DAYS_KEPT: Final = 90


def connect() -> None:
    """With an account of the LMS, forget the rejected events that name it."""
    post_delete.connect(forget_account, sender=LmsUser, dispatch_uid="standalone-deleted-LmsUser")


def forget_old() -> int:
    """Delete what was kept for long enough. Return how many."""
    count, _ = RejectedEvent.objects.filter(received__lt=timezone.now() - timedelta(days=DAYS_KEPT)).delete()
    return count


def forget_account(sender: type[LmsUser], instance: LmsUser, **_: Any) -> None:
    """Delete the rejected events of the account."""
    RejectedEvent.objects.filter(pk__in=rejected_of(instance.lms_id)).delete()


def rejected_of(lms_id: int) -> list[int]:
    """Return the ids of the rejected events that name an account by its number; of unreadable ones nobody can tell."""
    named = re.compile(rf'"user(_id)?": *({{"id": *)?"?{lms_id}\b')
    some = RejectedEvent.objects.filter(data__contains=str(lms_id)).values_list("pk", "data")
    # The data of a completion is JSON within JSON.
    return [pk for pk, data in some.iterator() if named.search(data.replace("\\", ""))]
