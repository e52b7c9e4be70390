"""An LMS, as far as its events go: run as ``python event_bus_lms.py DATABASE SETTINGS REDIS_URL PREFIX``.

Its settings are those of the page that tells operators what to set. Reads a JSON list of what happens from standard
input, and prints the completions that it has in the end.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def configure(database: str, page_settings: str, url: str, prefix: str) -> None:
    ours: dict[str, Any] = {"EVENT_TRACKING_BACKENDS": {}, "EVENT_BUS_PRODUCER_CONFIG": {}}
    exec(Path(page_settings).read_text(), ours)
    own = {name: value for name, value in ours.items() if name.isupper()}
    settings.configure(
        **own | {"EVENT_BUS_REDIS_CONNECTION_URL": url, "EVENT_BUS_TOPIC_PREFIX": prefix},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "waffle",
            "eventtracking.django.apps.EventTrackingConfig",
            "completion",
            "openedx_events",
            "edx_event_bus_redis",
        ],
        EVENT_TRACKING_ENABLED=True,
        WAFFLE_SWITCH_DEFAULT=True,
        OPENEDX_TELEMETRY=[],
        USE_TZ=True,
        SECRET_KEY="lms",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        LOGGING_CONFIG=None,
    )
    django.setup()


def happen(steps: list[list[Any]]) -> None:
    from completion.models import BlockCompletion
    from django.contrib.auth import get_user_model
    from opaque_keys.edx.keys import CourseKey, UsageKey
    from openedx_events.learning import data, signals

    users = get_user_model().objects

    def person(user):
        pii = data.UserPersonalData(username=user.username, email=user.email, name="")
        return data.UserData(id=user.pk, is_active=True, pii=pii)

    def enrollment(user, course_key, mode, *, is_active):
        course = data.CourseData(course_key=CourseKey.from_string(course_key), display_name="A course")
        return data.CourseEnrollmentData(
            user=person(user),
            course=course,
            mode=mode,
            is_active=is_active,
            creation_date=datetime(2026, 1, 1, tzinfo=UTC),
        )

    for what, username, *rest in steps:
        # The first account of an LMS is seldom a learner's: ids there are not ids here.
        user, _ = users.get_or_create(username=username, defaults={"pk": 1000 + users.count()})
        if what == "complete":
            block, value = rest
            BlockCompletion.objects.submit_completion(user, UsageKey.from_string(block), value)
        elif what == "enroll":
            signals.COURSE_ENROLLMENT_CREATED.send_event(enrollment=enrollment(user, *rest, is_active=True))
        elif what == "unenroll":
            ended = enrollment(user, *rest, is_active=False)
            signals.COURSE_ENROLLMENT_CHANGED.send_event(enrollment=ended)
            signals.COURSE_UNENROLLMENT_COMPLETED.send_event(enrollment=ended)
        else:
            course_key, name = rest
            course = data.CourseData(course_key=CourseKey.from_string(course_key), display_name="A course")
            told = data.CohortData(user=person(user), course=course, name=name)
            signals.COHORT_MEMBERSHIP_CHANGED.send_event(cohort=told)


def outcome() -> list[list[Any]]:
    from completion.models import BlockCompletion

    rows = BlockCompletion.objects.order_by("id").values_list("user__username", "block_key", "completion", "modified")
    return [[name, str(block), value, modified.isoformat()] for name, block, value, modified in rows]


if __name__ == "__main__":
    configure(*sys.argv[1:])
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    happen(json.load(sys.stdin))
    sys.stdout.write(json.dumps(outcome()))
