"""Events as an LMS sends them."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from openedx_events.analytics.data import TrackingLogData
from openedx_events.analytics.signals import TRACKING_EVENT_EMITTED
from openedx_events.data import EventsMetadata
from openedx_events.learning.data import (
    CohortData,
    CourseAccessRoleData,
    CourseData,
    CourseEnrollmentData,
    UserData,
    UserPersonalData,
)

from completion_aggregator.platforms.standalone.event_bus.receivers import receive
from tests.platforms.standalone.builders import KEY, usage

START = datetime(2026, 10, 1, 12, tzinfo=UTC)
COMPLETION_CHANGED = "edx.completion.block_completion.changed"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def send(signal, minutes: float, /, **data) -> None:
    """Send an event as the consumer of the bus does."""
    moment = at(minutes)
    metadata = EventsMetadata(event_type=signal.event_type, id=uuid4(), time=moment, sourcelib=(10, 5, 0))
    # Other packages listen too; what becomes of their receivers is not ours.
    answers = dict(signal.send_event_with_custom_metadata(metadata, **data))
    if isinstance(failure := answers[receive], Exception):
        raise failure


def completion_log(
    block: str = "one", completion: object = 1.0, *, minutes: float = 0, user_id: object = 7, context=None, **changes
) -> TrackingLogData:
    data = {
        "user_id": user_id,
        "course_id": str(KEY),
        "block_id": usage("html", block),
        "block_type": "html",
        "completion": completion,
        "modified": at(minutes).isoformat(),
        "created": at(min(minutes, 0)).isoformat(),
    } | changes
    return TrackingLogData(
        name=COMPLETION_CHANGED, timestamp=at(minutes), data=json.dumps(data), context=json.dumps(context or {})
    )


def complete(*args, minutes: float = 0, **changes) -> None:
    send(TRACKING_EVENT_EMITTED, minutes, tracking_log=completion_log(*args, minutes=minutes, **changes))


def person(lms_id: int = 7, name: str = "ana") -> UserData:
    pii = UserPersonalData(username=name, email=f"{name}@example.org", name=name.title())
    return UserData(id=lms_id, is_active=True, pii=pii)


def enrollment(user=None, *, mode="audit", is_active=True, course_key=KEY, minutes: float = 0):
    return CourseEnrollmentData(
        user=user or person(),
        course=CourseData(course_key=course_key, display_name="Small"),
        mode=mode,
        is_active=is_active,
        creation_date=at(minutes),
    )


def cohort(name: str, user=None) -> CohortData:
    return CohortData(user=user or person(), course=CourseData(course_key=KEY, display_name="Small"), name=name)


def role(name: str, user=None, course_key=KEY) -> CourseAccessRoleData:
    return CourseAccessRoleData(user=user or person(), org_key="Org", course_key=course_key, role=name)
