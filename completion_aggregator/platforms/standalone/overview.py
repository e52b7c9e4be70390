"""The help of the ``completion-aggregator`` command: our commands first, in the order in which one needs them."""

from typing import Final

from django.conf import settings
from django.core.management import get_commands, load_command_class

from completion_aggregator.platforms.standalone.database import shown

GROUPS: Final = {
    "Try it": ("demo",),
    "Bring data in": ("import_course", "import_enrollments", "import_completions"),
    "Keep progress current": (
        "run_aggregator_service",
        "aggregator_status",
        "reaggregate_course",
        "run_aggregator_cleanup",
    ),
    "Stand beside an LMS": ("consume_events", "event_bus_status", "reconcile_from_lms"),
    "Get answers out": ("export_progress", "serve"),
    "Read tracking logs": ("tracking", "follow_logs"),
    "Look after the site": (
        "migrate",
        "createsuperuser",
        "changepassword",
        "drf_create_token",
        "forget_learner",
        "check",
    ),
}


def text() -> str:
    """Return the whole help."""
    available = get_commands()
    lines = ["How far are the learners of a course? completion-aggregator COMMAND [OPTIONS]"]
    for title, names in GROUPS.items():
        present = [name for name in names if name in available]
        if present:
            lines += ["", title, *(f"  {name:<24}{_summary(available[name], name)}" for name in present)]
    database = settings.DATABASES["default"]
    lines += [
        "",
        "completion-aggregator COMMAND --help explains one command; completion-aggregator help --commands lists all.",
        f"Files are in {getattr(settings, 'HOME', 'no folder')}, the database is {shown(database)}.",
    ]
    return "\n".join(lines)


def _summary(app: object, name: str) -> str:
    command = app if not isinstance(app, str) else load_command_class(app, name)
    sentence = str(getattr(command, "help", "")).strip().split(". ")[0].rstrip(".")
    return " ".join(sentence.split()).split(": ")[0]
