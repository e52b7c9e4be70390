"""A transaction that is tried again when it was not its own fault that it failed."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import OperationalError, transaction

log = logging.getLogger(__name__)

ATTEMPTS: Final = 4
SECONDS_BEFORE_NEXT: Final = 0.5

Result = TypeVar("Result")


def in_transaction(work: Callable[[], Result]) -> Result:
    """Return what *work* returns, done in one transaction.

    A deadlock with a learner's request, a lost connection or a busy SQLite file undo all of it; then it is done again.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            log.warning("transaction failed attempt=%d: %s", attempt, error)
            time.sleep(SECONDS_BEFORE_NEXT * attempt)
    with transaction.atomic():
        return work()
