"""Show how current progress is."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from completion_aggregator.aggregation import api


class Command(BaseCommand):
    """Show what waits, since when, and who was set aside."""

    help = (
        "Show how current progress is: the backlog and its age by course, learners set aside, last runs, courses"
        " that changed, and when everybody was last compared with the completions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --json."""
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the status; exit 0 whatever it is."""
        status, now = api.status(), timezone.now()
        deliveries = api.delivery_status()
        if options["json"]:
            shown = _as_json(status, now) | {"deliveries": [_delivery_as_json(each) for each in deliveries]}
            self.stdout.write(json.dumps(shown, indent=2))
        else:
            self.stdout.write("\n".join([*_as_lines(status, now), *_delivery_lines(deliveries, now)]))


def _as_json(status: api.Status, now: datetime) -> dict[str, Any]:
    return {
        "waiting": status.waiting,
        "oldest": _iso(status.oldest),
        "oldest_age_seconds": _age(status.oldest, now),
        "courses": [
            {
                "course_id": str(each.course_key), "waiting": each.waiting, "oldest": _iso(each.oldest),
                "refreshed_at": _iso(each.refreshed_at), "error": each.error, "retry_at": _iso(each.retry_at),
            }
            for each in status.courses
        ],
        "set_aside": [
            {
                "course_id": str(each.course_key), "user_id": each.user_id, "attempts": each.attempts,
                "since": _iso(each.since), "error": each.error,
            }
            for each in status.set_aside
        ],
        "last_runs": [
            {"course_id": str(each.course_key), "refreshed_at": _iso(each.refreshed_at)} for each in status.last_runs
        ],
        "changed": [{"course_id": str(key), "changed_at": _iso(moment)} for key, moment in status.changed.items()],
        "reconcile": {
            "courses": status.reconcile.courses, "never": status.reconcile.never,
            "oldest": _iso(status.reconcile.oldest),
            "under_way": [
                {"course_id": str(key), "after_user_id": after} for key, after in status.reconcile.under_way.items()
            ],
        },
    }  # fmt: skip


def _as_lines(status: api.Status, now: datetime) -> list[str]:
    if not status.waiting:
        lines = ["Everything is current."]
    else:
        lines = [f"{status.waiting:,} changes wait, the oldest for {_words(status.oldest, now)}.", ""]
    for each in status.courses:
        lines.append(f"  {each.course_key}  {each.waiting:,} waiting, oldest {_words(each.oldest, now)}")
        if each.error:
            # Of a course that is gone, and of which nothing waits, nothing is tried.
            tried = each.retry_at is not None and (each.waiting or each.course_key in status.changed)
            again = f" Tried again in {_words(now, each.retry_at or now)}." if tried else ""
            lines.append(f"    cannot be read: {each.error}{again}")
    if status.set_aside:
        lines += ["", f"{len(status.set_aside):,} learners are set aside (run_aggregator_service --retry-set-aside):"]
        lines += [
            f"  user {each.user_id} in {each.course_key}: {each.attempts} attempts, {each.error}"
            for each in status.set_aside
        ]
    if status.last_runs:
        lines += ["", "Last refreshed:"]
        lines += [f"  {each.course_key}  {_words(each.refreshed_at, now)} ago" for each in status.last_runs]
    return [*lines, *_changed_lines(status, now), *_reconcile_lines(status.reconcile, now)]


def _changed_lines(status: api.Status, now: datetime) -> list[str]:
    if not status.changed:
        return []
    lines = ["", "Changed, learners still to be looked at:"]
    return lines + [f"  {key}  for {_words(moment, now)}" for key, moment in status.changed.items()]


def _reconcile_lines(status: api.ReconcileStatus, now: datetime) -> list[str]:
    if not status.courses:
        return []
    compared = status.courses - status.never
    line = f"Compared with completions: {compared:,} of {status.courses:,} courses"
    lines = ["", f"{line}, longest ago {_words(status.oldest, now)}." if compared else f"{line}."]
    return lines + [f"  {key}  under way, after user {after}" for key, after in status.under_way.items()]


def _delivery_as_json(each: api.DeliveryStatus) -> dict[str, Any]:
    return {
        "endpoint": each.name, "waiting": each.waiting, "oldest": _iso(each.oldest), "failing": each.failing,
        "given_up": each.given_up, "error": each.error,
    }  # fmt: skip


def _delivery_lines(deliveries: list[api.DeliveryStatus], now: datetime) -> list[str]:
    lines = ["", "Told of thresholds:"] if deliveries else []
    for each in deliveries:
        name = each.name or "an endpoint that is not set any more"
        oldest = f", oldest {_words(each.oldest, now)}" if each.waiting else ""
        lines.append(
            f"  {name}  {each.waiting:,} waiting{oldest}, {each.failing:,} failing, {each.given_up:,} given up"
        )
        if each.error:
            lines.append(f"    last error: {each.error}")
    return lines


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 3)


def _words(since: datetime | None, now: datetime) -> str:
    if since is None:
        return "never"
    count = max((now - since).total_seconds(), 0.0)
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if count >= 2 * size:
            return f"{count / size:.0f} {unit}"
    return f"{count:.0f} seconds"
