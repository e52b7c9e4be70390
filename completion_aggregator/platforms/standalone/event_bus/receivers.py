"""What is done with each event of the bus."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from openedx_events.analytics.signals import TRACKING_EVENT_EMITTED
from openedx_events.learning import signals

from completion_aggregator.platforms.standalone.event_bus import completions, enrollments
from completion_aggregator.platforms.standalone.event_bus.effects import Effect
from completion_aggregator.platforms.standalone.event_bus.patience import Unstorable, in_patient_transaction
from completion_aggregator.platforms.standalone.event_bus.rejects import reject
from completion_aggregator.platforms.standalone.imports.courses import UnfitRow
from completion_aggregator.platforms.standalone.imports.moments import AHEAD

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES: Final = 60.0

Taker = Callable[[Any, datetime], Effect]

#: Each event that is taken, the name of its data, and what takes it.
TAKERS: Final[Mapping[Any, tuple[str, Taker]]] = {
    TRACKING_EVENT_EMITTED: ("tracking_log", completions.take_tracking_log),
    signals.COURSE_ENROLLMENT_CREATED: ("enrollment", enrollments.take_enrollment),
    signals.COURSE_ENROLLMENT_CHANGED: ("enrollment", enrollments.take_enrollment),
    signals.COURSE_UNENROLLMENT_COMPLETED: ("enrollment", enrollments.take_unenrollment),
    signals.COHORT_MEMBERSHIP_CHANGED: ("cohort", enrollments.take_cohort),
    signals.COURSE_ACCESS_ROLE_ADDED: ("course_access_role_data", enrollments.take_new_role),
    signals.COURSE_ACCESS_ROLE_REMOVED: ("course_access_role_data", enrollments.take_lost_role),
}


class Tally:
    """How many events had which effect, told in a line each minute in which there were some."""

    def __init__(self) -> None:
        self.counts: Counter[Effect] = Counter()
        self._told_at = time.monotonic()

    def add(self, effect: Effect) -> None:
        """Count one event."""
        self.counts[effect] += 1
        if time.monotonic() - self._told_at >= SECONDS_BETWEEN_LINES:
            self._told_at = time.monotonic()
            log.info("events %s", " ".join(f"{each}={self.counts[each]}" for each in Effect))


tally: Final = Tally()


def connect() -> None:
    """Connect the receiver to every event that is taken."""
    for signal in TAKERS:
        signal.connect(receive, dispatch_uid=f"completion-aggregator-{signal.event_type}")


def receive(*, signal: Any, metadata: Any, **data: Any) -> None:
    """Take an event: what it tells is stored, or the event is kept aside, when this returns.

    What nobody foresaw is kept aside too, and raised: it is a fault of ours, and the log gets its traceback.
    """
    name, take = TAKERS[signal]
    told = data[name]
    about = {"event_type": metadata.event_type, "event_id": str(metadata.id), "moment": metadata.time}
    try:
        _check_moment(metadata.time)
        effect = in_patient_transaction(lambda: take(told, metadata.time), what=f"event {metadata.id}")
    except Unstorable as refused:
        effect = Effect.REJECTED
        reject(f"the database does not take it: {refused}", **about, data=told)
    except UnfitRow as unfit:
        effect = Effect.REJECTED
        reject(str(unfit), **about, data=told)
    except Exception as error:
        tally.add(Effect.REJECTED)
        reject(f"unforeseen: {type(error).__name__}", **about, data=told)
        raise
    tally.add(effect)


def _check_moment(moment: datetime) -> None:
    if moment > timezone.now() + AHEAD:
        raise UnfitRow("sent in the future, by our clock")
