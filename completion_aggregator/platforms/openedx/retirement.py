"""Whom the LMS retires, the store of tracking logs forgets as well: in a task, which is tried until it is done.

Only where the settings name a store: that of an LMS whose logs are loaded on another machine is none of its own.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from celery import Task, shared_task
from celery.exceptions import Reject
from django.contrib.auth.models import AbstractBaseUser

from completion_aggregator.conf import PREFIX, setting
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.tracking import api as tracking

log = logging.getLogger(__name__)

#: Seconds until it is tried again; the longest is less than brokers wait before they hand out a message twice.
FIRST_WAIT: Final = 60
LONGEST_WAIT: Final = 900
_GIVEN_UP: Final = (
    "tracking logs not forgotten user=%d: %s; forget the learner where the store is: tracking people forget id:%d --yes"
)


def forget_later(user: AbstractBaseUser) -> None:
    """Send a worker the task of having the store forget a learner; an error of the broker is the caller's to see.

    Now, not when the transaction ends: a message too many changes nothing, one that is lost would never come again.
    """
    if not setting("TRACKING_STORE"):
        log.info("tracking logs left alone user=%d: no %sTRACKING_STORE is set", user.pk, PREFIX)
        return
    shown: dict[str, Any] = {"argsrepr": _shown(user.pk)}  # the stubs do not know it
    forget_events.apply_async(args=(user.pk, _names(user)), **shown)


class _Tried(Task):  # type: ignore[type-arg]  # no generic when it runs
    """A task that says what an operator is to do when it gives up."""

    def on_failure(
        self, exc: Exception, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        log.error(_GIVEN_UP, args[0], exc, args[0])


@shared_task(
    base=_Tried,
    bind=True,
    name="completion_aggregator.tasks.forget_events",
    ignore_result=True,
    acks_late=True,
    reject_on_worker_lost=True,
    max_retries=None,
)
def forget_events(task: Any, user_id: int, usernames: Sequence[str]) -> None:
    """Have the site's store of tracking logs forget a learner, at the next try that it can; to repeat it is harmless.

    Raises InvalidRequest where no try will help.
    """
    if not setting("TRACKING_STORE"):
        log.error(_GIVEN_UP, user_id, "no store is set any more", user_id)
        return
    try:
        found = tracking.forget(user_id, usernames)
    except tracking.InvalidRequest:
        raise
    except (CompletionAggregatorError, OSError) as error:
        if task.request.is_eager:
            raise
        _again(task, user_id, error)
    else:
        log.info("tracking logs forgotten user=%d events=%d parts=%d", user_id, found.events, found.parts)


def _again(task: Any, user_id: int, error: Exception) -> None:
    wait = min(LONGEST_WAIT, FIRST_WAIT << min(task.request.retries, 10))
    log.warning("tracking logs not forgotten yet user=%d, tried again in %d s: %s", user_id, wait, error)
    try:
        raise task.retry(exc=error, countdown=wait, argsrepr=_shown(user_id))
    except Reject:
        # A broker that does not take the next try keeps this one.
        raise Reject(error, requeue=True) from error


def _names(user: AbstractBaseUser) -> list[str]:
    """Return what the learner is called, and was before a retirement that has come that far."""
    requests: Any = lms.model("user_api", "UserRetirementStatus")
    found = (
        [] if requests is None else requests.objects.filter(user_id=user.pk).values_list("original_username", flat=True)
    )
    return sorted({user.get_username(), *found})


def _shown(user_id: int) -> str:
    """Return what monitors show of the task: no name."""
    return f"({user_id}, ...)"
